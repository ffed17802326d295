import { z } from 'zod'
import { defineInterface } from '../../idl/index.ts'
import {
  addressSchema,
  CLIENT_ID,
  csiDescriptorSchema,
  haReadinessSchema,
  haStateSchema,
  nameEntrySchema,
  protectionGroupSchema,
  recoverySchema,
} from '../../runtime/internal.ts'

/**
 * Director and agents. The director listens on port 22 (AMS) of its node, agents on port 1. Each command carries the
 * director's term; an agent refuses an older term than it has seen (`STALE_TERM`) and drops what it had queued from it.
 */

const none = z.strictObject({})
const presenceSchema = z.enum([
  'UNINSTANTIATED',
  'INSTANTIATING',
  'INSTANTIATED',
  'TERMINATING',
  'RESTARTING',
  'INSTANTIATION_FAILED',
  'TERMINATION_FAILED',
])

export const componentFactsSchema = z.strictObject({
  component: z.string(),
  presence: presenceSchema,
  pid: z.int().nullable(),
  incarnation: z.int(),
  address: addressSchema.nullable(),
  mediator: z.string().nullable(),
  assignments: z.array(
    z.strictObject({
      csi: z.string(),
      haState: haStateSchema,
      epoch: z.int(),
      confirmed: z.boolean(),
      told: z
        .strictObject({ standbyRank: z.int(), activeComponent: z.string().nullable() })
        .nullable(),
    }),
  ),
  /** What the component said of itself; `csi` null: for all others. */
  haReadiness: z.array(z.strictObject({ csi: z.string().nullable(), state: haReadinessSchema })),
  busy: z.boolean(),
  monitored: z.boolean(),
})

/** Events of one node, in the order they happened there. Shapes as in `engine/contract.ts`. */
export const agentEventSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('componentRegistered'),
    component: z.string(),
    incarnation: z.int(),
    pid: z.int().nullable(),
    address: addressSchema.nullable(),
  }),
  z.strictObject({
    kind: z.literal('instantiationFailed'),
    component: z.string(),
    cause: z.string(),
  }),
  z.strictObject({
    kind: z.literal('componentFailed'),
    component: z.string(),
    incarnation: z.int(),
    recovery: recoverySchema,
    cause: z.string(),
  }),
  z.strictObject({
    kind: z.literal('componentTerminated'),
    component: z.string(),
    incarnation: z.int(),
  }),
  z.strictObject({ kind: z.literal('cleanupFailed'), component: z.string(), cause: z.string() }),
  z.strictObject({
    kind: z.literal('csiSetDone'),
    component: z.string(),
    incarnation: z.int(),
    csi: z.string(),
    haState: haStateSchema,
    invocation: z.int(),
    complete: z.boolean(),
  }),
  z.strictObject({
    kind: z.literal('csiRemoveDone'),
    component: z.string(),
    incarnation: z.int(),
    csi: z.string(),
    invocation: z.int(),
  }),
  z.strictObject({
    kind: z.literal('busy'),
    component: z.string(),
    busy: z.boolean(),
    delayMs: z.number(),
    why: z.string().max(1_000).optional(),
  }),
  z.strictObject({
    kind: z.literal('monitoring'),
    component: z.string(),
    incarnation: z.int(),
    monitored: z.boolean(),
  }),
  z.strictObject({
    kind: z.literal('haReadiness'),
    component: z.string(),
    incarnation: z.int(),
    csi: z.string().nullable(),
    state: haReadinessSchema,
  }),
])
export type AgentEvent = z.infer<typeof agentEventSchema>

/** Characters of a model at most: its text travels in one message and is kept in one record. */
export const MODEL_LENGTH_MAX = 4_000_000

/** A model that an operator applied: see `ModelSource`. */
export const modelSourceSchema = z.strictObject({
  text: z.string(),
  path: z.string(),
  version: z.int(),
})

/** Who acts for a component without a process of its own, on the node that gets the command. */
const mediationOrderSchema = z.strictObject({
  mediator: z.string(),
  incarnation: z.int(),
  kept: z
    .array(z.strictObject({ csi: z.string(), haState: haStateSchema, epoch: z.int() }))
    .nullable(),
})

export const agentCommandSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('instantiate'),
    component: z.string(),
    mediation: mediationOrderSchema.nullable(),
    descriptor: csiDescriptorSchema.nullable(),
    why: z.string(),
  }),
  z.strictObject({
    kind: z.literal('terminate'),
    component: z.string(),
    incarnation: z.int(),
    why: z.string(),
  }),
  z.strictObject({
    kind: z.literal('cleanup'),
    component: z.string(),
    incarnation: z.int(),
    mediation: mediationOrderSchema.nullable(),
    why: z.string(),
  }),
  z.strictObject({
    kind: z.literal('csiSet'),
    component: z.string(),
    incarnation: z.int(),
    invocation: z.int(),
    haState: haStateSchema,
    descriptor: csiDescriptorSchema,
    replicas: z.array(z.string()),
    inSync: z.array(z.string()).nullable(),
    why: z.string(),
  }),
  z.strictObject({
    kind: z.literal('csiRemove'),
    component: z.string(),
    incarnation: z.int(),
    invocation: z.int(),
    csi: z.string(),
    why: z.string(),
  }),
  z.strictObject({
    kind: z.literal('setReplicas'),
    csi: z.string(),
    epoch: z.int(),
    replicas: z.array(z.string()),
    inSync: z.array(z.string()).nullable(),
    why: z.string(),
  }),
  z.strictObject({
    kind: z.literal('monitor'),
    component: z.string(),
    incarnation: z.int(),
    monitored: z.boolean(),
    why: z.string(),
  }),
  /** Somebody on another node found out that the component does not work. */
  z.strictObject({
    kind: z.literal('errorReport'),
    component: z.string(),
    recovery: recoverySchema,
    why: z.string(),
  }),
  z.strictObject({ kind: z.literal('restartNode'), why: z.string() }),
  /** From here on this is the model: the commands that follow are about it. */
  z.strictObject({ kind: z.literal('useModel'), source: modelSourceSchema, why: z.string() }),
  /** The director forgot nothing of this node: the agent may end itself and its components (cluster stops). */
  z.strictObject({ kind: z.literal('stopNode'), why: z.string() }),
])
export type AgentCommand = z.infer<typeof agentCommandSchema>

/** What agents call on the director. */
export const DirectorNode = defineInterface({
  name: 'DirectorNode',
  clientId: CLIENT_ID.directorNode,
  version: 'B.1.1',
  methods: {
    /** First call of an agent under a term: the whole truth about its node. */
    join: {
      serviceId: 0,
      input: z.strictObject({
        node: z.string(),
        nodeId: z.int(),
        term: z.int(),
        pid: z.int(),
        /** Of the model that the agent has: see `ModelSource`. */
        modelVersion: z.int(),
        /** Counts the agent's joins, over all directors. Commands carry it back: see `AgentCommands.commands`. */
        session: z.int(),
        facts: z.array(componentFactsSchema),
      }),
      output: z.strictObject({ names: z.array(nameEntrySchema) }),
    },
    events: {
      serviceId: 1,
      input: z.strictObject({ node: z.string(), term: z.int(), events: z.array(agentEventSchema) }),
      output: none,
    },
    /** Resolves when the change is durable. Errors: `STALE_EPOCH`, `TRY_AGAIN`. */
    inSyncChange: {
      serviceId: 2,
      input: z.strictObject({
        csi: z.string(),
        epoch: z.int(),
        node: z.int(),
        inSync: z.boolean(),
      }),
      output: none,
    },
    /**
     * A component of another node was found not to work: its agent kills it. Errors: `NOT_EXIST`; `TRY_AGAIN` while its
     * node is not there.
     */
    errorReport: {
      serviceId: 3,
      input: z.strictObject({ component: z.string(), recovery: recoverySchema, cause: z.string() }),
      output: none,
    },
    /** The component works, whoever found that it failed: it is repaired. Errors: as of `Management.admin`. */
    errorClear: {
      serviceId: 4,
      input: z.strictObject({ component: z.string() }),
      output: none,
    },
    /**
     * CSIs whose protection groups this node wants to hear of; a later call replaces the list. Answers with the groups
     * of all in `track` and `read` that are known: one that is missing follows when every node was heard of.
     */
    protectionGroups: {
      serviceId: 20,
      input: z.strictObject({
        node: z.string(),
        term: z.int(),
        track: z.array(z.string()),
        read: z.array(z.string()),
      }),
      output: z.strictObject({ groups: z.array(protectionGroupSchema) }),
    },
  },
})

/** What the director calls on agents. */
export const AgentCommands = defineInterface({
  name: 'AgentCommands',
  clientId: CLIENT_ID.agentCommands,
  version: 'B.1.1',
  methods: {
    /**
     * Error TRY_AGAIN when `session` is not that of the agent's newest facts: such commands were decided before the
     * director knew them, and the facts do not contain what the commands would do.
     */
    commands: {
      serviceId: 0,
      input: z.strictObject({
        term: z.int(),
        session: z.int(),
        commands: z.array(agentCommandSchema),
      }),
      output: none,
    },
    /**
     * Changed entries of the name table; the whole table when `complete`. With `isEcho` another agent tells them to
     * those who watch every node, and this one a moment later. Sent one-way.
     */
    names: {
      serviceId: 1,
      input: z.strictObject({
        term: z.int(),
        names: z.array(nameEntrySchema),
        complete: z.boolean(),
        isEcho: z.boolean(),
      }),
      output: none,
    },
    /** Protection groups that changed, of those that the node tracks. Sent one-way. */
    protectionGroups: {
      serviceId: 20,
      input: z.strictObject({ term: z.int(), groups: z.array(protectionGroupSchema) }),
      output: none,
    },
  },
})

export const adminOperationSchema = z.enum([
  'lock',
  'unlock',
  'shutdown',
  'restart',
  'swap',
  'repair',
  'lock-instantiation',
  'unlock-instantiation',
  'adjust',
  'eam-start',
  'eam-stop',
])

export const statusSchema = z.object({
  cluster: z.string(),
  director: z.object({ node: z.string(), term: z.int() }).nullable(),
  /** Administrative states of the cluster, its applications and node groups. */
  scopes: z.array(z.object({ kind: z.string(), name: z.string(), adminState: z.string() })),
  nodes: z.array(z.object({ name: z.string(), state: z.string(), adminState: z.string() })),
  serviceGroups: z.array(z.object({ name: z.string(), adminState: z.string() })),
  serviceUnits: z.array(
    z.object({
      name: z.string(),
      node: z.string(),
      readiness: z.string(),
      presence: z.string(),
      adminState: z.string(),
      components: z.array(
        z.object({
          name: z.string(),
          pid: z.int().nullable(),
          /** Where it listens, such as `1:130`; null while it has not registered. */
          address: z.string().nullable(),
        }),
      ),
    }),
  ),
  serviceInstances: z.array(
    z.object({
      name: z.string(),
      state: z.string(),
      adminState: z.string(),
      /** Nodes that may become ACTIVE with nothing lost; null while nothing was written yet. */
      inSync: z.array(z.string()).nullable(),
      /** Plain words when nobody can be ACTIVE now: whom the cluster is waiting for. */
      waitingFor: z.string().nullable(),
      assignments: z.array(
        z.object({
          serviceUnit: z.string(),
          node: z.string(),
          haState: z.string(),
          components: z.array(
            z.object({
              name: z.string(),
              pid: z.int().nullable(),
              address: z.string().nullable(),
            }),
          ),
        }),
      ),
    }),
  ),
  /** Alarms that are raised now. */
  alarms: z.array(z.object({ entity: z.string(), text: z.string() })),
})
export type ClusterStatus = z.infer<typeof statusSchema>

export const notificationSchema = z.object({
  kind: z.string(),
  entity: z.string(),
  /** Minor id of the notification class, where SAF AMF B.04.01 section 11 has one. */
  minorId: z.int().optional(),
  from: z.string().nullable(),
  to: z.string(),
  /** Of a recovery: what was recommended; `to` is what is done. */
  recommended: z.string().optional(),
  serviceInstance: z.string().optional(),
  serviceUnit: z.string().optional(),
  epoch: z.number().optional(),
  transition: z.string().optional(),
  causes: z.array(z.string()),
  atMs: z.number(),
  /** Number of the notification under its term, from 1. */
  id: z.int(),
})
export type NotificationRecord = z.infer<typeof notificationSchema>

/** What operators' tools call: reach it as `@amf` through `connect()`. Everything the CLI does is here. */
export const Management = defineInterface({
  name: 'Management',
  clientId: CLIENT_ID.management,
  version: 'B.1.1',
  methods: {
    status: { serviceId: 0, input: none, output: statusSchema },
    /** Every state of one entity. Error `NOT_EXIST`. */
    state: {
      serviceId: 1,
      input: z.strictObject({ entity: z.string() }),
      output: z.object({
        entity: z.string(),
        class: z.string(),
        states: z.record(z.string(), z.string()),
      }),
    },
    /** The cause chain of the entity's last role change (newest notification first). */
    why: {
      serviceId: 2,
      input: z.strictObject({ entity: z.string() }),
      output: z.object({ entity: z.string(), notifications: z.array(notificationSchema) }),
    },
    /**
     * Answered when the operation is finished. Errors are the standard's: NO_OP, BAD_OPERATION, TRY_AGAIN,
     * NOT_EXIST.
     */
    admin: {
      serviceId: 3,
      input: z.strictObject({
        id: z.string(),
        operation: adminOperationSchema,
        entity: z.string(),
      }),
      output: none,
    },
    /**
     * Answered when the entity is in one of the states (any state name of the entity). Error INVALID_PARAMETER for a
     * word that is no state of its class.
     */
    wait: {
      serviceId: 4,
      input: z.strictObject({ entity: z.string(), states: z.array(z.string()) }),
      output: z.object({ state: z.string() }),
    },
    /** Notifications with an id above `after`, oldest first; waits up to `waitMs` when there is none. */
    notifications: {
      serviceId: 5,
      input: z.strictObject({ after: z.int(), waitMs: z.int() }),
      output: z.object({ term: z.int(), notifications: z.array(notificationSchema) }),
    },
    /** Stops every component in order, then every node; answered when no component is left. */
    stopCluster: { serviceId: 6, input: none, output: none },
    /**
     * Makes `text` the model of the running cluster, all of it or nothing; `path` is where its relative paths are
     * looked up from. Answered when it is durable and in force; the same `id` asked again, also of the next director,
     * gets the same answer. With `dryRun` only what would change, and the errors. Errors: INVALID_PARAMETER (every
     * problem of the text), BAD_OPERATION (every reason why the running cluster cannot take it), TRY_AGAIN.
     */
    applyModel: {
      serviceId: 7,
      input: z.strictObject({
        id: z.string(),
        text: z.string().max(MODEL_LENGTH_MAX),
        path: z.string(),
        dryRun: z.boolean(),
      }),
      output: z.object({
        /** Of the model in force afterwards. */
        version: z.int(),
        /** One line an entity: `+` added, `-` removed, `~` modified with its keys. */
        changes: z.array(z.string()),
      }),
    },
  },
})
