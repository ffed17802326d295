import { z } from 'zod'
import { defineInterface } from '../../idl/index.ts'
import { registeredNamesSchema } from './registered-names.ts'

/** Client ids of the platform tables that Holdfast uses. SAFplus EO, section 3.7. */
export const CLIENT_ID = {
  native: 0,
  /** The original's default table, which nothing here installs. */
  clusterEvents: 1,
  eoManagement: 2,
  /** The original's COR client: there is no object registry here. */
  name: 3,
  event: 4,
  cpmCallbacks: 5,
  debug: 7,
  transaction: 8,
  group: 9,
  management: 10,
  agentCommands: 11,
  log: 12,
  checkpoint: 13,
  checkpointReplica: 14,
  directorNode: 15,
  cpm: 16,
  orderLead: 17,
  checkpointPush: 18,
  orderFollow: 19,
  userFirst: 20,
} as const

export const haStateSchema = z.enum(['ACTIVE', 'STANDBY', 'QUIESCED', 'QUIESCING'])
export type HaState = z.infer<typeof haStateSchema>

/** How a component got its role: SAF AMF B.04.01, CSI descriptor. */
export const transitionSchema = z.enum(['NEW_ASSIGN', 'QUIESCED', 'NOT_QUIESCED', 'STILL_ACTIVE'])
export type Transition = z.infer<typeof transitionSchema>

export const csiFlagsSchema = z.enum(['ADD_ONE', 'TARGET_ONE', 'TARGET_ALL'])

export const addressSchema = z.strictObject({ node: z.int(), port: z.int() })

export const nameEntrySchema = z.strictObject({
  name: z.string(),
  csi: z.string(),
  address: addressSchema.nullable(),
  epoch: z.int(),
})

const nameNews = z.strictObject({
  names: z.array(nameEntrySchema),
  /** False only before the first director was heard: an unknown name may exist. */
  complete: z.boolean(),
  /** It is the whole table: names that it lacks are gone. */
  whole: z.boolean(),
  /** Left out while no component has registered a name. */
  registered: registeredNamesSchema.optional(),
})

/** What the agent tells a component about one CSI. */
export const csiDescriptorSchema = z.strictObject({
  csi: z.string(),
  flags: csiFlagsSchema,
  haState: haStateSchema,
  /** Epoch of the ACTIVE grant; for other states the epoch known at that time. */
  epoch: z.int(),
  transition: transitionSchema.nullable(),
  /** The component that was (ACTIVE) or is (STANDBY) the active one. */
  activeComponent: z.string().nullable(),
  /** 1 takes over first. 0 unless STANDBY. */
  standbyRank: z.int(),
  /** Present on ADD_ONE. */
  attributes: z.record(z.string(), z.array(z.string())),
})
export type CsiDescriptor = z.infer<typeof csiDescriptorSchema>

export const recoverySchema = z.enum([
  'noRecommendation',
  'componentRestart',
  'suRestart',
  'componentFailover',
  'suFailover',
  'nodeSwitchover',
  'nodeFailover',
  'nodeFailfast',
  'applicationRestart',
  'clusterReset',
  'containerRestart',
])
export type Recovery = z.infer<typeof recoverySchema>

/** How far a component is able to take a CSI. SAF AMF B.04.01, HA readiness state. */
export const haReadinessSchema = z.enum([
  'READY_FOR_ASSIGNMENT',
  'READY_FOR_ACTIVE_DEGRADED',
  'NOT_READY_FOR_ACTIVE',
  'NOT_READY_FOR_ASSIGNMENT',
])
export type HaReadiness = z.infer<typeof haReadinessSchema>

/** Who has a CSI at one instant. Of two groups of one CSI the later one has the greater (term, revision). */
export const protectionGroupSchema = z.strictObject({
  csi: z.string(),
  term: z.int(),
  revision: z.int(),
  members: z.array(
    z.strictObject({
      component: z.string(),
      haState: haStateSchema,
      haReadiness: haReadinessSchema,
      /** Place in the order of take-over, from 1; 0 unless STANDBY. */
      rank: z.int(),
    }),
  ),
})
export type ProtectionGroup = z.infer<typeof protectionGroupSchema>

/** Ways in which a process can end, for passive monitoring. */
export const processErrorSchema = z.enum(['EXIT_ZERO', 'EXIT_NON_ZERO', 'ABNORMAL_END'])
export type ProcessError = z.infer<typeof processErrorSchema>

/** Longest chain of causes that a report may carry, and longest text of each. */
const causesSchema = z.array(z.string().max(1_000)).max(5)
/** How long the agent waits for the end of a callback: no wait inside of it lasts longer. */
const answerTimeoutSchema = z.int().min(1).optional()
/** Stuck functions that are named at most. */
export const STUCK_COUNT_MAX = 8
/** Longest name of one. */
export const STUCK_NAME_MAX = 130
const keySchema = z.string().min(1).max(32)

const none = z.strictObject({})

/** What a component calls on its node's agent (port 1 of the own node). */
export const Cpm = defineInterface({
  name: 'Cpm',
  clientId: CLIENT_ID.cpm,
  version: 'B.1.1',
  methods: {
    /** First call of a component: binds this connection to the component that the agent launched. */
    initialize: {
      serviceId: 0,
      input: z.strictObject({ component: z.string(), pid: z.int(), version: z.string() }),
      output: z.strictObject({ node: z.string(), nodeId: z.int(), cluster: z.string() }),
    },
    /** "I am ready for work." Nothing is assigned before it. */
    register: {
      serviceId: 1,
      input: z.strictObject({
        component: z.string(),
        proxy: z.string().nullable(),
        address: addressSchema,
      }),
      output: none,
    },
    unregister: { serviceId: 2, input: z.strictObject({ component: z.string() }), output: none },
    /** Answer to csiSet, csiRemove, terminate and healthCheck. `rc` 0 is OK. Late answers are ignored. */
    response: {
      serviceId: 3,
      input: z.strictObject({ invocation: z.int(), rc: z.int(), message: z.string() }),
      output: none,
    },
    quiescingComplete: {
      serviceId: 4,
      input: z.strictObject({ invocation: z.int(), rc: z.int() }),
      output: none,
    },
    /** The component reports an error of itself or of another one. */
    errorReport: {
      serviceId: 5,
      input: z.strictObject({
        component: z.string(),
        recovery: recoverySchema,
        message: z.string(),
        /** What led to it, the first cause first. */
        causes: causesSchema,
      }),
      output: none,
    },
    /** What failed works again: a component that nobody repairs by itself is ENABLED. */
    errorClear: { serviceId: 9, input: z.strictObject({ component: z.string() }), output: none },
    haStateGet: {
      serviceId: 6,
      input: z.strictObject({ component: z.string(), csi: z.string() }),
      output: z.strictObject({ haState: haStateSchema.nullable() }),
    },
    /**
     * Subscribes this connection to the name table. The table comes back; changes follow by `namesChanged`. Who watches
     * `everywhere` hears of a change at once from one node and a moment later from the others.
     */
    namesWatch: {
      serviceId: 7,
      input: z.strictObject({ everywhere: z.boolean().optional() }),
      output: nameNews,
    },
    /** Functions that run on past their deadline, all of them; none: they have all come back. */
    stuckFunctions: {
      serviceId: 28,
      input: z.strictObject({
        functions: z.array(z.string().max(STUCK_NAME_MAX)).max(STUCK_COUNT_MAX),
      }),
      output: none,
    },
    finalize: { serviceId: 8, input: none, output: none },
    /** Who has the CSI now. With `watch` changes follow by `protectionGroupChanged`, on this connection. */
    protectionGroupTrack: {
      serviceId: 20,
      input: z.strictObject({ csi: z.string(), watch: z.boolean() }),
      output: z.strictObject({ group: protectionGroupSchema }),
    },
    protectionGroupStop: {
      serviceId: 21,
      input: z.strictObject({ csi: z.string() }),
      output: none,
    },
    /** `csi` null: for all of the component's CSIs. */
    haReadinessSet: {
      serviceId: 22,
      input: z.strictObject({
        component: z.string(),
        csi: z.string().nullable(),
        state: haReadinessSchema,
      }),
      output: none,
    },
    healthCheckStart: {
      serviceId: 23,
      input: z.strictObject({
        component: z.string(),
        key: keySchema,
        invocation: z.enum(['AMF_INVOKED', 'COMPONENT_INVOKED']),
        recovery: recoverySchema,
      }),
      output: none,
    },
    healthCheckConfirm: {
      serviceId: 24,
      input: z.strictObject({
        component: z.string(),
        key: keySchema,
        rc: z.int(),
        message: z.string(),
      }),
      output: none,
    },
    healthCheckStop: {
      serviceId: 25,
      input: z.strictObject({ component: z.string(), key: keySchema }),
      output: none,
    },
    /** Passive monitoring of a process of this machine. */
    pmStart: {
      serviceId: 26,
      input: z.strictObject({
        component: z.string(),
        pid: z.int().min(1),
        /** Levels of descendants that are monitored too; 0: none, -1: all. */
        descendants: z.int().min(-1),
        errors: z.array(processErrorSchema).min(1),
        recovery: recoverySchema,
      }),
      output: none,
    },
    pmStop: {
      serviceId: 27,
      input: z.strictObject({
        component: z.string(),
        pid: z.int().min(1),
        scope: z.enum(['PROCESS', 'PROCESS_AND_DESCENDANTS', 'ALL']),
        errors: z.array(processErrorSchema).min(1),
      }),
      output: none,
    },
  },
})

const actFor = z.strictObject({ invocation: z.int(), component: z.string() })

/** What the agent calls on a component. Each callback with an invocation is answered by `Cpm.response`. */
export const CpmCallbacks = defineInterface({
  name: 'CpmCallbacks',
  clientId: CLIENT_ID.cpmCallbacks,
  version: 'B.1.1',
  methods: {
    csiSet: {
      serviceId: 0,
      input: z.strictObject({
        invocation: z.int(),
        component: z.string(),
        haState: haStateSchema,
        descriptor: csiDescriptorSchema,
        timeoutMs: answerTimeoutSchema,
      }),
      output: none,
    },
    csiRemove: {
      serviceId: 1,
      input: z.strictObject({
        invocation: z.int(),
        component: z.string(),
        csi: z.string(),
        flags: csiFlagsSchema,
        timeoutMs: answerTimeoutSchema,
      }),
      output: none,
    },
    terminate: {
      serviceId: 2,
      input: z.strictObject({ invocation: z.int(), component: z.string() }),
      output: none,
    },
    healthCheck: {
      serviceId: 3,
      input: z.strictObject({ invocation: z.int(), component: z.string(), key: z.string() }),
      output: none,
    },
    /** A proxy is to bring up a component that it acts for, and register it. */
    proxiedComponentInstantiate: { serviceId: 5, input: actFor, output: none },
    /** A proxy is to make sure that nothing of the component is left. */
    proxiedComponentCleanup: { serviceId: 6, input: actFor, output: none },
    /** The same for a container and what runs inside it. */
    containedComponentInstantiate: { serviceId: 7, input: actFor, output: none },
    containedComponentCleanup: { serviceId: 8, input: actFor, output: none },
    namesChanged: {
      serviceId: 4,
      input: nameNews,
      output: none,
    },
    /** A protection group that this connection watches has changed. */
    protectionGroupChanged: {
      serviceId: 20,
      input: z.strictObject({ group: protectionGroupSchema }),
      output: none,
    },
  },
})

/** Environment that the agent gives to a component process. */
export const COMPONENT_ENV = {
  runDir: 'HOLDFAST_RUN_DIR',
  component: 'HOLDFAST_COMPONENT',
  node: 'HOLDFAST_NODE',
  nodeId: 'HOLDFAST_NODE_ID',
  /** Pid of the node process: a component whose parent is somebody else at start ends at once. */
  parentPid: 'HOLDFAST_PARENT_PID',
  hungMs: 'HOLDFAST_HUNG_MS',
  /** A component that holds ACTIVE ends when its agent answered no beat for so long. */
  leaseMs: 'HOLDFAST_LEASE_MS',
  /** For commands of a component that is not pre-instantiable: the CSI that it is ACTIVE for. */
  csi: 'HOLDFAST_CSI',
} as const
