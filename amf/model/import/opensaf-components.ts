import { compact, shareKeys, type Keys } from './draft.ts'
import type { ImmObject } from './imm-objects.ts'
import { commandsOf } from './opensaf-commands.ts'
import { NS_PER_MS, type OpenSafContext } from './opensaf-context.ts'
import { either } from './source-object.ts'

interface Imported {
  readonly path: readonly string[]
  readonly component: ImmObject
  readonly type: ImmObject
  readonly keys: Keys
  readonly into: Record<string, Keys>
}

/** Adds the components of every imported unit, and the component types that they share. */
export function addComponents(context: OpenSafContext): void {
  const { draft } = context
  const byType = new Map<ImmObject, Imported[]>()
  for (const sg of context.groups) {
    const group = context.nameOf(sg)
    for (const unit of context.unitsOf(sg)) {
      const unitName = context.nameOf(unit)
      const unitDraft = draft.text.serviceGroups[group]?.serviceUnits[unitName]
      for (const component of context.componentsOf(unit)) {
        const type = context.typeOf(component, 'saAmfCompType', 'SaAmfCompType')
        const path = ['serviceGroups', group, 'serviceUnits', unitName, 'components']
        draft.from([...path, context.nameOf(component)], component.source)
        if (!type || !unitDraft) continue
        const keys = componentKeys(context, component, { type, node: unitDraft['node'] })
        const into = unitDraft.components
        const list = byType.get(type) ?? []
        byType.set(type, [...list, { path, component, type, keys, into }])
      }
    }
  }
  for (const [type, components] of byType) addType(context, type, components)
}

function addType(context: OpenSafContext, type: ImmObject, components: readonly Imported[]): void {
  const name = context.componentTypeName(type)
  const shared = shareKeys(components.map(({ keys }) => keys))
  const env = environment(type, 'saAmfCtDefCmdEnv')
  context.draft.text.componentTypes[name] = compact({ ...shared.type, env })
  context.draft.from(['componentTypes', name], type.source)
  for (const [index, { component, into }] of components.entries()) {
    const own = environment(component, 'saAmfCompCmdEnv')
    into[context.nameOf(component)] = { type: name, ...compact({ ...shared.own[index], env: own }) }
  }
}

const CAPABILITIES = {
  1: 'X_ACTIVE_AND_Y_STANDBY',
  2: 'X_ACTIVE_OR_Y_STANDBY',
  3: 'ONE_ACTIVE_OR_Y_STANDBY',
  4: 'ONE_ACTIVE_OR_ONE_STANDBY',
  5: 'X_ACTIVE',
  6: 'ONE_ACTIVE',
  7: 'NON_PRE_INSTANTIABLE',
} as const

/** OpenSAF stores no recommendation (1) as component failover. */
const RECOVERIES = {
  1: 'componentFailover',
  2: 'componentRestart',
  3: 'componentFailover',
  4: 'nodeSwitchover',
  5: 'nodeFailover',
  6: 'nodeFailfast',
  7: 'clusterReset',
  8: 'applicationRestart',
  9: 'containerRestart',
} as const

function componentKeys(
  context: OpenSafContext,
  component: ImmObject,
  { type, node }: { type: ImmObject; node: unknown },
): Keys {
  const own = component.source
  const from = type.source
  const globals = context.objects.ofClass('SaAmfCompGlobalAttributes')[0]?.source
  const callbackMs = from.ms('saAmfCtDefCallbackTimeout', { perMs: NS_PER_MS, min: 10 })
  const ms = (attribute: string, min = 10): number | undefined =>
    own.ms(attribute, { perMs: NS_PER_MS, min })
  const int = (attribute: string, ofGlobals: string): number | undefined =>
    either(own.int(attribute), globals?.int(ofGlobals))
  const quick = int('saAmfCompNumMaxInstantiateWithoutDelay', 'saAmfNumMaxInstantiateWithoutDelay')
  const delayed = int('saAmfCompNumMaxInstantiateWithDelay', 'saAmfNumMaxInstantiateWithDelay')
  const delayMs = either(
    ms('saAmfCompDelayBetweenInstantiateAttempts', 0),
    globals?.ms('saAmfDelayBetweenInstantiateAttempts', { perMs: NS_PER_MS }),
  )
  // OpenSAF tries twice unless told otherwise.
  const attempts = Math.min(1_000, Math.max(1, (quick ?? 2) + (delayed ?? 0)))
  const commands = commandsOf(context, component, { type, node })
  return compact({
    ...commands,
    instantiationLevel: either(
      own.int('saAmfCompInstantiationLevel'),
      from.int('saAmfCtDefInstantiationLevel'),
    ),
    instantiateAttemptsMax: attempts,
    instantiateWithoutDelayMax: (delayed ?? 0) > 0 ? Math.max(1, quick ?? 2) : undefined,
    instantiateDelayMs: (delayed ?? 0) > 0 ? delayMs : undefined,
    amStartAttemptsMax: int('saAmfCompNumMaxAmStartAttempts', 'saAmfNumMaxAmStartAttempts'),
    amStopAttemptsMax: int('saAmfCompNumMaxAmStopAttempts', 'saAmfNumMaxAmStopAttempts'),
    csiSetTimeoutMs: ms('saAmfCompCSISetCallbackTimeout') ?? callbackMs,
    csiRemoveTimeoutMs: ms('saAmfCompCSIRmvCallbackTimeout') ?? callbackMs,
    quiescingTimeoutMs: either(
      ms('saAmfCompQuiescingCompleteTimeout'),
      from.ms('saAmfCtDefQuiescingCompleteTimeout', { perMs: NS_PER_MS, min: 10 }),
    ),
    healthCheck: healthCheckOf(context, component, type),
    recovery: either(
      own.choice('saAmfCompRecoveryOnError', RECOVERIES),
      from.choice('saAmfCtDefRecoveryOnError', RECOVERIES),
    ),
    disableRestart: either(
      own.flag('saAmfCompDisableRestart'),
      from.flag('saAmfCtDefDisableRestart'),
    ),
    csTypes: csTypesOf(context, component, type),
  })
}

/** Which CS types it supports and how many assignments of each: its own maxima, else its type's. */
function csTypesOf(context: OpenSafContext, component: ImmObject, type: ImmObject): Keys {
  const { objects } = context
  const limits = new Map<string, Keys>()
  const ownOf = new Map(
    objects
      .children(component.name.text, 'SaAmfCompCsType')
      .map((each) => [each.name.value, each] as const),
  )
  for (const supported of objects.children(type.name.text, 'SaAmfCtCsType')) {
    const csType = context.refer(supported, null, {
      name: supported.name.value,
      className: 'SaAmfCSType',
    })
    if (!csType) continue
    const capability = supported.source.choice('saAmfCtCompCapability', CAPABILITIES)
    const own = ownOf.get(supported.name.value)?.source
    const maximum = (attribute: string, ofType: string): number | undefined => {
      const value = either(own?.int(attribute), supported.source.int(ofType))
      return value === 0 ? undefined : value
    }
    const maxActive = maximum('saAmfCompNumMaxActiveCSIs', 'saAmfCtDefNumMaxActiveCSIs')
    const maxStandby = maximum('saAmfCompNumMaxStandbyCSIs', 'saAmfCtDefNumMaxStandbyCSIs')
    const isOneActive = /^(ONE_|NON_)/.test(capability ?? '')
    const isNoStandby = /^(X_ACTIVE|ONE_ACTIVE|NON_PRE_INSTANTIABLE)$/.test(capability ?? '')
    const isOneStandby = capability === 'ONE_ACTIVE_OR_ONE_STANDBY'
    limits.set(
      context.csTypeName(csType),
      compact({
        maxActive: isOneActive ? 1 : maxActive,
        maxStandby: isNoStandby ? 0 : isOneStandby ? 1 : maxStandby,
      }),
    )
  }
  for (const [name, { source }] of ownOf) {
    const isKnown = objects
      .children(type.name.text, 'SaAmfCtCsType')
      .some((each) => each.name.value === name)
    if (!isKnown) source.error(null, `${type.name.text} does not support ${name}`)
  }
  return Object.fromEntries(limits)
}

/** A model has one health check a component: the first key. */
function healthCheckOf(
  { objects }: OpenSafContext,
  component: ImmObject,
  type: ImmObject,
): Keys | undefined {
  const own = objects.children(component.name.text, 'SaAmfHealthcheck')
  const types = objects.children(type.name.text, 'SaAmfHealthcheckType')
  const [key, ...others] = [...new Set([...types, ...own].map(({ name }) => name.value))]
  for (const each of [...types, ...own]) {
    if (others.includes(each.name.value)) {
      each.source.note(null, `a component has one health check; ${key ?? ''} is taken, not this`)
      each.source.skip(...each.source.attributes)
    }
  }
  if (key === undefined) return undefined
  const mine = own.find(({ name }) => name.value === key)?.source
  const ofType = types.find(({ name }) => name.value === key)?.source
  const ms = (attribute: string, typeAttribute: string, min: number): number | undefined =>
    either(
      mine?.ms(attribute, { perMs: NS_PER_MS, min }),
      ofType?.ms(typeAttribute, { perMs: NS_PER_MS, min }),
    )
  return compact({
    periodMs: ms('saAmfHealthcheckPeriod', 'saAmfHctDefPeriod', 10),
    timeoutMs: ms('saAmfHealthcheckMaxDuration', 'saAmfHctDefMaxDuration', 20),
  })
}

/** `NAME=VALUE` each. */
function environment({ source }: ImmObject, attribute: string): Keys {
  return Object.fromEntries(
    source.all(attribute).flatMap((text) => {
      const equals = text.indexOf('=')
      const name = text.slice(0, Math.max(0, equals))
      if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return [[name, text.slice(equals + 1)]]
      source.note(attribute, `"${text}" is not NAME=VALUE; left out`)
      return []
    }),
  )
}
