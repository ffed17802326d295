import { z } from 'zod'
import { defineInterface } from '../../../idl/index.ts'
import { CLIENT_ID } from '../../cpm/interface.ts'

/**
 * The log service: streams of records, each with files on one node. SAFplus log service, section 16; client 12 of
 * section 3.7.
 *
 * A component sends records to the server side of its own node. Local streams are of one node, and have their files
 * there. Global ones are the same on all nodes; their records go to one node, which owns their files and so decides on
 * their order.
 */

/** Names and ids of the streams that are always there, on each node its own. */
export const PERENNIAL = {
  /** What the platform has to say. */
  system: { name: 'sysStream', stream: 1 },
  /** What applications say where they name no stream: also `app.log`. */
  application: { name: 'appStream', stream: 2 },
} as const

/** Bounds; those on streams, files and readers are of one node. */
export const LOG_LIMITS = {
  nameLength: 128,
  streamCount: 256,
  componentCount: 256,
  fileCount: 1_024,
  /** Bytes of the text, fields and data of one record at most. */
  recordSize: 65_536,
  /** Records of one message, and of one answer to a reader. */
  packetCount: 100,
  /** Records that wait for the next stage: in a component, for the node that owns a stream, for the disk. */
  waitingCount: 4_096,
  readerCount: 64,
  /** Followers that wait for news of files at one node. */
  followerCount: 256,
} as const

/** Every severity's bit. */
export const LOG_MASK_ALL = 0xffff

export const streamNameSchema = z.string().min(1).max(LOG_LIMITS.nameLength)
export const logScopeSchema = z.enum(['GLOBAL', 'LOCAL'])
export type LogScope = z.infer<typeof logScopeSchema>

/** What a stream's files are like. Defaults as in the reference; times in milliseconds. */
export const logAttributesSchema = z
  .strictObject({
    /** Name of its files; a number and `.log` follow. Left empty: the name of the stream. */
    fileName: z
      .string()
      .max(LOG_LIMITS.nameLength)
      .regex(/^[\w-][\w.-]*$|^$/, { error: 'letters, digits, ".", "_", "-"; no leading "."' })
      .default(''),
    /**
     * `NODE:PATH`: whose disk, and the directory below the node's own log directory. `.` is the node of the component
     * that creates the stream, `*` the node that has been in the cluster longest.
     */
    fileLocation: z
      .string()
      .max(255)
      .regex(/^(\.|\*|[\w-][\w.-]*):([\w-][\w.-]*(\/[\w-][\w.-]*)*)?$/, {
        error: 'NODE:PATH with a relative path, such as ".:log"',
      })
      .default('.:log'),
    /**
     * Of global streams, while the node of `fileLocation` is away. true: files at the node that has been in the cluster
     * longest go on, until that node is back. false: records wait for it, within bounds. `*` names no node, and so goes
     * on either way; a local stream ends with its node.
     */
    haProperty: z.boolean().default(false),
    /** Bytes of one file. */
    fileUnitSize: z.int().min(1_024).max(1_073_741_824).default(1_500_000),
    /** Bytes of the text, fields and data of one record; what is beyond is cut. */
    recordSize: z.int().min(64).max(LOG_LIMITS.recordSize).default(300),
    /**
     * When a file is full. `ROTATE`: another one, beside `maxFilesRotated` full ones. `WRAP`: the oldest half of
     * `fileUnitSize` goes. `HALT`: nothing more is taken.
     */
    fileFullAction: z.enum(['ROTATE', 'WRAP', 'HALT']).default('WRAP'),
    /** Full files that are kept with ROTATE; 0 means 64. */
    maxFilesRotated: z.int().min(0).max(1_000).default(0),
    /** So many records are written at once, or what came within the interval; what other nodes send, as it comes. */
    flushFreq: z.int().min(1).max(LOG_LIMITS.waitingCount).default(64),
    flushIntervalMs: z.int().min(1).max(60_000).default(100),
    /** Percent of a file at which its being full is told in the system stream, and at which no more. 0: never. */
    waterMark: z
      .strictObject({ low: z.int().min(0).max(100), high: z.int().min(0).max(100) })
      .refine(({ low, high }) => low <= high, { error: 'low must not be above high' })
      .default({ low: 0, high: 0 }),
    /** Records also go to the syslog of the node that owns the files. */
    syslog: z.boolean().default(false),
  })
  .refine(({ fileUnitSize, recordSize }) => fileUnitSize >= 2 * recordSize, {
    path: ['fileUnitSize'],
    error: 'must be at least twice recordSize',
  })
export type LogAttributes = z.infer<typeof logAttributesSchema>

export const logFilterSchema = z.strictObject({
  /** Bit n - 1 lets severity n pass. */
  severities: z.int().min(0).max(LOG_MASK_ALL),
  /** Ids that pass; empty: all. */
  messageIds: z.array(z.int().min(0).max(0xffff)).max(1_024),
  /** Names of components that pass; empty: all. */
  components: z.array(z.string()).max(LOG_LIMITS.componentCount),
})
export type LogFilter = z.infer<typeof logFilterSchema>
export const logFilterFlagSchema = z.enum(['ASSIGN', 'MERGE_ADD', 'MERGE_DELETE'])
export type LogFilterFlag = z.infer<typeof logFilterFlagSchema>

const bytes: z.ZodType<Uint8Array, Uint8Array> = z.instanceof(Uint8Array)
const u16 = z.int().min(0).max(0xffff)

const recordMembers = {
  /** Wall clock of who wrote it. */
  timeMs: z.number(),
  severity: z.int().min(1).max(16),
  serviceId: u16,
  /** 0: bytes; 1: text; others: the application's. */
  messageId: u16,
  /** Counts the records of one component's life, in all streams. */
  sequence: z.int(),
  node: z.string(),
  component: z.string(),
  pid: z.int(),
  /** Parts of a program, three letters each in the original. */
  area: z.string(),
  context: z.string(),
  text: z.string(),
  /** A JSON object, or empty. */
  fields: z.string(),
  data: bytes.nullable(),
  /** Something of it was beyond the stream's `recordSize`. */
  isCut: z.boolean(),
}
export const logRecordSchema = z.strictObject(recordMembers)
export type LogRecord = z.infer<typeof logRecordSchema>

const sentRecordSchema = z.strictObject({ stream: z.int(), record: logRecordSchema })
export type SentRecord = z.infer<typeof sentRecordSchema>

/** A record as it stands in a file; files count from 1. */
export const storedRecordSchema = z.strictObject({ number: z.int(), ...recordMembers })
export type StoredRecord = z.infer<typeof storedRecordSchema>

export const logStreamInfoSchema = z.strictObject({
  name: z.string(),
  scope: logScopeSchema,
  attributes: logAttributesSchema,
  filter: logFilterSchema,
  /** Node that owns the files now; null while it is away. */
  owner: z.string().nullable(),
  /** How often it is open. */
  openCount: z.int(),
})
/** A stream that is there now. */
export type LogStreamInfo = z.infer<typeof logStreamInfoSchema>

/** What a file says of itself. Attributes that an earlier release did not know have their defaults. */
export const fileHeaderSchema = z.strictObject({
  stream: z.string(),
  scope: logScopeSchema,
  attributes: logAttributesSchema,
  /** Number of the file's first record. */
  first: z.int(),
})

export const logFileInfoSchema = z.strictObject({
  nodeId: z.int(),
  node: z.string(),
  /** Names the file on that node. */
  file: z.string(),
  stream: z.string(),
  scope: logScopeSchema,
  attributes: logAttributesSchema,
  /** Number of the oldest record that is left, and of the next one. */
  first: z.int(),
  next: z.int(),
  sizeBytes: z.int(),
  /** A HALT file that takes nothing more. */
  isFull: z.boolean(),
  /** Records that it could not take. */
  dropped: z.int(),
})
/** Files of one stream on one node, also of streams that are gone. */
export type LogFileInfo = z.infer<typeof logFileInfoSchema>

const readSchema = z.strictObject({
  file: z.string(),
  from: z.int().min(1),
  countMax: z.int().min(1).max(LOG_LIMITS.packetCount),
  /** Waits for the next record when there is none. */
  waitMs: z.int().min(0).max(60_000),
})
const readAnswerSchema = z.strictObject({
  records: z.array(storedRecordSchema),
  /** Where to go on. */
  next: z.int(),
  /** Records from `from` on that are gone already. */
  lost: z.int(),
})
export type LogRead = z.infer<typeof readSchema>
export type LogReadAnswer = z.infer<typeof readAnswerSchema>

const none = z.strictObject({})

/** What components and tools call on the agent of a node; writing is for components of the node. */
export const LogService = defineInterface({
  name: 'LogService',
  clientId: CLIENT_ID.log,
  version: 'B.1.1',
  methods: {
    /** Errors: NOT_EXIST without `create`, ALREADY_EXIST for other attributes or a file in use, NO_SPACE. */
    streamOpen: {
      serviceId: 0,
      input: z.strictObject({
        name: streamNameSchema,
        scope: logScopeSchema,
        attributes: logAttributesSchema.nullable(),
        create: z.boolean(),
      }),
      output: z.strictObject({
        stream: z.int(),
        attributes: logAttributesSchema,
        filter: logFilterSchema,
      }),
    },
    /** Errors: INVALID_HANDLE. */
    streamClose: { serviceId: 1, input: z.strictObject({ stream: z.int() }), output: none },
    /** `lost`: how many before `first` the component had no room for. Answers with the streams that are full. */
    append: {
      serviceId: 2,
      input: z.strictObject({
        first: z.int(),
        lost: z.int(),
        records: z.array(sentRecordSchema).max(LOG_LIMITS.packetCount),
      }),
      output: z.strictObject({ full: z.array(z.int()) }),
    },
    /** Errors: INVALID_HANDLE. */
    filterSet: {
      serviceId: 3,
      input: z.strictObject({
        stream: z.int(),
        flag: logFilterFlagSchema,
        filter: logFilterSchema,
      }),
      output: none,
    },
    /** Global streams, and local ones of the node that is asked. */
    streams: {
      serviceId: 4,
      input: none,
      output: z.strictObject({ streams: z.array(logStreamInfoSchema) }),
    },
    /** Of all nodes that can be reached. */
    files: {
      serviceId: 5,
      input: none,
      output: z.strictObject({
        files: z.array(logFileInfoSchema),
        /** Nodes that did not answer. */
        silent: z.array(z.string()),
      }),
    },
    /**
     * Which files there are, on all nodes that can be reached, as a version: when it is another one than `known`, at
     * the latest after `waitMs`. Errors: TRY_AGAIN with too many waiting followers.
     */
    filesChanged: {
      serviceId: 7,
      input: z.strictObject({ known: z.string().max(64), waitMs: z.int().min(0).max(60_000) }),
      output: z.strictObject({ version: z.string() }),
    },
    /** A file of any node. Errors: NOT_EXIST, TRY_AGAIN with too many waiting readers. */
    read: {
      serviceId: 6,
      input: readSchema.extend({ nodeId: z.int() }),
      output: readAnswerSchema,
    },
  },
})

/** What nodes call on each other. */
export const LogNode = defineInterface({
  name: 'LogNode',
  clientId: CLIENT_ID.log,
  version: 'B.1.1',
  methods: {
    /**
     * Records of a global stream for the node that owns its files; answered when they are in these, or counted as lost.
     * `isFull`: they take nothing more. Errors: TRY_AGAIN while the disk takes nothing.
     */
    append: {
      serviceId: 16,
      input: z.strictObject({
        stream: z.string(),
        attributes: logAttributesSchema,
        /** The node that owns the files, as the stream says it. */
        home: z.string(),
        /** Life of the sending node, a dot, and which of its queues; records of a queue count from 1. */
        life: z.string(),
        first: z.int(),
        lost: z.int(),
        /** Records that components lost on their way to this queue, so far; and those of them that are told. */
        missing: z.int(),
        missingTold: z.int(),
        records: z.array(logRecordSchema).max(LOG_LIMITS.packetCount),
      }),
      output: z.strictObject({ isFull: z.boolean() }),
    },
    files: {
      serviceId: 17,
      input: none,
      output: z.strictObject({ files: z.array(logFileInfoSchema) }),
    },
    read: { serviceId: 18, input: readSchema, output: readAnswerSchema },
  },
})

/** What the agent calls on a component. */
export const LogPush = defineInterface({
  name: 'LogPush',
  clientId: CLIENT_ID.log,
  version: 'B.1.1',
  methods: {
    filters: {
      serviceId: 32,
      input: z.strictObject({
        filters: z.array(z.strictObject({ stream: z.int(), filter: logFilterSchema })),
      }),
      output: none,
    },
  },
})
