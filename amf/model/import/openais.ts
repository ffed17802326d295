import { compact, type Draft, type GroupDraft, type Keys, shareKeys } from './draft.ts'
import { asName, assignNames, type Unnamed } from './names.ts'
import type { OpenAisBlock } from './openais-file.ts'
import type { SourceObject } from './source-object.ts'

/** Turns the cluster of an `amf.conf` of OpenAIS into a cluster. Times are milliseconds. */
export function importOpenAis(cluster: OpenAisBlock, draft: Draft): void {
  new OpenAis(cluster, draft).add()
}

/** A block and those it is in, the nearest last. */
interface Placed {
  readonly block: OpenAisBlock
  readonly path: readonly OpenAisBlock[]
}

class OpenAis {
  readonly #cluster: OpenAisBlock
  readonly #draft: Draft
  readonly #all: readonly Placed[]
  readonly #names: ReadonlyMap<string, string>

  constructor(cluster: OpenAisBlock, draft: Draft) {
    this.#cluster = cluster
    this.#draft = draft
    this.#all = placed(cluster, [])
    this.#names = assignNames(this.#all.flatMap(unnamed))
  }

  add(): void {
    const { text } = this.#draft
    text.cluster = asName(this.#cluster.name)
    const startupMs = this.#cluster.source.ms('saAmfClusterStartupTimeout')
    if (startupMs !== undefined && startupMs > 0) text.startupTimeoutMs = startupMs
    this.#checkTwins(this.#cluster)
    for (const node of childrenOf(this.#cluster, 'safAmfNode')) this.#addNode(node)
    for (const application of childrenOf(this.#cluster, 'safApp')) this.#addApplication(application)
    for (const { block } of this.#all) {
      if (!KNOWN.has(block.kind)) block.source.note(null, 'has no counterpart; left out')
      block.source.noteRest()
    }
  }

  #checkTwins(block: OpenAisBlock): void {
    const seen = new Set<string>()
    for (const child of block.children) {
      const key = `${child.kind} ${child.name}`
      if (seen.has(key)) child.source.error(null, 'is there twice')
      seen.add(key)
      this.#checkTwins(child)
    }
  }

  #nameOf(block: OpenAisBlock): string {
    const found = this.#all.find((each) => each.block === block)
    return (found && this.#names.get(idOf(found))) ?? asName(block.name)
  }

  #addNode(node: OpenAisBlock): void {
    const { source } = node
    const name = this.#nameOf(node)
    source.without('nodes have no second name here; left out', ['saAmfNodeClmNode'])
    this.#draft.text.nodes[name] = compact({
      suFailoverMax: source.int('saAmfNodeSuFailoverMax'),
      suFailoverWindowMs: source.ms('saAmfNodeSuFailOverProb', { min: 1 }),
      autoRepair: source.flag('saAmfNodeAutoRepair'),
      failfastOnTerminationFailure: source.flag('saAmfNodeRebootOnTerminationFailure'),
      failfastOnInstantiationFailure: source.flag('saAmfNodeRebootOnInstantiationFailure'),
    })
    this.#draft.from(['nodes', name], source)
  }

  #addApplication(application: OpenAisBlock): void {
    const { text } = this.#draft
    const name = asName(application.name)
    text.applications[name] = {}
    this.#draft.from(['applications', name], application.source)
    const groups = new Map<OpenAisBlock, GroupDraft>()
    for (const sg of childrenOf(application, 'safSg')) {
      const group = this.#groupOf(sg, name)
      text.serviceGroups[this.#nameOf(sg)] = group
      groups.set(sg, group)
    }
    for (const si of childrenOf(application, 'safSi')) {
      const sg = protectorOf(si, [...groups.keys()])
      const group = sg && groups.get(sg)
      if (!sg || !group) continue
      const path = ['serviceGroups', this.#nameOf(sg), 'serviceInstances', this.#nameOf(si)]
      this.#draft.from(path, si.source)
      group.serviceInstances[this.#nameOf(si)] = this.#instanceOf(si, application, sg, path)
    }
    for (const type of childrenOf(application, 'safCSType')) {
      type.source.without('names of CSI attributes are not checked', ['safCSType'])
    }
    this.#addTypes(application)
  }

  #groupOf(sg: OpenAisBlock, application: string): GroupDraft {
    const { source } = sg
    const redundancy = source.choice('saAmfSGRedundancyModel', MODELS)
    if (source.text('saAmfSGRedundancyModel') === undefined) {
      source.error('saAmfSGRedundancyModel', 'is missing')
    }
    const take = (attribute: string, isUsed: boolean): number | undefined => {
      const value = source.int(attribute)
      if (isUsed || value === undefined) return value
      source.note(attribute, `has no effect in ${redundancy ?? 'its model'}; left out`)
      return undefined
    }
    const isNPlusM = redundancy === 'N+M'
    const hasStandbys = isNPlusM || redundancy === 'N-way'
    const path = ['serviceGroups', this.#nameOf(sg)]
    this.#draft.from(path, source)
    const units = childrenOf(sg, 'safSu').map((su) => {
      this.#draft.from([...path, 'serviceUnits', this.#nameOf(su)], su.source)
      return [this.#nameOf(su), this.#unitOf(su)] as const
    })
    return {
      ...compact({
        redundancy,
        application,
        autoRepair: source.flag('saAmfSGAutoRepair'),
        autoAdjust: source.flag('saAmfSGAutoAdjust'),
        autoAdjustProbationMs: source.ms('saAmfSGAutoAdjustProb'),
        preferredActiveSUs: take('saAmfSGNumPrefActiveSUs', isNPlusM),
        preferredStandbySUs: take('saAmfSGNumPrefStandbySUs', isNPlusM),
        preferredInServiceSUs: source.int('saAmfSGNumPrefInserviceSUs'),
        preferredAssignedSUs: take(
          'saAmfSGNumPrefAssignedSUs',
          redundancy === 'N-way' || redundancy === 'N-way-active',
        ),
        maxActiveSIsPerSU: take('saAmfSGMaxActiveSIsperSUs', redundancy !== '2N'),
        maxStandbySIsPerSU: take('saAmfSGMaxStandbySIsperSUs', hasStandbys),
        componentRestartMax: source.int('saAmfSGCompRestartMax'),
        componentRestartWindowMs: source.ms('saAmfSGCompRestartProb', { min: 1 }),
        suRestartMax: source.int('saAmfSGSuRestartMax'),
        suRestartWindowMs: source.ms('saAmfSGSuRestartProb', { min: 1 }),
      }),
      serviceUnits: Object.fromEntries(units),
      serviceInstances: {},
    }
  }

  #unitOf(su: OpenAisBlock): GroupDraft['serviceUnits'][string] {
    const { source } = su
    const host = source.text('saAmfSUHostedByNode')
    const node = childrenOf(this.#cluster, 'safAmfNode').find(({ name }) => name === host)
    if (host === undefined) source.error('saAmfSUHostedByNode', 'is missing')
    else if (!node) source.error('saAmfSUHostedByNode', `node ${host} is not in the file`)
    const components = childrenOf(su, 'safComp')
    const count = source.int('saAmfSUNumComponents')
    if (count !== undefined && count !== components.length) {
      source.note('saAmfSUNumComponents', `says ${count}; there are ${components.length}`)
    }
    if (source.flag('saAmfSUIsExternal') === true) {
      source.note('saAmfSUIsExternal', `has no counterpart beside a node; it is a unit of ${host}`)
    }
    return {
      ...compact({
        node: node && this.#nameOf(node),
        rank: source.int('saAmfSURank'),
        failover: source.flag('saAmfSUFailover'),
      }),
      components: {},
    }
  }

  /** Components of one name in the units of a service group are of one type: what they share stands there. */
  #addTypes(application: OpenAisBlock): void {
    const { text } = this.#draft
    for (const sg of childrenOf(application, 'safSg')) {
      const components = childrenOf(sg, 'safSu').flatMap((su) =>
        childrenOf(su, 'safComp').map((component) => ({ component, su })),
      )
      for (const kind of new Set(components.map(({ component }) => component.name))) {
        const members = components.filter(({ component }) => component.name === kind)
        const all = members.map(({ component, su }) => ({
          ...componentKeys(component, [application, sg, su, component]),
          ...this.#mediation(component),
        }))
        const { type, own } = shareKeys(all)
        const typeName = freeName(asName(kind), text.componentTypes)
        text.componentTypes[typeName] = type
        if (members[0]) this.#draft.from(['componentTypes', typeName], members[0].component.source)
        for (const [index, { component, su }] of members.entries()) {
          const unit = text.serviceGroups[this.#nameOf(sg)]?.serviceUnits[this.#nameOf(su)]
          if (unit) unit.components[this.#nameOf(component)] = { type: typeName, ...own[index] }
        }
      }
    }
  }

  /** A component whose proxy is named is told by it. */
  #mediation({ source }: OpenAisBlock): Keys {
    const attribute = 'saAmfCompProxyCsi'
    const name = source.text(attribute)
    if (name === undefined) return {}
    const csi = this.#all.find(({ block }) => block.kind === 'safCsi' && block.name === name)
    if (!csi) source.error(attribute, `${name} is not in the file`)
    for (const what of ['Instantiate', 'Terminate', 'Cleanup']) {
      const command = `saAmfComp${what}Cmd`
      source.without('its proxy does this; left out', [command, `${command}Argv`])
    }
    const isLate = source.text('saAmfCompCapability') === NON_PRE_INSTANTIABLE
    const preInstantiable = isLate ? false : undefined
    return {
      category: 'proxied',
      proxied: compact({ csi: csi && this.#nameOf(csi.block), preInstantiable }),
    }
  }

  #instanceOf(
    si: OpenAisBlock,
    application: OpenAisBlock,
    sg: OpenAisBlock,
    path: readonly string[],
  ): GroupDraft['serviceInstances'][string] {
    const { source } = si
    const csis = childrenOf(si, 'safCsi')
    const count = source.int('saAmfSINumCSIs')
    if (count !== undefined && count !== csis.length) {
      source.note('saAmfSINumCSIs', `says ${count}; there are ${csis.length}`)
    }
    const ranked = childrenOf(si, 'safRankedSu')
      .map((each) => ({ each, rank: each.source.int('saAmfRank') ?? 0 }))
      .toSorted((a, b) => a.rank - b.rank)
      .flatMap(({ each }) => this.#referred(each, each.name, childrenOf(sg, 'safSu')))
    const dependsOn = childrenOf(si, 'safDepend').flatMap((each) => {
      const toleranceMs = each.source.ms('saAmfToleranceTime')
      return this.#referred(each, each.name, childrenOf(application, 'safSi')).map(
        (serviceInstance) => compact({ serviceInstance, toleranceMs }),
      )
    })
    return {
      ...compact({
        rank: source.int('saAmfSIRank'),
        preferredActive: source.int('saAmfSIPrefActiveAssignments'),
        preferredStandby: source.int('saAmfSIPrefStandbyAssignments'),
        rankedSUs: ranked,
        dependsOn,
      }),
      csis: Object.fromEntries(
        csis.map((csi) => {
          this.#draft.from([...path, 'csis', this.#nameOf(csi)], csi.source)
          return [this.#nameOf(csi), this.#csiKeys(csi, csis)] as const
        }),
      ),
    }
  }

  #csiKeys(csi: OpenAisBlock, siblings: readonly OpenAisBlock[]): Keys {
    const type = csi.source.text('saAmfCSTypeName')
    if (type === undefined) csi.source.error('saAmfCSTypeName', 'is missing')
    const attributes = childrenOf(csi, 'safCSIAttr').map(
      ({ name, source }) => [name, [...source.all('safCSIAttr')]] as const,
    )
    const dependsOn = childrenOf(csi, 'saAmfCsiDependencies').flatMap((list) =>
      list.source
        .all('saAmfCsiDependencies')
        .flatMap((text) =>
          this.#referred(list, text.replace(/^saAmfCSIDependency\s*=\s*/, ''), siblings),
        ),
    )
    return compact({
      type: type && asName(type),
      attributes: Object.fromEntries(attributes),
      dependsOn,
    })
  }

  /** The name here of what is called `name` in the file; none is an error. */
  #referred(from: OpenAisBlock, name: string, among: readonly OpenAisBlock[]): string[] {
    const found = among.find((each) => each.name === name)
    if (found) return [this.#nameOf(found)]
    from.source.error(null, `${name} is not in the file`)
    return []
  }
}

function protectorOf(si: OpenAisBlock, groups: readonly OpenAisBlock[]): OpenAisBlock | undefined {
  const attribute = 'saAmfSIProtectedbySG'
  const named = si.source.text(attribute)
  if (named === undefined && groups.length === 1) return groups[0]
  const found = groups.find(({ name }) => name === named)
  if (!found) {
    const why = named === undefined ? 'is missing' : `${named} is not in the file`
    si.source.error(attribute, `${why}; its application has ${groups.length} service groups`)
  }
  return found
}

function componentKeys(component: OpenAisBlock, within: readonly OpenAisBlock[]): Keys {
  const { source } = component
  const category = source.choice('saAmfCompCategory', CATEGORIES) ?? 'saAware'
  const clcMs = source.ms('saAmfCompDefaultClcCliTimeout', { min: 100 })
  const callbackMs = source.ms('saAmfCompDefaultCallbackTimeOut', { min: 10 })
  const quick = source.int('saAmfCompNumMaxInstantiateWithoutDelay', { max: 500 })
  const delayed = source.int('saAmfCompNumMaxInstantiateWithDelay', { max: 500 }) ?? 0
  const delayMs = source.ms('saAmfCompDelayBetweenInstantiateAttempts')
  const isAware = category === 'saAware'
  const isProxied = source.text('saAmfCompProxyCsi') !== undefined
  const life = isProxied ? () => undefined : lifeCycle(source, within, clcMs)
  if (isAware && !isProxied && source.text('saAmfCompTerminateCmd') !== undefined) {
    const reason = 'SA-aware components are told to terminate; no command is used'
    source.note('saAmfCompTerminateCmd', reason)
  }
  const terminate = life('Terminate')
  return compact({
    category,
    ...(isAware
      ? {
          command: life('Instantiate')?.command,
          instantiateTimeoutMs: source.ms('saAmfCompInstantiateTimeout', { min: 100 }) ?? clcMs,
          terminateTimeoutMs:
            source.ms('saAmfCompTerminateCallbackTimeout', { min: 10 }) ?? callbackMs,
        }
      : { instantiate: life('Instantiate'), terminate }),
    cleanup: life('Cleanup'),
    env: environmentOf(component),
    instantiationLevel: source.int('saAmfCompInstantiationLevel'),
    instantiateAttemptsMax: quick === undefined ? undefined : Math.max(1, quick + delayed),
    instantiateWithoutDelayMax: delayed > 0 ? Math.max(1, quick ?? 1) : undefined,
    instantiateDelayMs: delayed > 0 ? delayMs : undefined,
    csiSetTimeoutMs: source.ms('saAmfCompCSISetCallbackTimeout', { min: 10 }) ?? callbackMs,
    csiRemoveTimeoutMs: source.ms('saAmfCompCSIRmvCallbackTimeout', { min: 10 }) ?? callbackMs,
    quiescingTimeoutMs: source.ms('saAmfCompQuiescingCompleteTimeout', { min: 10 }),
    healthChecks: Object.fromEntries(
      childrenOf(component, 'safHealthcheckKey').map(({ name, source: check }) => [
        name.slice(0, 32),
        compact({
          periodMs: check.ms('saAmfHealthcheckPeriod', { min: 10 }),
          maxDurationMs: check.ms('saAmfHealthcheckMaxDuration', { min: 20 }),
        }),
      ]),
    ),
    recovery: source.choice('saAmfCompRecoveryOnError', RECOVERIES),
    disableRestart: source.flag('saAmfCompDisableRestart'),
    csTypes: csTypesOf(component),
  })
}

interface LifeCycle extends Keys {
  readonly command: readonly string[]
}

/** A command that is no absolute path lies in the nearest `clccli_path` around it. */
function lifeCycle(
  source: SourceObject,
  within: readonly OpenAisBlock[],
  clcMs: number | undefined,
): (what: string) => LifeCycle | undefined {
  const prefix = within.reduce<string | undefined>(
    (nearest, { source: each }) => each.text('clccli_path') ?? nearest,
    undefined,
  )
  return (what) => {
    const words = [
      ...source.all(`saAmfComp${what}Cmd`),
      ...source.all(`saAmfComp${what}CmdArgv`),
    ].flatMap((text) => text.split(/\s+/))
    const timeoutMs = source.ms(`saAmfComp${what}Timeout`, { min: 100 }) ?? clcMs
    const [program, ...rest] = words
    if (program === undefined) return undefined
    const isRelative = prefix !== undefined && !program.startsWith('/')
    const path = isRelative ? `${prefix.replace(/\/+$/, '')}/${program}` : program
    return { command: [path, ...rest], ...(timeoutMs === undefined ? {} : { timeoutMs }) }
  }
}

function environmentOf(component: OpenAisBlock): Keys {
  return Object.fromEntries(
    childrenOf(component, 'saAmfCompCmdEnv').flatMap(({ source }) =>
      source.all('saAmfCompCmdEnv').flatMap((text) => {
        const [, name, value] = /^([A-Za-z_]\w*)\s*=\s*(.*)$/.exec(text) ?? []
        if (name !== undefined && value !== undefined) return [[name, value] as const]
        source.note('saAmfCompCmdEnv', `"${text}" is not NAME=VALUE; left out`)
        return []
      }),
    ),
  )
}

function csTypesOf(component: OpenAisBlock): Keys {
  const { source } = component
  const limits = compact({
    maxActive: source.int('saAmfCompNumMaxActiveCsi'),
    maxStandby: source.int('saAmfCompNumMaxStandbyCsi'),
    ...source.choice('saAmfCompCapability', CAPABILITIES),
  })
  const types = childrenOf(component, 'saAmfCompCsTypes').flatMap(({ source: list }) =>
    list.all('saAmfCompCsTypes'),
  )
  return Object.fromEntries(types.map((type) => [asName(type), { ...limits }]))
}

function childrenOf(block: OpenAisBlock, kind: string): readonly OpenAisBlock[] {
  return block.children.filter((child) => child.kind === kind)
}

function placed(block: OpenAisBlock, path: readonly OpenAisBlock[]): Placed[] {
  const within = [...path, block]
  return [{ block, path }, ...block.children.flatMap((child) => placed(child, within))]
}

function idOf({ block, path }: Placed): string {
  return [...path, block].map(({ kind, name }) => `${kind}=${name}`).join(',')
}

function unnamed(each: Placed): Unnamed[] {
  const kind = KINDS[each.block.kind]
  if (kind === undefined) return []
  // A cluster has one name space; what everything is in tells nothing apart.
  const within = each.path.slice(1).map(({ name }) => name)
  return [{ id: idOf(each), kind, value: each.block.name, within: within.toReversed() }]
}

function freeName(name: string, taken: Readonly<Record<string, unknown>>): string {
  if (!Object.hasOwn(taken, name)) return name
  for (let number = 2; ; number += 1) {
    const numbered = `${name}-${number}`
    if (!Object.hasOwn(taken, numbered)) return numbered
  }
}

const KINDS: Readonly<Record<string, Unnamed['kind']>> = {
  safAmfNode: 'node',
  safSg: 'SG',
  safSu: 'SU',
  safComp: 'Comp',
  safSi: 'SI',
  safCsi: 'CSI',
}
const KNOWN = new Set([
  ...Object.keys(KINDS),
  'safAmfCluster',
  'safApp',
  'safCSType',
  'safCSIAttr',
  'safDepend',
  'safRankedSu',
  'safHealthcheckKey',
  'saAmfCompCsTypes',
  'saAmfCompCmdEnv',
  'saAmfCsiDependencies',
])
const MODELS = {
  '2n': '2N',
  nplusm: 'N+M',
  nway: 'N-way',
  nwayactive: 'N-way-active',
  noredundancy: 'no-redundancy',
} as const
const CATEGORIES = { sa_aware: 'saAware', proxy: 'saAware', local: 'nonSaAware' } as const
const NON_PRE_INSTANTIABLE = 'non_preinstantiable'
const CAPABILITIES = {
  x_active_and_y_standby: {},
  x_active_or_y_standby: {},
  one_active_or_y_standby: { maxActive: 1 },
  one_active_or_one_standby: { maxActive: 1, maxStandby: 1 },
  x_active: { maxStandby: 0 },
  '1_active': { maxActive: 1, maxStandby: 0 },
  [NON_PRE_INSTANTIABLE]: { maxStandby: 0 },
} as const
const RECOVERIES = {
  no_recommendation: 'noRecommendation',
  no_recomondation: 'noRecommendation',
  component_restart: 'componentRestart',
  component_failover: 'componentFailover',
  node_switchover: 'nodeSwitchover',
  node_failover: 'nodeFailover',
  node_failfast: 'nodeFailfast',
  application_restart: 'applicationRestart',
  cluster_reset: 'clusterReset',
} as const
