import type { HaReadiness } from '../../runtime/internal.ts'
import type { ComponentFacts, PresenceState, StandbyPlace } from '../engine/contract.ts'
import type { Phase } from './component-life.ts'

/** {@link ComponentFacts} as they travel. */
export type ComponentFactsRecord = {
  component: string
  presence: PresenceState
  pid: number | null
  incarnation: number
  address: ComponentFacts['address']
  mediator: string | null
  assignments: (ComponentFacts['assignments'][number] & { told: StandbyPlace | null })[]
  haReadiness: { csi: string | null; state: HaReadiness }[]
  busy: boolean
  monitored: boolean
}

/** What is true of a component. A life that is being ended keeps its roles until its exit was seen. */
export function factsOf(
  component: string,
  phase: Phase,
  { busy, monitored }: { readonly busy: boolean; readonly monitored: boolean },
): ComponentFactsRecord {
  const presence = presenceOf(phase)
  const nothing = {
    pid: null,
    incarnation: 0,
    address: null,
    mediator: null,
    assignments: [],
    haReadiness: [],
    busy: false,
    monitored: false,
  }
  if (phase.kind === 'idle' || phase.kind === 'pausing') return { component, presence, ...nothing }
  const { life } = phase
  const assignments = [...life.assignments].map(([csi, { haState, epoch, confirmed, told }]) => ({
    csi,
    haState,
    epoch,
    confirmed,
    told,
  }))
  const pid = life.process.pid
  return {
    component,
    presence,
    pid,
    incarnation: life.incarnation,
    address: life.address,
    mediator: life.mediator,
    assignments,
    haReadiness: [...life.haReadiness].map(([csi, state]) => ({ csi, state })),
    busy,
    monitored,
  }
}

function presenceOf(phase: Phase): PresenceState {
  switch (phase.kind) {
    case 'idle':
      return phase.presence
    case 'starting':
    case 'pausing':
      return 'INSTANTIATING'
    case 'running':
      return 'INSTANTIATED'
    case 'ending':
    case 'cleaning':
      if (phase.kind === 'cleaning' && phase.failed === true) return 'TERMINATION_FAILED'
      return phase.end.kind === 'retry' ? 'INSTANTIATING' : 'TERMINATING'
  }
}
