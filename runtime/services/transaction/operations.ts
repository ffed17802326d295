import { z } from 'zod'
import { makeMethodCodec } from '../../../idl/index.ts'
import { addressSchema } from '../../cpm/interface.ts'
import {
  agentNameSchema,
  failureSchema,
  jobNumberSchema,
  jobsSchema,
  optionsSchema,
  participationSchema,
  phaseSchema,
  reportSchema,
  serviceTypeSchema,
  transactionStateSchema,
} from './interface.ts'

const bytes: z.ZodType<Uint8Array, Uint8Array> = z.instanceof(Uint8Array)

const participantSchema = z.strictObject({
  /** Name under which its agent is registered. */
  agent: z.string(),
  participation: participationSchema,
  step: z.enum([
    'PENDING',
    'PREPARED',
    'REFUSED',
    'COMMITTED',
    'ROLLED_BACK',
    /** It did not follow the decision in time, and is asked no more. */
    'VOID',
    /** It has no such service, and the transaction does without. */
    'IGNORED',
  ]),
})
export type Participant = z.infer<typeof participantSchema>

const jobSchema = z.strictObject({
  job: jobNumberSchema,
  service: serviceTypeSchema,
  definition: bytes,
  participants: z.array(participantSchema),
})
export type Job = z.infer<typeof jobSchema>

const unitSchema = z.strictObject({
  phase: transactionStateSchema.exclude(['UNKNOWN']),
  /** While RESTORED: whether its one-phase participant may have committed. */
  wasPrepared: z.boolean(),
  jobs: z.array(jobSchema),
})
/** What is all or nothing. */
export type Unit = z.infer<typeof unitSchema>

export const transactionSchema = z.strictObject({
  id: z.string(),
  /** Place of its begin in the order. */
  begun: z.int(),
  options: optionsSchema,
  units: z.array(unitSchema),
  failures: z.array(failureSchema),
  /** Numbers of the nodes that may have decided it. */
  witnesses: z.array(z.int()),
  /** Of those, which have said that they know it, since all had ended. */
  knownBy: z.array(z.int()),
})
/** A transaction that is under way. */
export type Transaction = z.infer<typeof transactionSchema>

const endedSchema = z.strictObject({
  id: z.string(),
  begun: z.int(),
  state: transactionStateSchema,
})
/** One that ended, in short. */
export type EndedTransaction = z.infer<typeof endedSchema>

export const transactionOperationSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('begin'),
    id: z.string(),
    options: optionsSchema,
    jobs: jobsSchema,
  }),
  z.strictObject({ kind: z.literal('cancel'), id: z.string() }),
  /** What an agent answered. */
  z.strictObject({
    kind: z.literal('done'),
    id: z.string(),
    job: jobNumberSchema,
    agent: z.string(),
    eo: z.string(),
    phase: phaseSchema,
    failure: z
      .strictObject({
        code: z.string(),
        message: z.string(),
        /** There was no answer: it may have done it. */
        mayHaveRun: z.boolean(),
      })
      .nullable(),
  }),
  z.strictObject({
    kind: z.literal('expire'),
    id: z.string(),
    half: z.enum(['decide', 'finish']),
  }),
  z.strictObject({
    kind: z.literal('register'),
    agent: agentNameSchema,
    /** The life of its node process, and its EO. */
    life: z.string(),
    eo: z.string(),
    address: addressSchema,
    service: serviceTypeSchema,
    isTwoPhase: z.boolean(),
  }),
  z.strictObject({
    kind: z.literal('unregister'),
    agent: agentNameSchema,
    eo: z.string(),
    service: serviceTypeSchema,
  }),
  /** An EO is gone. */
  z.strictObject({ kind: z.literal('ended'), eo: z.string() }),
  /** A node has it in its log, from a time before all had ended. */
  z.strictObject({
    kind: z.literal('recovered'),
    node: z.int(),
    incarnation: z.string(),
    transaction: transactionSchema,
  }),
  /** A node has told all that it has in its log. */
  z.strictObject({
    kind: z.literal('reported'),
    node: z.int(),
    ended: z.array(endedSchema),
    /** It may have forgotten the end of what began up to here. */
    forgotten: z.int(),
  }),
])
export type TransactionOperation = z.infer<typeof transactionOperationSchema>

const agentSchema = z.strictObject({
  agent: z.string(),
  life: z.string(),
  eo: z.string(),
  address: addressSchema,
  services: z.array(z.strictObject({ service: serviceTypeSchema, isTwoPhase: z.boolean() })),
})
/** Who performs jobs under a name, and what it has registered. */
export type Agent = z.infer<typeof agentSchema>

const snapshotSchema = z.strictObject({
  incarnation: z.string().nullable(),
  members: z.array(z.int()),
  reported: z.array(z.strictObject({ node: z.int(), forgotten: z.int() })),
  agents: z.array(agentSchema),
  open: z.array(transactionSchema),
  ended: z.array(z.strictObject({ begun: z.int(), report: reportSchema })),
  forgotten: z.int(),
})
export type TransactionsSnapshot = z.infer<typeof snapshotSchema>

/** What the log of a node keeps of a transaction. */
const storedSchema = z.strictObject({ incarnation: z.string(), transaction: transactionSchema })

export const transactionOperationCodec = makeMethodCodec(
  'transaction operation',
  transactionOperationSchema,
)
export const transactionsCodec = makeMethodCodec('transactions', snapshotSchema)
export const storedTransactionCodec = makeMethodCodec('stored transaction', storedSchema)
export const endedTransactionCodec = makeMethodCodec('ended transaction', endedSchema)
