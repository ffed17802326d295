import type { Recovery } from '../../runtime/internal.ts'
import type { ComponentModel, ServiceUnitModel } from '../model/model.ts'
import { raiseAlarm } from './alarms.ts'
import { chain, withCause, type Draft } from './draft.ts'
import { groupsInScope } from './entities.ts'
import { endGrant } from './grants.ts'
import { persistAlive } from './mediation-state.ts'
import {
  persistEscalation,
  persistNode,
  persistNodeEscalation,
  persistOperation,
} from './records.ts'
import { setPresence, stop } from './presence.ts'
import {
  componentsOf,
  componentState,
  nodeOperational,
  repairsItself,
  unitAdmin,
} from './readiness.ts'
import { livesOf } from './restart.ts'
import { effectiveState } from './roles.ts'
import {
  NO_NODE,
  NO_WINDOW,
  NOTHING_SAID,
  type ComponentState,
  type GroupState,
  type NodeRecovery,
  type OperationState,
  type Window,
} from './state.ts'

/** What is done about a failed component. SAF AMF B.04.01 section 3.11; escalation as in OpenSAF. */

type Action =
  | 'componentRestart'
  | 'suRestart'
  | 'componentFailover'
  | 'suFailover'
  | 'nodeSwitchover'
  | 'nodeFailover'
  | 'nodeFailfast'
  | 'applicationRestart'
  | 'clusterReset'
  | 'containerRestart'

const WORDS: Readonly<Record<Action, string>> = {
  componentRestart: 'component restart',
  suRestart: 'SU restart',
  componentFailover: 'component failover',
  suFailover: 'SU failover',
  nodeSwitchover: 'node switchover',
  nodeFailover: 'node failover',
  nodeFailfast: 'node failfast',
  applicationRestart: 'application restart',
  clusterReset: 'cluster reset',
  containerRestart: 'container restart',
}

export interface Failure {
  readonly recovery: Recovery
  readonly cause: string
}

/** The component's process is gone. Decides the recovery, counts it, and turns it into facts to plan from. */
export function recoverComponent(draft: Draft, model: ComponentModel, failure: Failure): void {
  const group = draft.group(model.serviceGroup)
  const component = componentState(group, model)
  const unit = draft.model.serviceUnits.get(model.serviceUnit)
  if (!unit) return
  const asked = baseAction(model, failure.recovery)
  const restartable = isWorthRestarting(draft, group, unit, component)
  const action = escalate(draft, group, unit, weigh(model, asked, restartable))
  const scope = scopeOf(draft, model, action)
  group.causes = withCause([failure.cause], `${WORDS[action]} of ${scope}`)
  draft.notify(group, {
    kind: 'recovery',
    entity: model.name,
    from: null,
    to: action,
    recommended: failure.recovery,
    serviceUnit: unit.name,
    causes: group.causes,
  })
  apply(draft, group, model, unit, action)
}

function scopeOf(draft: Draft, model: ComponentModel, action: Action): string {
  if (action.startsWith('node')) return model.node
  if (action === 'clusterReset') return draft.model.cluster
  if (action === 'applicationRestart') return applicationOf(draft, model)
  return action === 'componentRestart' ? model.name : model.serviceUnit
}

function applicationOf(draft: Draft, model: ComponentModel): string {
  return draft.model.serviceGroups.get(model.serviceGroup)?.application ?? ''
}

/** NO_RECOMMENDATION means the configured one. */
function baseAction(model: ComponentModel, recovery: Recovery): Action {
  const chosen = recovery === 'noRecommendation' ? model.recovery : recovery
  if (chosen === 'noRecommendation') return 'componentFailover'
  // What is in no container is its own.
  const isContained = model.mediation?.kind === 'contained'
  return chosen === 'containerRestart' && !isContained ? 'componentRestart' : chosen
}

/** There is no sense in restarting in place what is on its way out. */
function isWorthRestarting(
  draft: Draft,
  group: GroupState,
  unit: ServiceUnitModel,
  component: ComponentState,
): boolean {
  if (unitAdmin(group, unit, draft.peekNode(unit.node)) !== 'UNLOCKED') return false
  return ![...component.assignments.values()].some((assignment) => {
    const state = effectiveState(assignment)
    return state === 'QUIESCED' || state === 'QUIESCING'
  })
}

function weigh(model: ComponentModel, asked: Action, restartable: boolean): Action {
  const restart = asked === 'componentRestart' || asked === 'suRestart'
  return restart && (model.disableRestart || !restartable) ? 'componentFailover' : asked
}

/** Each level does at most its maximum within its window; one more goes to the next level. */
function escalate(draft: Draft, group: GroupState, unit: ServiceUnitModel, asked: Action): Action {
  const sg = draft.model.serviceGroups.get(group.name)
  const state = group.units.get(unit.name)
  if (!sg || !state) return asked
  let action = asked
  if (action === 'componentRestart') {
    const limit = { max: sg.componentRestartMax, windowMs: sg.componentRestartWindowMs }
    const next = count(state.componentRestarts, limit, draft.nowMs)
    if (next) state.componentRestarts = next
    else action = 'suRestart'
  }
  if (action === 'suRestart' && !canRestart(group, unit)) action = 'componentFailover'
  if (action === 'suRestart') {
    const limit = { max: sg.suRestartMax, windowMs: sg.suRestartWindowMs }
    const next = count(state.suRestarts, limit, draft.nowMs)
    if (next) state.suRestarts = next
    else action = 'componentFailover'
  }
  persistEscalation(draft, state)
  // An external unit is on no node that could be blamed.
  if (unit.node === NO_NODE) return action.endsWith('Restart') ? action : 'suFailover'
  if (action !== 'componentFailover' && action !== 'suFailover') return action
  if (unit.failover) action = 'suFailover'
  const nodeModel = draft.model.nodes.get(unit.node)
  const node = draft.node(unit.node)
  if (!nodeModel) return action
  const limit = { max: nodeModel.suFailoverMax, windowMs: nodeModel.suFailoverWindowMs }
  const next = count(node.failovers, limit, draft.nowMs)
  if (!next) return 'nodeFailover'
  node.failovers = next
  persistNodeEscalation(draft, node)
  return action
}

function canRestart(group: GroupState, unit: ServiceUnitModel): boolean {
  if (unit.components.some((component) => component.disableRestart)) return false
  return componentsOf(group, unit).every(
    (c) => c.presence !== 'UNINSTANTIATED' || c.incarnation > 0,
  )
}

/** The window with one action more; null when the maximum was reached. It begins with its first action. */
export function count(
  window: Window,
  limit: { readonly max: number; readonly windowMs: number },
  nowMs: number,
): Window | null {
  const open = window.count > 0 && nowMs - window.sinceMs < limit.windowMs
  const before = open ? window : NO_WINDOW
  if (before.count >= limit.max) return null
  return { count: before.count + 1, sinceMs: open ? before.sinceMs : nowMs }
}

function apply(
  draft: Draft,
  group: GroupState,
  model: ComponentModel,
  unit: ServiceUnitModel,
  action: Action,
): void {
  const component = componentState(group, model)
  const state = group.units.get(unit.name)
  if (!state) return
  switch (action) {
    case 'componentRestart':
      loseProcess(draft, group, model, 'RESTARTING')
      return
    case 'suRestart':
      loseProcess(draft, group, model, 'RESTARTING')
      state.restart = 'down'
      return
    case 'suFailover':
    case 'componentFailover':
      loseProcess(draft, group, model, 'UNINSTANTIATED')
      component.failed = true
      state.restart = null
      state.failover = action === 'suFailover' || unit.failover
      persistFailure(draft, model, unit)
      return
    case 'nodeSwitchover':
      loseProcess(draft, group, model, 'UNINSTANTIATED')
      component.failed = true
      beginNodeRecovery(draft, model.node, 'switchover', group.causes)
      return
    case 'nodeFailover':
    case 'nodeFailfast': {
      loseProcess(draft, group, model, 'UNINSTANTIATED')
      component.failed = true
      const { autoRepair } = draft.model.nodes.get(model.node) ?? {}
      const mayRestart = unit.maintenanceCampaign === null
      const restarts = mayRestart && (action === 'nodeFailfast' || autoRepair === true)
      beginNodeRecovery(draft, model.node, restarts ? 'restart' : 'failover', group.causes)
      return
    }
    case 'applicationRestart':
      loseProcess(draft, group, model, 'RESTARTING')
      state.restart = 'held'
      beginApplicationRestart(draft, model)
      return
    case 'containerRestart':
      loseProcess(draft, group, model, 'UNINSTANTIATED')
      restartContainer(draft, component, group.causes)
      return
    case 'clusterReset':
      loseProcess(draft, group, model, 'UNINSTANTIATED')
      component.failed = true
      raiseAlarm(draft, group, {
        entity: model.name,
        alarm: 'CLUSTER_RESET',
        serviceUnit: unit.name,
        causes: group.causes,
      })
      for (const node of draft.nodes()) {
        if (node.membership === 'MEMBER') {
          beginNodeRecovery(draft, node.name, 'restart', group.causes)
        }
      }
      return
  }
}

/**
 * The container is ended abruptly and starts again with the CSIs it had; what it contains dies with it, fails over,
 * and is started in it again. SAF AMF B.04.01 section 3.11.1.3.
 */
function restartContainer(
  draft: Draft,
  { name, mediator }: ComponentState,
  causes: readonly string[],
): void {
  const container = draft.model.components.get(mediator?.component ?? '')
  if (!container) return
  const group = draft.group(container.serviceGroup)
  const { presence, work } = componentState(group, container)
  if (presence !== 'INSTANTIATED' || work?.kind === 'cleanup') return
  group.causes = causes
  const reason = `${name} in it asks for a container restart`
  stop(draft, group, container, { kind: 'cleanup', reason, presence: 'RESTARTING' })
}

/**
 * The same as an operator's restart of the application, asked by nobody: it goes on under the next director. A failure
 * while one is on its way is part of it.
 */
function beginApplicationRestart(draft: Draft, model: ComponentModel): void {
  const entity = applicationOf(draft, model)
  const isPending = (o: OperationState): boolean =>
    o.result === null && o.kind === 'application' && o.entity === entity
  if (draft.operations.some((o) => isPending(o) && o.operation === 'restart')) return
  const operation: OperationState = {
    id: `recovery:${String(draft.nextInvocation())}`,
    operation: 'restart',
    entity,
    kind: 'application',
    lives: livesOf(draft, entity, 'application'),
    swap: null,
    result: null,
    isRecovery: true,
  }
  draft.operations = [...draft.operations, operation]
  persistOperation(draft, operation)
  const { causes } = draft.group(model.serviceGroup)
  for (const name of groupsInScope(draft.model, entity, 'application')) {
    draft.group(name).causes = causes
  }
}

/** Without automatic repair the failure must outlive the director. */
function persistFailure(draft: Draft, model: ComponentModel, unit: ServiceUnitModel): void {
  if (repairsItself(draft.model.serviceGroups.get(model.serviceGroup), unit)) return
  draft.persist(`failed/${model.name}`, { presence: 'UNINSTANTIATED' }, `${model.name} failed`)
}

const STRENGTH: Readonly<Record<NodeRecovery, number>> = { switchover: 1, failover: 2, restart: 3 }

/** Takes the node out of use; after `restart` it is told to end, and its failure brings the rest. */
export function beginNodeRecovery(
  draft: Draft,
  nodeName: string,
  kind: NodeRecovery,
  causes: readonly string[],
): void {
  const node = draft.node(nodeName)
  if (node.recovery !== null && STRENGTH[kind] <= STRENGTH[node.recovery]) return
  const from = nodeOperational(node)
  node.recovery = kind
  node.disabled = true
  for (const name of draft.index.groupsOnNode.get(nodeName) ?? []) {
    draft.group(name).causes = causes
  }
  persistNode(draft, node, chain(causes))
  if (from === 'ENABLED') {
    draft.notify(null, { kind: 'operational', entity: nodeName, from, to: 'DISABLED', causes })
  }
  if (kind === 'restart') orderNodeRestart(draft, nodeName, chain(causes))
}

/** A node that was told to end and neither ended nor was fenced is told again after this time. */
const NODE_RESTART_MS = 10_000

export function orderNodeRestart(draft: Draft, nodeName: string, why: string): void {
  const node = draft.node(nodeName)
  node.recovery = 'restart'
  node.deadlineMs = draft.nowMs + NODE_RESTART_MS
  draft.send({ kind: 'restartNode', node: nodeName, why })
}

/**
 * Everything that was true of the component's process is over: nothing of it is left, so its grants end here. Going to
 * RESTARTING its assignments wait for it; else they are gone.
 */
export function loseProcess(
  draft: Draft,
  group: GroupState,
  model: ComponentModel,
  presence: 'RESTARTING' | 'UNINSTANTIATED' | 'INSTANTIATION_FAILED',
): void {
  const component = componentState(group, model)
  for (const assignment of [...component.assignments.values()]) {
    const state = effectiveState(assignment)
    endGrant(group, assignment.csi, model.name, 'NOT_QUIESCED')
    notifyLoss(draft, group, model, assignment.csi, assignment.haState)
    const returns = state === 'ACTIVE' || state === 'STANDBY'
    if (presence !== 'RESTARTING' || !returns) {
      component.assignments.delete(assignment.csi)
      continue
    }
    assignment.haState = null
    assignment.pending = null
    assignment.again = false
    assignment.restore = state
  }
  component.work = null
  component.haReadiness = NOTHING_SAID
  component.orphaned = false
  if (model.mediation) persistAlive(draft, model, null)
  component.endedIncarnation = component.incarnation
  component.pid = null
  component.address = null
  component.busy = false
  component.monitored = false
  component.monitorAsked = null
  setPresence(draft, group, model, component, presence)
}

function notifyLoss(
  draft: Draft,
  group: GroupState,
  model: ComponentModel,
  csi: string,
  from: string | null,
): void {
  if (from === null) return
  const serviceInstance = draft.model.csis.get(csi)?.serviceInstance
  draft.notify(group, {
    kind: 'haState',
    entity: model.name,
    from,
    to: 'NONE',
    serviceUnit: model.serviceUnit,
    ...(serviceInstance === undefined ? {} : { serviceInstance }),
    causes: group.causes,
  })
}
