import type { IocAddress } from '../address.ts'

/** The filter behind `known` of every transport: what is left out fits. */
export const isWanted =
  (wanted: { readonly node?: number; readonly port?: number }) =>
  ({ node, port }: IocAddress): boolean =>
    (wanted.node ?? node) === node && (wanted.port ?? port) === port
