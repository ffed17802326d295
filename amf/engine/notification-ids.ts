import type { Notification } from './contract.ts'
import type { EntityClass } from './state.ts'

/**
 * Minor ids of notification class ids (vendor 18568, major 2) as SAF AMF B.04.01 section 11 numbers them. What the
 * specification does not know has none: states of components and nodes' membership, in-sync sets, the busy alarm.
 */
const ALARM_IDS: Readonly<Record<string, number>> = {
  INSTANTIATION_FAILED: 0x02,
  TERMINATION_FAILED: 0x03,
  CLUSTER_RESET: 0x04,
  UNASSIGNED: 0x05,
  UNPROXIED: 0x06,
}

const STATE_IDS: Readonly<Record<string, number>> = {
  'administrative node': 0x65,
  'administrative serviceUnit': 0x66,
  'administrative serviceGroup': 0x67,
  'administrative serviceInstance': 0x68,
  'administrative application': 0x69,
  'administrative cluster': 0x6a,
  'operational node': 0x6b,
  'operational serviceUnit': 0x6c,
  'presence serviceUnit': 0x6d,
  'haState component': 0x6e,
  'assignment serviceInstance': 0x6f,
  'proxyStatus component': 0x70,
  'haReadiness serviceUnit': 0x71,
  'recovery component': 0x191,
  'errorCleared component': 0x192,
}

/** undefined: the specification has no such notification. */
export function minorIdOf(
  { kind, from, to }: Pick<Notification, 'kind' | 'from' | 'to'>,
  entityClass: EntityClass | null,
): number | undefined {
  if (kind === 'alarmRaised') return ALARM_IDS[to]
  if (kind === 'alarmCleared') return ALARM_IDS[from ?? '']
  return STATE_IDS[`${kind} ${String(entityClass)}`]
}
