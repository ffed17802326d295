/** What `stateChange` is told. SAFplus EO, section 3.3. */
export type EoStateChange = 'suspend' | 'resume'

/** States of an EO that its management table reports. SAFplus EO, section 3.3. */
export type EoState = 'init' | 'active' | 'suspended' | 'stopping'

/** Filled by the component's `healthCheck`. SAFplus EO, section 3.7: frequency and status of the feedback. */
export interface HealthFeedback {
  /** 'none': do not poll any more; 'busy': ask less often; 'default': keep the period. */
  frequency: 'none' | 'busy' | 'default'
  status: 'alive' | 'dead'
}
