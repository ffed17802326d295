import { SdkError } from '../../idl/index.ts'
import type { HandlersOf } from '../../idl/index.ts'
import type { IncomingCall } from '../../ioc/index.ts'
import type { Cpm } from '../../runtime/internal.ts'
import type { Model } from '../model/model.ts'
import type { DirectorLink } from './agent-director-link.ts'
import type { AgentGroups } from './agent-groups.ts'
import type { AgentHealth } from './agent-health.ts'
import type { AgentMonitoring } from './agent-monitoring.ts'
import { type AgentNames, WATCHER_COUNT_MAX } from './agent-names.ts'
import type { Life } from './component-life.ts'
import type { ComponentRunner } from './component-runner.ts'

/** What the component interface needs from the agent. */
export interface CpmPort {
  readonly node: string
  readonly nodeId: number
  readonly cluster: string
  /** The newest that the node has. */
  readonly model: () => Model
  readonly names: AgentNames
  readonly groups: AgentGroups
  readonly health: AgentHealth
  readonly monitoring: AgentMonitoring
  /** The director, for what concerns more than this node. */
  readonly elsewhere: Pick<DirectorLink, 'errorReport' | 'errorClear'>
  runner(component: string): ComponentRunner | undefined
  /** The runner whose present life opened this connection. */
  runnerOf(caller: string): ComponentRunner | undefined
  /** Runners of components that the process behind the connection acts for. */
  mediatedBy(caller: string): readonly ComponentRunner[]
  /** Binds a connection to a component. */
  bind(caller: string, runner: ComponentRunner): void
}

/** Functions of the `Cpm` interface: what components call on their node's agent. */
export function cpmHandlers(port: CpmPort): HandlersOf<(typeof Cpm)['spec'], IncomingCall> {
  const { node, nodeId, cluster, names, health } = port
  return {
    initialize: ({ component, pid }, call) => {
      const runner = known(port, component)
      runner.initialized(call.caller, pid)
      port.bind(call.caller, runner)
      return { node, nodeId, cluster }
    },
    register: ({ component, address }, call) => {
      const { runner, life } = caller(port, call)
      if (component === runner.model.name) runner.registered(life, address)
      else registerFor(port, runner, life, component)
      return {}
    },
    unregister: ({ component }, call) => {
      const { runner: by } = caller(port, call)
      const runner = component === by.model.name ? by : actedFor(port, call, by, component)
      // On its way out it may say so; out of the blue it is a component that gives up its roles unasked.
      if (runner.phase.kind === 'running') {
        const cause =
          runner === by ? 'it unregistered by itself' : `${by.model.name} unregistered it`
        runner.fail(cause, 'noRecommendation')
      }
      return {}
    },
    response: ({ invocation, rc, message }, call) => {
      const { runner, life } = answerer(port, call, invocation)
      if (port.monitoring.answered(runner, life, invocation, { rc, message })) return {}
      const kind = runner.answered(life, invocation, rc, message)
      if (kind === 'healthCheck') health.answered(runner, life)
      return {}
    },
    quiescingComplete: ({ invocation, rc }, call) => {
      const { runner, life } = answerer(port, call, invocation)
      runner.quiesced(life, invocation, rc)
      return {}
    },
    errorReport: async ({ component, recovery, message, causes }) => {
      const cause = `an error was reported: ${[...causes, message].join(' -> ')}`
      const runner = port.runner(component)
      if (runner !== undefined) runner.fail(cause, recovery)
      else await port.elsewhere.errorReport({ component, recovery, cause })
      return {}
    },
    errorClear: async ({ component }) => {
      await port.elsewhere.errorClear({ component })
      return {}
    },
    haStateGet: ({ component, csi }) => {
      const assignment = known(port, component).life?.assignments.get(csi)
      return { haState: assignment?.confirmed === true ? assignment.haState : null }
    },
    namesWatch: ({ everywhere = false }, call) => {
      if (names.watcherCount >= WATCHER_COUNT_MAX) {
        throw new SdkError('TRY_AGAIN', `${WATCHER_COUNT_MAX} programs watch names already`)
      }
      names.watch(call.caller, { everywhere })
      const { entries, isComplete: complete, registered } = names
      return { names: entries, complete, whole: complete, ...(registered && { registered }) }
    },
    finalize: () => ({}),
    ...standingHandlers(port),
  }
}

type StandingHandlers = Pick<
  HandlersOf<(typeof Cpm)['spec'], IncomingCall>,
  | 'protectionGroupTrack'
  | 'protectionGroupStop'
  | 'haReadinessSet'
  | 'healthCheckStart'
  | 'healthCheckConfirm'
  | 'healthCheckStop'
  | 'pmStart'
  | 'pmStop'
  | 'stuckFunctions'
>

/** What a component asks for and what then goes on: tracking, readiness, monitoring. */
function standingHandlers(port: CpmPort): StandingHandlers {
  const { monitoring } = port
  return {
    protectionGroupTrack: async ({ csi, watch }, call) => {
      if (!port.model().csis.has(csi)) throw noCsi(csi)
      return { group: await port.groups.track(call.caller, csi, watch) }
    },
    protectionGroupStop: ({ csi }, call) => {
      port.groups.stop(call.caller, csi)
      return {}
    },
    haReadinessSet: ({ component, csi, state }, call) => {
      const { runner, life } = caller(port, call, component)
      const model = port.model()
      const instance = model.serviceInstances.get(model.csis.get(csi ?? '')?.serviceInstance ?? '')
      if (csi !== null && instance?.serviceGroup !== runner.model.serviceGroup) throw noCsi(csi)
      runner.setHaReadiness(life, csi, state)
      return {}
    },
    healthCheckStart: ({ component, key, invocation, recovery }, call) => {
      const { runner, life } = caller(port, call, component)
      monitoring.startCheck(runner, life, key, { invocation, recovery })
      return {}
    },
    healthCheckConfirm: ({ component, key, rc, message }, call) => {
      const { runner, life } = caller(port, call, component)
      monitoring.confirmCheck(runner, life, key, { rc, message })
      return {}
    },
    healthCheckStop: ({ component, key }, call) => {
      const { runner, life } = caller(port, call, component)
      monitoring.stopCheck(runner, life, key)
      return {}
    },
    pmStart: ({ component, pid, descendants, errors, recovery }, call) => {
      const { runner, life } = caller(port, call, component)
      monitoring.startMonitor(runner, life, { pid, depth: descendants, errors, recovery })
      return {}
    },
    stuckFunctions: ({ functions }, call) => {
      const { runner } = caller(port, call)
      const why = `${functions.join(', ')} runs on past its deadline`
      runner.setBusy('function', functions.length > 0, 0, why)
      return {}
    },
    pmStop: ({ component, pid, scope, errors }, call) => {
      const { runner, life } = caller(port, call, component)
      monitoring.stopMonitor(runner, life, { pid, scope, errors })
      return {}
    },
  }
}

function noCsi(csi: string): SdkError {
  return new SdkError('NOT_EXIST', `the model has no CSI ${csi} that this component could have`)
}

function known(port: CpmPort, component: string): ComponentRunner {
  const runner = port.runner(component)
  if (runner !== undefined) return runner
  throw new SdkError('NOT_EXIST', `node ${port.node} has no component ${component}`)
}

/** A proxy or container registers a component that it acts for. SAF AMF B.04.01 section 7.4. */
function registerFor(port: CpmPort, by: ComponentRunner, life: Life, component: string): void {
  const runner = known(port, component)
  const { mediation } = runner.model
  const { name } = by.model
  if (mediation === null) {
    throw new SdkError('INVALID_PARAMETER', `component ${name} cannot speak for ${component}`)
  }
  if (life.assignments.get(mediation.csi)?.haState !== 'ACTIVE') {
    const message = `${name} is not ACTIVE for ${mediation.csi}: it cannot register ${component}`
    throw new SdkError('BAD_OPERATION', message)
  }
  runner.registeredBy(life.caller ?? '', life.address)
}

/** @throws SdkError BAD_OPERATION when whoever asks does not act for the component now. */
function actedFor(
  port: CpmPort,
  call: IncomingCall,
  by: ComponentRunner,
  component: string,
): ComponentRunner {
  const runner = port.mediatedBy(call.caller).find(({ model }) => model.name === component)
  if (runner !== undefined) return runner
  const message = `${by.model.name} does not act for ${component}: it cannot unregister it`
  throw new SdkError('BAD_OPERATION', message)
}

/** Who waits for the answer: the component itself, or one that it acts for. */
function answerer(
  port: CpmPort,
  call: IncomingCall,
  invocation: number,
): { readonly runner: ComponentRunner; readonly life: Life } {
  for (const runner of port.mediatedBy(call.caller)) {
    const { life } = runner
    if (life?.pending.has(invocation) === true) return { runner, life }
  }
  return caller(port, call)
}

/** The component behind a connection. @throws SdkError NOT_INITIALIZED before `initialize`, or after its life ended. */
function caller(
  port: CpmPort,
  call: IncomingCall,
  component?: string,
): { readonly runner: ComponentRunner; readonly life: Life } {
  const runner = port.runnerOf(call.caller)
  const life = runner?.life
  if (runner === undefined || life?.caller !== call.caller) {
    throw new SdkError(
      'NOT_INITIALIZED',
      'this connection belongs to no component: initialize first',
    )
  }
  if (component !== undefined && component !== runner.model.name) {
    const message = `component ${runner.model.name} cannot speak for ${component}`
    throw new SdkError('INVALID_PARAMETER', message)
  }
  return { runner, life }
}
