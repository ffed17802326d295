import { CL_CID, CL_ERR, CL_OK, rcOf, SdkError, type ClRcT } from '../../idl/index.ts'
import { rcOfLibrary, type ClOut } from './process.ts'

/**
 * One of the original's libraries: its errors carry its component id. It is there from the start, as under an EO;
 * initialising it once is OK, twice INITIALIZED, and between finalize and the next initialize it is NOT_INITIALIZED.
 * @internal
 */
export class ClLibrary {
  readonly #cid: number
  #state: 'present' | 'initialized' | 'finalized' = 'present'

  constructor(component: keyof typeof CL_CID) {
    this.#cid = CL_CID[component]
  }

  initialize(): ClRcT {
    if (this.#state === 'initialized') return rcOf(this.#cid, CL_ERR.INITIALIZED)
    this.#state = 'initialized'
    return CL_OK
  }

  finalize(): ClRcT {
    return this.run(() => void (this.#state = 'finalized'))
  }

  /** Runs a step and answers with its code. */
  run(step: () => void): ClRcT {
    if (this.#state === 'finalized') return rcOf(this.#cid, CL_ERR.NOT_INITIALIZED)
    try {
      step()
      return CL_OK
    } catch (error) {
      return this.#rcOf(error)
    }
  }

  /** The same for a step that takes time. */
  async wait(step: () => Promise<void>): Promise<ClRcT> {
    if (this.#state === 'finalized') return rcOf(this.#cid, CL_ERR.NOT_INITIALIZED)
    try {
      await step()
      return CL_OK
    } catch (error) {
      return this.#rcOf(error)
    }
  }

  /**
   * Puts what a step gives where the caller wants it: NULL_POINTER for nowhere, NOT_EXIST when the step gives
   * undefined.
   */
  get<T>(out: ClOut<NoInfer<T>> | ClOut<NoInfer<T> | undefined>, step: () => T | undefined): ClRcT {
    return this.run(() => {
      const place = given('out', out as ClOut<T>)
      const value = step()
      if (value === undefined) throw new SdkError('NOT_EXIST', 'there is none')
      place.value = value
    })
  }

  #rcOf(error: unknown): ClRcT {
    return rcOfLibrary(this.#cid, error)
  }
}

/** An argument that a program without types may have left out. @throws SdkError NULL_POINTER. @internal */
export function given<T>(name: string, argument: T | null | undefined): T {
  if (argument !== null && argument !== undefined) return argument
  throw new SdkError('NULL_POINTER', `${name} is missing`)
}

/** A handle. @throws SdkError INVALID_HANDLE where there is none. @internal */
export function handle<T>(value: T | null | undefined): T {
  if (value !== null && value !== undefined) return value
  throw new SdkError('INVALID_HANDLE', 'there is no handle')
}

/** Handles of one kind: INVALID_HANDLE for what is none, whatever it is. @internal */
export function handlesOf(
  kind: Readonly<Record<typeof Symbol.hasInstance, (value: unknown) => boolean>>,
): <T>(value: T | null | undefined) => T {
  return (value) => {
    if (value instanceof kind) return value as NonNullable<typeof value>
    throw new SdkError('INVALID_HANDLE', 'there is no handle, or one of something else')
  }
}

/** A number of 32 bits without a sign. @throws SdkError INVALID_PARAMETER. @internal */
export function uint32(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff) return value
  throw new SdkError('INVALID_PARAMETER', `${name} is ${value}: 0 to 2^32 - 1 are possible`)
}

/** Walks with the original's callbacks: the first code that is not OK ends the walk and is its code. @internal */
export function walked(walk: (visit: (rc: ClRcT) => boolean) => ClRcT): ClRcT {
  let last: ClRcT = CL_OK
  const rc = walk((visited) => {
    last = visited
    return visited === CL_OK
  })
  return rc === CL_OK ? last : rc
}
