import { z } from 'zod'
import { defineInterface } from '../../../idl/index.ts'
import { addressSchema, CLIENT_ID } from '../../cpm/interface.ts'

/**
 * Transactions over components: a client names jobs and who takes part in each, agents prepare, commit or roll back.
 * SAFplus, section 17. A component calls the server side of its own node; the node on which an agent lives asks it, and
 * what agents answered goes through the one order. So every node knows the outcome at the same place, and the end of
 * any of them changes nothing of it.
 */

export const TRANSACTION_LIMITS = {
  /** Transactions of the cluster that are under way. */
  openCount: 1_024,
  /** Their definitions together, with so much for each participant. */
  openBytes: 16 * 1_024 * 1_024,
  participantBytes: 256,
  jobCount: 256,
  /** Of one job. */
  participantCount: 64,
  /** Definitions of one transaction together. */
  definitionBytes: 256 * 1_024,
  agentCount: 1_024,
  /** Of one agent. */
  serviceCount: 64,
  nameLength: 255,
  /** Ended transactions whose report is kept. */
  reportCount: 1_024,
  /** In one report; further ones are left out. */
  failureCount: 16,
  timeoutMs: 200_000,
} as const

/** A service of this type takes jobs of every type that has none of its own. SAFplus, section 17. */
export const SERVICE_TYPE_ANY = 0xffff_ffff

const bytes: z.ZodType<Uint8Array, Uint8Array> = z.instanceof(Uint8Array)

export const agentNameSchema = z.string().min(1).max(TRANSACTION_LIMITS.nameLength)
export const serviceTypeSchema = z.int().min(0).max(SERVICE_TYPE_ANY)
export const jobNumberSchema = z.int().min(1)

/** The state of a transaction, or of a job that is a unit of its own. SAFplus, section 17. */
export const transactionStateSchema = z.enum([
  'PREPARING',
  'PREPARED',
  'COMMITTING',
  'COMMITTED',
  'ROLLING_BACK',
  'ROLLED_BACK',
  'RESTORED',
  'UNKNOWN',
])

export const phaseSchema = z.enum(['prepare', 'commit', 'rollback'])
/** What an agent is asked to do with a job. */
export type TransactionPhase = z.infer<typeof phaseSchema>

/**
 * TWO_PHASE prepares, then commits or rolls back. ONE_PHASE is only told to commit, when all others are prepared: the
 * first one of a unit may still refuse. VERIFY is asked to prepare, and told no more.
 */
export const participationSchema = z.enum(['TWO_PHASE', 'ONE_PHASE', 'VERIFY'])
export type Participation = z.infer<typeof participationSchema>

export const failureSchema = z.strictObject({
  job: jobNumberSchema,
  agent: z.string(),
  phase: phaseSchema,
  code: z.string(),
  message: z.string(),
})
/** Which agent failed, in which phase of which job. */
export type TransactionFailure = z.infer<typeof failureSchema>

export const reportSchema = z.strictObject({
  id: z.string(),
  state: transactionStateSchema,
  jobs: z.array(z.strictObject({ job: jobNumberSchema, state: transactionStateSchema })),
  failures: z.array(failureSchema),
})
/** How a transaction stands, or ended. */
export type TransactionReport = z.infer<typeof reportSchema>

const timeoutSchema = z.int().min(10).max(TRANSACTION_LIMITS.timeoutMs)

export const optionsSchema = z.strictObject({
  /** What is all or nothing. */
  atomicity: z.enum(['TRANSACTION', 'JOB']),
  /** An agent that goes is waited for: to be prepared again, and without limit to commit. */
  restartOnResourceUnavailability: z.boolean(),
  /** Participants without the service are left out. */
  ignoreNoServiceRegisteredAgent: z.boolean(),
  /** For one answer of one agent. */
  jobTimeoutMs: timeoutSchema,
  /** Until the decision, and once more until everybody has followed it. */
  timeoutMs: timeoutSchema,
})
export type TransactionLimitsOfOne = z.infer<typeof optionsSchema>

/** A registered agent: by its name, or by the address of its EO. */
export const agentReferenceSchema = z.union([agentNameSchema, addressSchema])

export const jobDefinitionSchema = z.strictObject({
  job: jobNumberSchema,
  service: serviceTypeSchema,
  definition: bytes,
  participants: z
    .array(z.strictObject({ agent: agentReferenceSchema, participation: participationSchema }))
    .max(TRANSACTION_LIMITS.participantCount),
})
export type JobDefinition = z.infer<typeof jobDefinitionSchema>

export const jobsSchema = z
  .array(jobDefinitionSchema)
  .max(TRANSACTION_LIMITS.jobCount)
  .refine(
    (jobs) =>
      jobs.reduce((sum, { definition }) => sum + definition.byteLength, 0) <=
      TRANSACTION_LIMITS.definitionBytes,
    { error: `definitions of at most ${TRANSACTION_LIMITS.definitionBytes} bytes together` },
  )

const none = z.strictObject({})
/** Counts the transactions of one component. */
const ofNumber = z.strictObject({ number: z.int() })
const ofService = z.strictObject({ agent: agentNameSchema, service: serviceTypeSchema })
const reading = z.strictObject({
  value: bytes.nullable(),
  failure: z.strictObject({ code: z.string(), message: z.string() }).nullable(),
})
const toRead = z.strictObject({
  agent: agentReferenceSchema,
  job: jobNumberSchema,
  service: serviceTypeSchema,
  definition: bytes,
  timeoutMs: timeoutSchema,
})

/** What components call on the agent of their node, and nodes on each other's (`readHere`). */
export const TransactionService = defineInterface({
  name: 'TransactionService',
  clientId: CLIENT_ID.transaction,
  version: 'B.1.1',
  methods: {
    /**
     * Carries a transaction out; answered when it ended, or was rolled back wherever somebody listens. Errors: NO_JOBS,
     * NO_COMPONENTS, NO_REGD_SERVICE, INVALID_CMP_CAPABILITY, NO_SPACE.
     */
    start: {
      serviceId: 0,
      input: z.strictObject({ number: z.int(), options: optionsSchema, jobs: jobsSchema }),
      output: reportSchema,
    },
    /** Rolls back what is not decided. Errors: NOT_EXIST; INVALID_STATE when all of it is decided. */
    cancel: { serviceId: 1, input: ofNumber, output: none },
    /** Errors: NOT_EXIST. */
    report: { serviceId: 2, input: ofNumber, output: reportSchema },
    /** Errors: ALREADY_EXIST when this component has it, NO_SPACE. */
    agentServiceRegister: {
      serviceId: 3,
      input: ofService.extend({ isTwoPhase: z.boolean() }),
      output: none,
    },
    /** Errors: NOT_EXIST. */
    agentServiceUnregister: { serviceId: 4, input: ofService, output: none },
    /** What an agent says of a job, whatever is under way. Errors: NO_REGD_SERVICE. */
    read: { serviceId: 5, input: toRead, output: reading },
    /** The same, of an agent of the called node. */
    readHere: { serviceId: 6, input: toRead, output: reading },
  },
})

const jobOfAgent = z.strictObject({
  transaction: z.string(),
  agent: z.string(),
  job: jobNumberSchema,
  service: serviceTypeSchema,
  definition: bytes,
})
export type JobOfAgent = z.infer<typeof jobOfAgent>

/** What the agent of the node calls on a component. */
export const TransactionPush = defineInterface({
  name: 'TransactionPush',
  clientId: CLIENT_ID.transaction,
  version: 'B.1.1',
  methods: {
    perform: {
      serviceId: 32,
      input: jobOfAgent.extend({ phase: phaseSchema }),
      /** null: done. */
      output: z.strictObject({
        failure: z.strictObject({ code: z.string(), message: z.string() }).nullable(),
      }),
    },
    /** The transaction has ended for this agent. */
    stop: {
      serviceId: 33,
      input: z.strictObject({ transaction: z.string(), agent: z.string() }),
      output: none,
    },
    read: { serviceId: 34, input: jobOfAgent, output: reading },
  },
})
