import { z } from 'zod'
import { SdkError } from '../../idl/index.ts'
import { LIBRARY_FLAGS } from '../services/libraries.ts'
import { portRange, type RmdPriority } from '../../ioc/index.ts'
import type { App } from './app.ts'
import type { EoStateChange, HealthFeedback } from './health.ts'

/**
 * What a component module exports as `clEoConfig`: the ten fields of the original's configuration record, and a few
 * limits of ours. Fields left out take the default.
 */
export interface ClEoConfig {
  /** Name of the Execution Object, unique per node, 1 to 255 characters. */
  readonly name: string
  /** Maps to the nice value of the process where the rights allow. @defaultValue 'default' */
  readonly threadPriority?: 'default' | 'low' | 'medium' | 'high'
  /** Worker threads at most, 1 to 64; started when functions are placed on them. @defaultValue 1 */
  readonly threads?: number
  /** Requested IOC port, 64 to 1023: lower ones are the platform's. 0 allocates an ephemeral one. @defaultValue 0 */
  readonly iocPort?: number
  /** Tables of own functions that may be installed at most, 1 to 1024. @defaultValue 16 */
  readonly userClients?: number
  /**
   * 'recv': the main thread becomes the receive loop. 'app': the main thread is the application's and may block; the
   * EO has a thread of its own. The original's CL_EO_USE_THREAD_FOR_RECV and _APP, section 3.4. @defaultValue 'recv'
   */
  readonly threadModel?: 'recv' | 'app'
  /** Jobs of one priority that may wait; the next caller gets QUEUE_OVERFLOW. 1 to 1_000_000. @defaultValue 4_096 */
  readonly queueCountMax?: number
  /** Old-generation heap of one worker in MiB; a worker above it is replaced and its job fails. @defaultValue 256 */
  readonly workerHeapMiB?: number
  /** A queue this full, in percent of `queueCountMax`, is told as HIGH. 1 to 100. @defaultValue 80 */
  readonly queueHighPercent?: number
  /** One that was HIGH and is down to this is told as LOW. Below `queueHighPercent`. @defaultValue 50 */
  readonly queueLowPercent?: number
  /** Told of both, besides log and statistics; must not throw. The original's watermark action. */
  readonly onWatermark?: (crossing: QueueCrossing) => void
  /**
   * How long a function may run past its deadline. On a worker its thread is then ended and replaced, and half of it
   * before it is called stuck; on the EO it is called stuck. Stuck functions are named in the log and in the alarm busy
   * of AMF, until they come back or are ended. 100 to 600_000. @defaultValue 10_000
   */
  readonly overdueMs?: number
  /** Application initialisation: installs functions, opens checkpoints, registers. Must return. */
  readonly initialize: (app: App) => void | Promise<void>
  /** Deprecated in the original: must be null. */
  readonly finalize?: null
  /** Told before the EO is suspended or resumed; a rejection vetoes the change. */
  readonly stateChange?: (state: EoStateChange) => void | Promise<void>
  /** Fills the feedback of the management table's "is alive". */
  readonly healthCheck?: (feedback: HealthFeedback) => void | Promise<void>
}

/** A job queue crossed one of its marks. SAFplus EO, section 3.11. */
export interface QueueCrossing {
  readonly place: 'eo' | 'worker'
  readonly priority: RmdPriority
  readonly type: 'HIGH' | 'LOW'
}

const BASIC = ['osal', 'timer', 'buffer', 'ioc', 'rmd', 'eo', 'om', 'hal', 'dbal'] as const
const BASIC_MANDATORY = ['osal', 'timer', 'buffer', 'ioc', 'rmd', 'eo'] as const
const CLIENT = [
  'cor',
  'chassisManager',
  'name',
  'log',
  'trace',
  'diag',
  'transaction',
  'na',
  'provisioning',
  'alarm',
  'debug',
  'gms',
  // Not one of the original's, whose event library was always there.
  'event',
] as const
/** Flags of libraries that are part of every component: the name table and the log. */
const CLIENT_PRESENT: ReadonlySet<string> = new Set(['name', 'log', ...LIBRARY_FLAGS])

/** `clEoBasicLibs`: the first six of the original's nine flags must be true. */
export type ClEoBasicLibs = Readonly<Partial<Record<(typeof BASIC)[number], boolean>>>
/** `clEoClientLibs`: the original's twelve flags, all optional, and `event`, which is an addition to them. */
export type ClEoClientLibs = Readonly<Partial<Record<(typeof CLIENT)[number], boolean>>>

/** What a component's module exports. */
export interface ComponentModule {
  readonly clEoConfig: ClEoConfig
  readonly clEoBasicLibs?: ClEoBasicLibs
  readonly clEoClientLibs?: ClEoClientLibs
}

const callback = <F>(): z.ZodType<F> =>
  z.custom<F>((value) => typeof value === 'function', { error: 'must be a function' })

const eoConfigSchema = z
  .strictObject({
    name: z.string().min(1).max(255),
    threadPriority: z.enum(['default', 'low', 'medium', 'high']).default('default'),
    threads: z
      .int()
      .min(1, { error: 'at least 1: jobs placed on workers need one' })
      .max(64)
      .default(1),
    iocPort: z
      .int()
      .min(0)
      .max(1023)
      .refine((port) => port === 0 || portRange(port) !== 'platform', {
        error: "1 to 63 are the platform's: give 64 to 127, or 0 for any that is free",
      })
      .default(0),
    userClients: z.int().min(1).max(1024).default(16),
    threadModel: z.enum(['recv', 'app']).default('recv'),
    queueCountMax: z.int().min(1).max(1_000_000).default(4_096),
    workerHeapMiB: z.int().min(16).max(65_536).default(256),
    queueHighPercent: z.int().min(1).max(100).default(80),
    queueLowPercent: z.int().min(0).max(99).default(50),
    onWatermark: callback<NonNullable<ClEoConfig['onWatermark']>>().optional(),
    overdueMs: z.int().min(100).max(600_000).default(10_000),
    initialize: callback<ClEoConfig['initialize']>(),
    finalize: z
      .null({ error: 'must be null: it is deprecated, use the terminate callback' })
      .default(null),
    stateChange: callback<NonNullable<ClEoConfig['stateChange']>>().optional(),
    healthCheck: callback<NonNullable<ClEoConfig['healthCheck']>>().optional(),
  })
  .refine(({ queueLowPercent, queueHighPercent }) => queueLowPercent < queueHighPercent, {
    path: ['queueLowPercent'],
    error: 'must be below queueHighPercent',
  })

/** The complete configuration: every default filled in. */
export type EoConfig = Readonly<z.output<typeof eoConfigSchema>> & {
  /** Flags of `clEoClientLibs` that are true. */
  readonly clientLibs: ReadonlySet<string>
}

const flags = <K extends string>(names: readonly K[]): Record<K, z.ZodOptional<z.ZodBoolean>> =>
  Object.fromEntries(names.map((name) => [name, z.boolean().optional()])) as Record<
    K,
    z.ZodOptional<z.ZodBoolean>
  >

const basicLibsSchema = z.strictObject(flags(BASIC)).superRefine((libs, context) => {
  for (const name of BASIC_MANDATORY) {
    if (libs[name] === true) continue
    context.addIssue({ code: 'custom', path: [name], message: 'is mandatory: must be true' })
  }
  // `om` is a flag without a library here, as in the original's own sample: accepted, and nothing follows from it. DBAL
  // is loaded by the first database that is opened, so that its flag costs nothing.
  if (libs.hal === true) {
    const message = 'does not exist yet: set it to false'
    context.addIssue({ code: 'custom', path: ['hal'], message })
  }
})

const clientLibsSchema = z.strictObject(flags(CLIENT)).superRefine((libs, context) => {
  for (const [name, wanted] of Object.entries(libs)) {
    if (wanted !== true || CLIENT_PRESENT.has(name)) continue
    context.addIssue({
      code: 'custom',
      path: [name],
      message: 'does not exist yet: set it to false',
    })
  }
})

const moduleSchema = z.object({
  clEoConfig: eoConfigSchema,
  clEoBasicLibs: basicLibsSchema.optional(),
  clEoClientLibs: clientLibsSchema.optional(),
})

/**
 * Checks what a component's module exports, before anything is started. Other exports are left alone.
 * @param where - what to call the module in messages, its path for example.
 * @throws SdkError INVALID_PARAMETER naming every wrong key by its path.
 */
export function parseComponentModule(module: unknown, where: string): EoConfig {
  const source = module as Record<string, unknown> | null
  if (source === null || typeof source !== 'object' || source['clEoConfig'] === undefined) {
    throw new SdkError(
      'INVALID_PARAMETER',
      `${where}: clEoConfig is missing: a component exports an object of that name`,
    )
  }
  // A module namespace is no plain object: the three names are taken out of it.
  const { clEoConfig, clEoBasicLibs, clEoClientLibs } = source
  const outcome = moduleSchema.safeParse({
    clEoConfig,
    ...(clEoBasicLibs === undefined ? {} : { clEoBasicLibs }),
    ...(clEoClientLibs === undefined ? {} : { clEoClientLibs }),
  })
  if (outcome.success) {
    const libs = Object.entries(outcome.data.clEoClientLibs ?? {})
    const clientLibs = new Set(libs.flatMap(([name, wanted]) => (wanted === true ? [name] : [])))
    return Object.freeze({ ...outcome.data.clEoConfig, clientLibs })
  }
  const places = outcome.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
  throw new SdkError('INVALID_PARAMETER', `${where}: ${places.join('; ')}`, {
    context: { places },
  })
}
