import type { IocAddress } from '../../ioc/index.ts'
import type { ComponentEnvironment } from './component-env.ts'

/** Between the main thread and the EO thread of a component with the thread model `app`. Plain data only. */

/** What the EO thread is started with. */
export interface EoThreadData {
  readonly env: ComponentEnvironment
  /** The component's module: both threads import it. */
  readonly url: string
  readonly where: string
  /** Memory shared with the watchdog, which judges the EO thread from its start on. */
  readonly watchdogCells: Int32Array
  /** See {@link CONTROL}. */
  readonly control: Int32Array
}

/** Cells of the memory that main and EO thread share. */
export const CONTROL = {
  /** 1: the component ends, and main is to return. Waited for by a main that lets no event loop run. */
  ending: 0,
  /** Never changes: the EO thread waits here while main may still exit by itself. */
  never: 1,
} as const
export const CONTROL_COUNT = 2

/** From the EO thread to main. */
export type EoThreadMessage =
  /** `initialize` has returned: calls are served. */
  | { readonly kind: 'running'; readonly address: IocAddress }
  /** Everything of the EO is closed: the process is to exit. */
  | { readonly kind: 'exit'; readonly code: number }

/** From main to the EO thread: the application is finished. */
export interface MainThreadMessage {
  readonly kind: 'end'
  readonly why: string
}
