import { SdkError } from '../../idl/index.ts'
import type { IocAddress } from '../../ioc/index.ts'

/** Which Execution Object a thread belongs to: plain data, so that it can be handed to a thread. An `App` is one. */
export interface EoIdentity {
  readonly component: string
  readonly node: string
  readonly address: IocAddress
}

/** The same symbol in every thread; what it holds is the thread's own: each thread has its own global object. */
const KEY = Symbol.for('holdfast.myEo')
const place = globalThis as { [KEY]?: EoIdentity }

/**
 * Binds the calling thread to an EO, as `clEoMyEoObjectSet` does. The threads of a component are bound already: the one
 * that runs its functions, its main thread and its workers. A thread that the application made by itself is not; hand
 * it `{ component, node, address }` and call this there.
 */
export function bindMyEo(eo: EoIdentity): void {
  place[KEY] = eo
}

/**
 * The EO of the calling thread: an `App` on the thread that runs the component's functions.
 * @throws SdkError INVALID_STATE on a thread that is bound to none. SAFplus EO, section 3.4.
 */
export function myEo(): EoIdentity {
  const eo = place[KEY]
  if (eo !== undefined) return eo
  const message =
    'no Execution Object is bound to this thread: call bindMyEo (clEoMyEoObjectSet) on it first'
  throw new SdkError('INVALID_STATE', message)
}
