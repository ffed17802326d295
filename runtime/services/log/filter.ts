import { LOG_MASK_ALL, type LogFilter, type LogFilterFlag } from './interface.ts'

/** Lets everything pass. */
export const OPEN_FILTER: LogFilter = { severities: LOG_MASK_ALL, messageIds: [], components: [] }

/** What a filter looks at in a record. */
export interface Filterable {
  readonly severity: number
  readonly messageId: number
  readonly component: string
}

/** Whether a record passes: its severity's bit is set, and each set that is not empty has it. */
export function passes(filter: LogFilter, record: Filterable): boolean {
  const { severities, messageIds, components } = filter
  return (
    (severities & (1 << (record.severity - 1))) !== 0 &&
    (messageIds.length === 0 || messageIds.includes(record.messageId)) &&
    (components.length === 0 || components.includes(record.component))
  )
}

/** A filter as it is after a change: replaced, with more, or with less in it. */
export function changeFilter(old: LogFilter, flag: LogFilterFlag, change: LogFilter): LogFilter {
  switch (flag) {
    case 'ASSIGN':
      return change
    case 'MERGE_ADD':
      return {
        severities: old.severities | change.severities,
        messageIds: union(old.messageIds, change.messageIds),
        components: union(old.components, change.components),
      }
    case 'MERGE_DELETE':
      return {
        severities: old.severities & ~change.severities,
        messageIds: old.messageIds.filter((id) => !change.messageIds.includes(id)),
        components: old.components.filter((name) => !change.components.includes(name)),
      }
  }
}

function union<T>(a: readonly T[], b: readonly T[]): T[] {
  return [...new Set([...a, ...b])]
}
