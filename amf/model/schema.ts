import { z } from 'zod'
import { recoverySchema } from '../../runtime/internal.ts'

/**
 * Shape of `cluster.yaml` as it is written: keys, types, bounds, defaults. Relations between entities are checked in
 * `validate.ts`. Objects are strict: an unknown key is refused. Times are milliseconds.
 */

/** Names travel in addresses, file names and records: one plain word of at most 64 characters. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/
export const nameSchema = z.string().regex(NAME, {
  error: 'a name is 1 to 64 letters, digits, "_", "." or "-", the first a letter or digit',
})

const HOUR_MS = 3_600_000
const ms = (min: number): z.ZodInt => z.int().min(min).max(HOUR_MS)
const count = (min: number): z.ZodInt => z.int().min(min).max(1_000_000)
const adminState = z.enum(['UNLOCKED', 'LOCKED', 'LOCKED_INSTANTIATION']).default('UNLOCKED')
const nameList = z.array(nameSchema)

const scalar = z.union([z.string(), z.number(), z.boolean()], {
  error: 'must be text, a number, true or false',
})
const attributes = z.record(
  z.string().min(1).max(256),
  z.preprocess((value) => (Array.isArray(value) ? value : [value]), z.array(scalar)),
)

/** A program alone, or the program and its arguments. */
const command = z.preprocess(
  (value) => (typeof value === 'string' ? [value] : value),
  z.array(z.string().min(1)).min(1),
)
const lifeCycleCommand = z.strictObject({ command, timeoutMs: ms(100).default(10_000) })

/** With a command the component is judged by its exit code, not by its callback. */
const healthCheck = z.strictObject({
  command: command.optional(),
  periodMs: ms(10).default(1_000),
  timeoutMs: ms(20).default(4_000),
})

/** Checks that the component starts itself, by key. */
const healthChecks = z.record(
  z.string().min(1).max(32),
  z.strictObject({
    periodMs: ms(10).default(1_000),
    maxDurationMs: ms(20).default(4_000),
  }),
)

const csTypes = z.record(
  nameSchema,
  z.strictObject({
    maxActive: count(0).default(1_000_000),
    maxStandby: count(0).default(1_000_000),
  }),
)

/** What a component type and a single component may both say; a component's own value wins. */
const componentKeys = {
  run: z.string().min(1).optional(),
  command: command.optional(),
  instantiate: lifeCycleCommand.optional(),
  pidFile: z.string().min(1).optional(),
  terminate: lifeCycleCommand.optional(),
  cleanup: lifeCycleCommand.optional(),
  amStart: lifeCycleCommand.optional(),
  amStop: lifeCycleCommand.optional(),
  amStartAttemptsMax: z.int().min(1).max(1_000).optional(),
  amStopAttemptsMax: z.int().min(1).max(1_000).optional(),
  category: z.enum(['saAware', 'nonSaAware', 'proxied', 'container', 'contained']).optional(),
  proxied: z
    .strictObject({ csi: nameSchema, preInstantiable: z.boolean().default(true) })
    .optional(),
  contained: z.strictObject({ csi: nameSchema }).optional(),
  workingDir: z.string().min(1).optional(),
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), scalar).optional(),
  instantiationLevel: count(0).optional(),
  instantiateAttemptsMax: z.int().min(1).max(1_000).optional(),
  instantiateWithoutDelayMax: z.int().min(1).max(1_000).optional(),
  instantiateDelayMs: ms(0).optional(),
  instantiateTimeoutMs: ms(100).optional(),
  terminateTimeoutMs: ms(10).optional(),
  csiSetTimeoutMs: ms(10).optional(),
  csiRemoveTimeoutMs: ms(10).optional(),
  quiescingTimeoutMs: ms(10).optional(),
  healthCheck: healthCheck.nullable().optional(),
  healthChecks: healthChecks.optional(),
  hungMs: ms(50).optional(),
  busyMs: ms(10).optional(),
  busyHoldMs: ms(10).optional(),
  recovery: recoverySchema.optional(),
  disableRestart: z.boolean().optional(),
  csTypes: csTypes.optional(),
}

export const componentTypeSchema = z.strictObject(componentKeys)
export type ComponentTypeText = z.output<typeof componentTypeSchema>

/** Short form: the name of the component type alone. */
export const componentSchema = z.preprocess(
  (value) => (typeof value === 'string' ? { type: value } : value),
  z.strictObject({ type: nameSchema.optional(), ...componentKeys }),
)
export type ComponentText = z.output<typeof componentSchema>

export const nodeSchema = z.strictObject({
  id: z.int().min(1).max(1023).optional(),
  adminState,
  suFailoverMax: count(0).default(120),
  suFailoverWindowMs: ms(1).default(60_000),
  autoRepair: z.boolean().default(true),
  failfastOnTerminationFailure: z.boolean().default(false),
  failfastOnInstantiationFailure: z.boolean().default(false),
})

export const applicationSchema = z.strictObject({ adminState })

/** One of `node` and `nodeGroup`; neither when the service group has a `nodeGroup`, or for an external unit. */
export const serviceUnitSchema = z.strictObject({
  node: nameSchema.optional(),
  nodeGroup: nameSchema.optional(),
  rank: count(0).optional(),
  adminState,
  failover: z.boolean().default(false),
  maintenanceCampaign: nameSchema.optional(),
  components: z.record(nameSchema, componentSchema),
})

export const csiSchema = z.strictObject({
  name: nameSchema.optional(),
  type: nameSchema.optional(),
  attributes: attributes.default({}),
  dependsOn: nameList.default([]),
})

/** Short form: the name of the sponsor alone, no tolerance. */
const dependency = z.preprocess(
  (value) => (typeof value === 'string' ? { serviceInstance: value } : value),
  z.strictObject({ serviceInstance: nameSchema, toleranceMs: ms(0).default(0) }),
)

export const serviceInstanceSchema = z.strictObject({
  rank: count(0).optional(),
  adminState: z.enum(['UNLOCKED', 'LOCKED']).default('UNLOCKED'),
  preferredActive: count(0).default(1),
  preferredStandby: count(0).default(1),
  rankedSUs: nameList.default([]),
  dependsOn: z.array(dependency).default([]),
  csis: z.record(nameSchema, csiSchema),
})

export const redundancySchema = z.enum(['2N', 'N+M', 'N-way', 'N-way-active', 'no-redundancy'])

export const serviceGroupSchema = z.strictObject({
  redundancy: redundancySchema,
  application: nameSchema.optional(),
  nodeGroup: nameSchema.optional(),
  adminState,
  autoRepair: z.boolean().default(true),
  autoAdjust: z.boolean().default(false),
  autoAdjustProbationMs: ms(0).default(10_000),
  preemption: z.boolean().default(false),
  preferredActiveSUs: count(1).default(1),
  preferredStandbySUs: count(0).default(1),
  preferredInServiceSUs: count(1).optional(),
  preferredAssignedSUs: count(1).optional(),
  maxActiveSIsPerSU: count(1).optional(),
  maxStandbySIsPerSU: count(1).optional(),
  componentRestartMax: count(0).default(10),
  componentRestartWindowMs: ms(1).default(60_000),
  suRestartMax: count(0).default(10),
  suRestartWindowMs: ms(1).default(60_000),
  serviceUnits: z.record(nameSchema, serviceUnitSchema),
  serviceInstances: z.record(nameSchema, serviceInstanceSchema).default({}),
})

export const timingSchema = z.strictObject({
  beatMs: ms(10).default(100),
  nodeSilenceMs: ms(50).default(2_000),
  replicaTimeoutMs: ms(10).default(1_000),
})

export const clusterSchema = z.strictObject({
  cluster: nameSchema,
  adminState,
  startupTimeoutMs: ms(0).default(5_000),
  timing: timingSchema.prefault({}),
  /** `node1:` without a value stands for every default. */
  nodes: z.record(
    nameSchema,
    z.preprocess((value) => value ?? {}, nodeSchema),
  ),
  nodeGroups: z.record(nameSchema, nameList.min(1)).default({}),
  applications: z
    .record(
      nameSchema,
      z.preprocess((value) => value ?? {}, applicationSchema),
    )
    .default({}),
  componentTypes: z.record(nameSchema, componentTypeSchema).default({}),
  serviceGroups: z.record(nameSchema, serviceGroupSchema),
})
export type ClusterText = z.output<typeof clusterSchema>

/** Defaults of the keys that a component and its type may leave out. */
export const COMPONENT_DEFAULTS = {
  category: 'saAware',
  instantiationLevel: 0,
  instantiateAttemptsMax: 3,
  instantiateWithoutDelayMax: 1,
  instantiateDelayMs: 0,
  instantiateTimeoutMs: 10_000,
  amStartAttemptsMax: 2,
  amStopAttemptsMax: 2,
  terminateTimeoutMs: 5_000,
  csiSetTimeoutMs: 5_000,
  csiRemoveTimeoutMs: 5_000,
  quiescingTimeoutMs: 10_000,
  hungMs: 4_000,
  busyMs: 200,
  busyHoldMs: 1_000,
  recovery: 'componentFailover',
  disableRestart: false,
} as const
