import { asName } from './names.ts'
import { compact, type Keys } from './draft.ts'
import type { SourceObject } from './source-object.ts'
import type { XmlElement } from '../../../idl/internal.ts'

const FLAG = { CL_TRUE: true, CL_FALSE: false } as const
const CATEGORIES = {
  CL_AMS_SA_AWARE: 'saAware',
  CL_AMS_PROXIED_PREINSTANTIABLE: 'proxied',
  CL_AMS_PROXIED_NON_PREINSTANTIABLE: 'proxied',
  CL_AMS_NON_PROXIED_NON_PREINSTANTIABLE: 'nonSaAware',
} as const
const CAPABILITIES = {
  CL_AMS_COMP_CAP_X_ACTIVE_AND_Y_STANDBY: {},
  CL_AMS_COMP_CAP_X_ACTIVE_OR_Y_STANDBY: {},
  CL_AMS_COMP_CAP_ONE_ACTIVE_OR_X_STANDBY: { maxActive: 1 },
  CL_AMS_COMP_CAP_ONE_ACTIVE_OR_ONE_STANDBY: { maxActive: 1, maxStandby: 1 },
  CL_AMS_COMP_CAP_X_ACTIVE: { maxStandby: 0 },
  CL_AMS_COMP_CAP_ONE_ACTIVE: { maxActive: 1, maxStandby: 0 },
  CL_AMS_COMP_CAP_NON_PREINSTANTIABLE: { maxActive: 1, maxStandby: 0 },
} as const
const RECOVERIES = {
  CL_AMS_RECOVERY_NONE: 'noRecommendation',
  CL_AMS_RECOVERY_NO_RECOMMENDATION: 'noRecommendation',
  CL_AMS_RECOVERY_COMP_RESTART: 'componentRestart',
  CL_AMS_RECOVERY_COMP_FAILOVER: 'componentFailover',
  CL_AMS_RECOVERY_SU_RESTART: 'suRestart',
  CL_AMS_RECOVERY_NODE_SWITCHOVER: 'nodeSwitchover',
  CL_AMS_RECOVERY_NODE_FAILOVER: 'nodeFailover',
  CL_AMS_RECOVERY_NODE_FAILFAST: 'nodeFailfast',
  CL_AMS_RECOVERY_CLUSTER_RESET: 'clusterReset',
  CL_AMS_RECOVERY_APP_RESTART: 'applicationRestart',
  CL_AMS_RECOVERY_INTERNALLY_RECOVERED: 'noRecommendation',
} as const

/** Time-outs and limits that a type leaves empty, in SAFplus. */
const DEFAULT_TIMEOUT_MS = 20_000

/** Keys of the components of a `compType`. */
export function componentKeys(type: SourceObject, element: XmlElement | undefined): Keys {
  const timeoutMs = (name: string, min = 100): number =>
    type.ms(`timeouts/${name}`, { min }) ?? DEFAULT_TIMEOUT_MS
  const category = type.choice('property', CATEGORIES) ?? 'saAware'
  const delayed = type.int('numMaxInstantiateWithDelay') ?? 1
  const quick = type.int('numMaxInstantiate') ?? 1
  const terminate = command(type, 'terminateCommand')
  const cleanup = command(type, 'cleanupCommand')
  const attempts = Math.min(1_000, Math.max(1, quick + delayed))
  const instantiate = command(type, 'instantiateCommand', argumentsOf(element))
  const amStart = command(type, 'amStartCommand')
  const amStop = command(type, 'amStopCommand')
  // Its command returns; SAFplus has no callback to check its health by.
  const isDaemon = category === 'nonSaAware'
  const instantiateMs = timeoutMs('instantiateTimeout')
  const healthCheck = compact({
    periodMs: type.ms('healthCheck/period', { min: 10 }),
    timeoutMs: type.ms('healthCheck/maxDuration', { min: 20 }),
  })
  noteRest(type, category)
  return compact({
    category,
    ...(isDaemon
      ? { instantiate: instantiate && { command: instantiate, timeoutMs: instantiateMs } }
      : { command: instantiate }),
    terminate: terminate && { command: terminate, timeoutMs: timeoutMs('terminateTimeout') },
    cleanup: cleanup && { command: cleanup, timeoutMs: timeoutMs('cleanupTimeout') },
    env: Object.fromEntries(nameValuesOf(element, 'envs').map(({ name, value }) => [name, value])),
    instantiationLevel: type.int('instantiateLevel') ?? 1,
    instantiateAttemptsMax: attempts,
    instantiateDelayMs: attempts > 1 ? (type.ms('instantiateDelay') ?? 10_000) : undefined,
    instantiateTimeoutMs: isDaemon ? undefined : instantiateMs,
    terminateTimeoutMs: timeoutMs('terminateTimeout'),
    csiSetTimeoutMs: timeoutMs('csiSetTimeout', 10),
    csiRemoveTimeoutMs: timeoutMs('csiRemoveTimeout', 10),
    quiescingTimeoutMs: timeoutMs('quiescingCompleteTimeout', 10),
    amStart: amStart && { command: amStart, timeoutMs: timeoutMs('amStartTimeout') },
    amStop: amStop && { command: amStop, timeoutMs: timeoutMs('amStopTimeout') },
    healthCheck: isDaemon ? undefined : healthCheck,
    recovery: type.choice('recoveryOnTimeout', RECOVERIES) ?? 'componentFailover',
    disableRestart: type.choice('isRestartable', FLAG) === false ? true : undefined,
    csTypes: csTypesOf(type, element),
  })
}

function command(
  type: SourceObject,
  attribute: string,
  words: readonly string[] = [],
): string[] | undefined {
  const text = type.text(attribute)
  return text === undefined ? undefined : [...text.split(/\s+/), ...words]
}

function csTypesOf(type: SourceObject, element: XmlElement | undefined): Keys {
  const limits = {
    maxActive: type.int('numMaxActiveCSIs') ?? 1,
    maxStandby: type.int('numMaxStandbyCSIs') ?? 1,
    ...type.choice('capabilityModel', CAPABILITIES),
  }
  const supported = childrenOf(element, 'csiTypes')
    .map((each) => each.attributes.get('name') ?? '')
    .filter((name) => name !== '')
  return Object.fromEntries(supported.map((name) => [asName(name), limits]))
}

function noteRest(type: SourceObject, category: string): void {
  if (category === 'saAware' && type.text('instantiateCommand') !== undefined) {
    type.note(
      'instantiateCommand',
      'looked up in PATH; SAFplus looks in its own bin folder: give the path',
    )
  }
  const unused = 'has no counterpart'
  type.without(unused, ['processRel', 'numMaxTerminate', 'numMaxAmStart', 'numMaxAmStop'])
  type.skip('timeouts/amStartTimeout', 'timeouts/amStopTimeout')
  type.without('a failed clean-up is decided about by the node', ['nodeRebootCleanupFail'])
  type.without('commands and callbacks of a component have one time-out each', [
    'timeouts/proxiedCompInstantiateTimeout',
    'timeouts/proxiedCompCleanupTimeout',
  ])
}

function argumentsOf(element: XmlElement | undefined): string[] {
  return childrenOf(element, 'args').map((each) => each.attributes.get('value') ?? '')
}

/** `nameValue` children of an element inside. */
export function nameValuesOf(
  element: XmlElement | undefined,
  inside: string,
): { name: string; value: string }[] {
  return childrenOf(element, inside)
    .filter(({ name }) => name === 'nameValue')
    .map(({ attributes }) => ({
      name: attributes.get('name') ?? '',
      value: attributes.get('value') ?? '',
    }))
}

function childrenOf(element: XmlElement | undefined, inside: string): readonly XmlElement[] {
  return element?.children.find(({ name }) => name === inside)?.children ?? []
}
