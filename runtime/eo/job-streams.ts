import { SdkError } from '../../idl/index.ts'
import type { CallContext } from './call-context.ts'
import { EoCall } from './eo-call.ts'
import { handlerError } from './handler-error.ts'
import { encodedOutput, type JobAnswers, type JobCounters } from './job-answers.ts'
import type { Job } from './job.ts'
import { cancelled, where } from './receiver.ts'
import { isIterable, pumpStream } from './stream-pump.ts'

/** Streams that may be open at a time; one more gets TRY_AGAIN. */
const STREAM_COUNT_MAX = 1_024

/** What {@link JobStreams} is given. */
export interface JobStreamsOptions {
  readonly answers: JobAnswers
  readonly counters: JobCounters
  /** In which streams run; left out: nobody asks for whom. */
  readonly context?: CallContext
  readonly ended: (job: Job) => void
}

/** Jobs whose functions answer with a stream: they leave the queue, and end with their streams. */
export class JobStreams {
  readonly #options: JobStreamsOptions
  #openCount = 0

  constructor(options: JobStreamsOptions) {
    this.#options = options
  }

  get openCount(): number {
    return this.#openCount
  }

  /** Sends what the function gave. */
  open(job: Job, source: unknown): void {
    const { answers, context } = this.#options
    const { stream } = job.incoming
    if (stream === null || !isIterable(source)) {
      answers.threw(job, new TypeError('it gave nothing that can be iterated'))
      return
    }
    if (this.#openCount >= STREAM_COUNT_MAX) {
      const message = `${where(job.service)}: ${STREAM_COUNT_MAX} streams are open already`
      answers.giveUp(job, new SdkError('TRY_AGAIN', message))
      return
    }
    job.stage = 'streaming'
    this.#openCount++
    const pump = (): Promise<void> =>
      pumpStream({
        stream,
        source,
        epoch: job.epoch,
        encode: (item) => encodedOutput(job, item),
        onOver: () => {
          EoCall.abort(job.call, cancelled(job.service))
          this.#over(job)
        },
      })
    // A generator's body runs as its items are asked for: it works for the call then, too.
    const pumped = context === undefined ? pump() : context.run(job.call, pump)
    this.#endWith(job, pumped)
  }

  #endWith(job: Job, pumped: Promise<void>): void {
    const { incoming, service } = job
    pumped.then(
      () => {
        if (this.#over(job)) incoming.reply(NO_BYTES, job.epoch)
      },
      (error: unknown) => {
        if (this.#over(job)) incoming.fail(handlerError(error, where(service)), job.epoch)
      },
    )
  }

  /** @returns false when it was over before. */
  #over(job: Job): boolean {
    if (job.stage !== 'streaming') return false
    this.#openCount--
    this.#options.counters.replied++
    this.#options.ended(job)
    return true
  }
}

const NO_BYTES = new Uint8Array(0)
