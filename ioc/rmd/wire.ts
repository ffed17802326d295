import { FLAG, PROTOCOL } from '../frame.ts'
import type { RmdPriority } from './rmd.ts'

/** Priorities by their number on the wire. SAFplus IOC, section 4.2. */
const PRIORITIES: readonly RmdPriority[] = [
  'default',
  'high',
  'low',
  'ordered',
  'notification',
  'reserved',
]

export const priorityNumber = (priority: RmdPriority): number => PRIORITIES.indexOf(priority)

/** Numbers of users (6 to 16) are served as `default`. */
export const priorityOf = (number: number): RmdPriority => PRIORITIES[number] ?? 'default'

/** The protocol id of a request. */
export function requestProtocol(oneWay: boolean, ordered: boolean): number {
  if (ordered) return PROTOCOL.ordered
  return oneWay ? PROTOCOL.asyncRequest : PROTOCOL.syncRequest
}

/** The flags byte of a request. */
export const requestFlags = (kind: 'call' | 'oneWay' | 'stream', atMostOnce: boolean): number =>
  (kind === 'oneWay' ? FLAG.oneWay : 0) |
  (kind === 'stream' ? FLAG.stream : 0) |
  (atMostOnce ? FLAG.atMostOnce : 0)
