import type { EoConfig, QueueCrossing } from './config.schema.ts'
import type { QueueWatermarks } from './job-queue.ts'

/** What {@link watermarks} is given. */
export interface WatermarkOptions {
  readonly config: Pick<
    EoConfig,
    'queueCountMax' | 'queueHighPercent' | 'queueLowPercent' | 'onWatermark'
  >
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void
}

/** Marks of the queues at one place: a crossing goes to the log and to the component. */
export function watermarks(
  place: QueueCrossing['place'],
  { config, log }: WatermarkOptions,
): QueueWatermarks {
  const { queueCountMax, queueHighPercent, queueLowPercent, onWatermark } = config
  return {
    highCount: Math.max(1, Math.ceil((queueCountMax * queueHighPercent) / 100)),
    lowCount: Math.floor((queueCountMax * queueLowPercent) / 100),
    onCrossing: ({ type, priority }) => {
      log(`a job queue is ${type}`, { place, priority, queueCountMax })
      onWatermark?.({ place, priority, type })
    },
  }
}
