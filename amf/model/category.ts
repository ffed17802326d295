import type { ComponentModel } from './model.ts'

/** It has a process that registers, beats and keeps checkpoints: SA-aware, or a container. */
export function isSaAware({ preInstantiable, mediation }: ComponentModel): boolean {
  return preInstantiable && !mediation
}
