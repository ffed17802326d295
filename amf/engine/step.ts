import type { Model } from '../model/model.ts'
import { adminRequested } from './admin.ts'
import type { EngineCommand, EngineEvent, Step } from './contract.ts'
import { tick } from './deadlines.ts'
import { Draft } from './draft.ts'
import {
  busy,
  cleanupFailed,
  componentFailed,
  componentRegistered,
  componentTerminated,
  csiRemoveDone,
  csiSetDone,
  instantiationFailed,
} from './facts.ts'
import { haReadinessChanged } from './ha-readiness.ts'
import { inSyncChange } from './in-sync.ts'
import { changeModel } from './model-change.ts'
import { monitoringChanged } from './monitoring.ts'
import { nodeGone, nodeJoined } from './nodes.ts'
import { finishNodeRecoveries, reconcileGroup } from './reconcile.ts'
import { restoreRecords } from './records.ts'
import { settleOperations } from './settle.ts'
import type { EngineState } from './state.ts'

/**
 * The availability engine: one event in, the next state and the commands that follow from it out. Pure: the given
 * state is not changed. The event becomes facts; every group that it touched is planned again; the difference between
 * plan and facts becomes the next safe commands; operations whose effect is complete are answered.
 */
export const step: Step<EngineState> = (model, state, event, nowMs) => {
  const draft =
    event.kind === 'modelChange'
      ? changeModel(model, state, event, nowMs)
      : new Draft(model, state, nowMs)
  apply(draft, event)
  converge(draft, draft.model)
  return draft.finish()
}

function apply(draft: Draft, event: EngineEvent): void {
  switch (event.kind) {
    case 'directorStarted':
      draft.beginTerm(event.term)
      restoreRecords(draft, event.records)
      for (const name of draft.index.groupAt.keys()) draft.group(name)
      return
    case 'nodeJoined':
      return nodeJoined(draft, event)
    case 'nodeGone':
      return nodeGone(draft, event)
    case 'componentRegistered':
      return componentRegistered(draft, event)
    case 'instantiationFailed':
      return instantiationFailed(draft, event)
    case 'componentFailed':
      return componentFailed(draft, event)
    case 'componentTerminated':
      return componentTerminated(draft, event)
    case 'cleanupFailed':
      return cleanupFailed(draft, event)
    case 'csiSetDone':
      return csiSetDone(draft, event)
    case 'csiRemoveDone':
      return csiRemoveDone(draft, event)
    case 'admin':
      return adminRequested(draft, event)
    case 'inSyncChange':
      return inSyncChange(draft, event)
    case 'busy':
      return busy(draft, event)
    case 'monitoring':
      return monitoringChanged(draft, event)
    case 'haReadiness':
      return haReadinessChanged(draft, event)
    case 'modelChange':
      return
    case 'tick':
      return tick(draft)
    default:
      return assertNever(event)
  }
}

/** Rounds in which groups wake each other or operations take their next step. More than these is a defect. */
const ROUNDS_MAX = 10_000

function converge(draft: Draft, model: Model): void {
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const name = draft.takeTouched()
    if (name !== undefined) {
      const sg = model.serviceGroups.get(name)
      if (sg) reconcileGroup(draft, sg)
      continue
    }
    finishNodeRecoveries(draft)
    settleOperations(draft)
    if (!draft.hasTouched()) return
  }
  throw new Error(`the engine does not come to rest after ${String(ROUNDS_MAX)} rounds`)
}

function assertNever(event: never): never {
  throw new Error(`unknown event ${JSON.stringify(event)}`)
}

/** Commands of one kind, for readers of a step's result. */
export function commandsOf<K extends EngineCommand['kind']>(
  commands: readonly EngineCommand[],
  kind: K,
): readonly Extract<EngineCommand, { kind: K }>[] {
  return commands.filter((c): c is Extract<EngineCommand, { kind: K }> => c.kind === kind)
}
