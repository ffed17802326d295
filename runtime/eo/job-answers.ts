import { encodeWireError, isSdkError, type SdkError, toWireError } from '../../idl/index.ts'
import { handlerError, isTryAgain } from './handler-error.ts'
import type { Job } from './job.ts'
import { where } from './receiver.ts'

/** What became of jobs. */
export interface JobCounters {
  replied: number
  failed: number
  abandoned: number
  cancelled: number
  commitFailed: number
}

/** What {@link JobAnswers} is given. */
export interface JobAnswersOptions {
  readonly counters: JobCounters
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void
  /** The job is answered, and whatever it wrote is committed or dropped. */
  readonly ended: (job: Job) => void
}

/**
 * The last stage of jobs: what a function gave or threw becomes the answer of its call, through the commit gate where
 * the job has one.
 *
 * I1 A reply never leaves before its commit. I2 Each job ends once: `ended` is called for it.
 */
export class JobAnswers {
  readonly #options: JobAnswersOptions

  constructor(options: JobAnswersOptions) {
    this.#options = options
  }

  /** The function gave its output. */
  finished(job: Job, output: unknown): void {
    let payload: Uint8Array
    try {
      payload = encodedOutput(job, output)
    } catch (error) {
      this.threw(job, error)
      return
    }
    const { counters, ended } = this.#options
    if (job.gate === undefined) {
      job.incoming.reply(payload, job.epoch)
      counters.replied++
      ended(job)
      return
    }
    job.stage = 'committing'
    job.gate.finish(job.call, { rc: 0, payload }).then(
      ({ epoch }) => {
        job.incoming.reply(payload, epoch)
        counters.replied++
        ended(job)
      },
      (error: unknown) => {
        this.#commitFailed(job, error)
      },
    )
  }

  /** The function threw. */
  threw(job: Job, thrown: unknown): void {
    const error = handlerError(thrown, where(job.service))
    if (error.code === 'HANDLER_FAILED') {
      const { trace } = job.call
      const fields = { function: where(job.service), ...(trace === undefined ? {} : { trace }) }
      this.#options.log('a function failed', { ...fields, err: thrown })
    }
    if (isTryAgain(error)) this.giveUp(job, error)
    else this.error(job, error)
  }

  /** Answers an error as a result: without a gate at once, else when it is committed as the call's reply. */
  error(job: Job, error: SdkError): void {
    if (job.gate === undefined) {
      this.giveUp(job, error)
      return
    }
    const { counters, ended } = this.#options
    job.stage = 'committing'
    const reply = { rc: error.rc, payload: encodeWireError(toWireError(error)) }
    job.gate.finish(job.call, reply).then(
      ({ epoch }) => {
        job.incoming.fail(error, epoch)
        counters.failed++
        ended(job)
      },
      (refused: unknown) => {
        this.#commitFailed(job, refused)
      },
    )
  }

  /** Answers without a commit: the call left no trace. */
  giveUp(job: Job, error: SdkError): void {
    job.gate?.abort(job.call)
    job.incoming.fail(error)
    this.#options.counters.failed++
    this.#options.ended(job)
  }

  /** STALE_EPOCH answers nothing: the process ends, and the caller goes to the new active. */
  #commitFailed(job: Job, error: unknown): void {
    this.#options.counters.commitFailed++
    if (!isSdkError(error, 'STALE_EPOCH')) job.incoming.fail(asSdkError(error, job))
    this.#options.ended(job)
  }
}

/** @throws Error, a bug of the function, when its result does not fit the interface. */
export function encodedOutput(job: Job, output: unknown): Uint8Array {
  try {
    return job.service.method.output.encode(output)
  } catch (error) {
    const message = `its result does not fit the interface: ${String(error)}`
    throw new Error(message, { cause: error })
  }
}

export function asSdkError(error: unknown, job: Job): SdkError {
  return isSdkError(error) ? error : handlerError(error, where(job.service))
}
