import { z } from 'zod'
import { defineInterface } from '../../../idl/index.ts'
import { CLIENT_ID } from '../../cpm/interface.ts'

/**
 * The event service: channels, publishers and subscribers that do not know each other. SAFplus, section 15; SAF AIS
 * EVT B.03.01.
 *
 * A component calls the server side of its own node. Which channels there are, and which nodes have subscribers, is
 * told in the one order of all nodes. Events are not: they go from the publisher's node straight to the nodes that want
 * them.
 */

/** Bounds of the service, and what is refused beyond them. */
export const EVENT_LIMITS = {
  nameLength: 255,
  /** Channels of the cluster, and local ones of each node: NO_RESOURCE. */
  channelCount: 1_024,
  /** Channels that one program has open: NO_RESOURCE. */
  openCount: 256,
  /** Subscriptions of one program: NO_RESOURCE. */
  subscriptionCount: 1_024,
  /** Patterns of an event, filters of a subscription, bytes of each: INVALID_PARAMETER. */
  patternCount: 32,
  patternBytes: 1_024,
  /** A packed rule: INVALID_PARAMETER. */
  ruleBytes: 64 * 1_024,
  /** TOO_BIG. */
  dataBytes: 256 * 1_024,
  /** 100 years. INVALID_PARAMETER. */
  retentionMs: 100 * 365 * 86_400_000,
  /** Retained events of all global channels, and of the local ones of a node: NO_SPACE. Less than may wait. */
  retainedCount: 16_384,
  retainedBytes: 8 * 1_024 * 1_024,
  /** Events that wait for one program, or on their way to one node: then the oldest ones are lost, and it is told. */
  waitingCount: 65_536,
  waitingBytes: 16 * 1_024 * 1_024,
  /** Events that a publisher has given to its node and that were not taken yet, of each open channel: TRY_AGAIN. */
  unpublishedCount: 65_536,
  unpublishedBytes: 16 * 1_024 * 1_024,
} as const

const bytes: z.ZodType<Uint8Array, Uint8Array> = z.instanceof(Uint8Array)
const none = z.strictObject({})
const numberSchema = z.int().min(0)

export const channelNameSchema = z.string().min(1).max(EVENT_LIMITS.nameLength)
export const channelScopeSchema = z.enum(['GLOBAL', 'LOCAL'])
/** GLOBAL: one channel for all nodes. LOCAL: events do not leave the node. */
export type ChannelScope = z.infer<typeof channelScopeSchema>

export const filterTypeSchema = z.enum(['PREFIX', 'SUFFIX', 'EXACT', 'PASS_ALL', 'NON_ZERO'])
/** How a filter looks at its pattern. SAFplus, section 15, "Filter types". */
export type FilterType = z.infer<typeof filterTypeSchema>

const patternSchema = bytes.refine((pattern) => pattern.byteLength <= EVENT_LIMITS.patternBytes, {
  error: `at most ${EVENT_LIMITS.patternBytes} bytes`,
})

export const filterSchema = z.discriminatedUnion('kind', [
  /** Filter `i` is for pattern `i`; all must match. None: every event. */
  z.strictObject({
    kind: z.literal('patterns'),
    filters: z
      .array(z.strictObject({ type: filterTypeSchema, pattern: patternSchema }))
      .max(EVENT_LIMITS.patternCount),
  }),
  /** A packed rule, evaluated over the patterns. SAFplus, section 20.7. */
  z.strictObject({
    kind: z.literal('rule'),
    rule: bytes.refine((rule) => rule.byteLength <= EVENT_LIMITS.ruleBytes, {
      error: `at most ${EVENT_LIMITS.ruleBytes} bytes`,
    }),
  }),
])
/** What a subscription wants, in its form on the wire. */
export type SubscriptionFilter = z.infer<typeof filterSchema>

/** What programs call on the agent of their node. `open` and `subscription` are numbers that the caller chooses. */
export const EventService = defineInterface({
  name: 'EventService',
  clientId: CLIENT_ID.event,
  version: 'B.1.1',
  methods: {
    /**
     * Answered when every node knows it: what is published anywhere from then on comes. Errors: NOT_EXIST without
     * `create`; NO_RESOURCE; TIMEOUT.
     */
    channelOpen: {
      serviceId: 0,
      input: z.strictObject({
        open: numberSchema,
        name: channelNameSchema,
        scope: channelScopeSchema,
        create: z.boolean(),
        isSubscriber: z.boolean(),
        isPublisher: z.boolean(),
        timeoutMs: z.int().min(1).max(600_000),
      }),
      output: z.strictObject({ channel: z.int() }),
    },
    /** Errors: CHANNEL_NOT_OPENED. */
    channelClose: {
      serviceId: 1,
      input: z.strictObject({ open: numberSchema }),
      output: none,
    },
    /** Errors: NOT_EXIST. */
    channelUnlink: {
      serviceId: 2,
      input: z.strictObject({ name: channelNameSchema, scope: channelScopeSchema }),
      output: none,
    },
    /**
     * Retained events come first. Errors: CHANNEL_NOT_OPENED, NOT_OPENED_FOR_SUBSCRIPTION, INVALID_BUFFER for a rule
     * that is none, NO_RESOURCE.
     */
    subscribe: {
      serviceId: 3,
      input: z.strictObject({
        open: numberSchema,
        subscription: numberSchema,
        filter: filterSchema,
      }),
      output: none,
    },
    unsubscribe: {
      serviceId: 4,
      input: z.strictObject({ open: numberSchema, subscription: numberSchema }),
      output: none,
    },
    /**
     * Events in their binary form (`record.ts`), in the order in which they are published; one with a retention time
     * comes alone, and is answered when every node of the cluster holds it. They get consecutive ids. Errors:
     * CHANNEL_NOT_OPENED, NOT_OPENED_FOR_PUBLISH, MESSAGE_ERROR, NO_SPACE, TIMEOUT.
     */
    publish: {
      serviceId: 5,
      input: z.strictObject({ open: numberSchema, records: bytes }),
      output: z.strictObject({ node: z.int(), counter: z.int() }),
    },
    /** Errors: CHANNEL_NOT_OPENED; NOT_EXIST when no such event is retained. */
    retentionTimeClear: {
      serviceId: 6,
      input: z.strictObject({ open: numberSchema, node: z.int(), counter: z.int() }),
      output: none,
    },
  },
})

export const runSchema = z.strictObject({
  /** Records of the message, one after the other ... */
  count: z.int(),
  /** ... that are for these subscriptions. */
  subscriptions: z.array(z.int()),
})

/** What the agent calls on a program. Answered when the callbacks are done: the next message comes after it. */
export const EventPush = defineInterface({
  name: 'EventPush',
  clientId: CLIENT_ID.event,
  version: 'B.1.1',
  methods: {
    deliver: {
      serviceId: 32,
      input: z.strictObject({
        /** Counts messages from 1; the same one again has its number. */
        batch: z.int(),
        runs: z.array(runSchema),
        records: bytes,
      }),
      output: none,
    },
  },
})

/** What the agents call on each other. */
export const EventPeer = defineInterface({
  name: 'EventPeer',
  clientId: CLIENT_ID.event,
  version: 'B.1.1',
  methods: {
    /**
     * Events from one life of a node to one life of another. May come twice: their sequence tells. Errors: TRY_AGAIN
     * when the receiver does not see the sender in its view (yet, or any more).
     */
    deliver: {
      serviceId: 40,
      input: z.strictObject({
        from: z.string(),
        to: z.string(),
        /** The place in the order that the sender had reached: the receiver gets there first. */
        revision: z.int(),
        records: bytes,
      }),
      output: none,
    },
    /** Answered when the node has reached this place in the order. */
    reached: { serviceId: 41, input: z.strictObject({ revision: z.int() }), output: none },
  },
})
