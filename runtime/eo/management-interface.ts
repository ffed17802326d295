import { z } from 'zod'
import { defineInterface } from '../../idl/index.ts'
import { CLIENT_ID } from '../cpm/interface.ts'

const none = z.strictObject({})
const prioritySchema = z.enum(['default', 'low', 'medium', 'high'])
const logLevelSchema = z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])

/** Everything one needs to call a method without having its interface. */
const methodDescriptionSchema = z.strictObject({
  name: z.string(),
  serviceId: z.int(),
  functionNumber: z.int(),
  staleReads: z.boolean(),
  /** Wire forms as plain data: `makeShapeCodec` of idl makes codecs of them. */
  inputShape: z.unknown(),
  outputShape: z.unknown(),
  /** JSON schemas as JSON text, for people and for checks before a call. */
  inputSchema: z.string(),
  outputSchema: z.string(),
  /** The method answers with a stream of outputs. */
  stream: z.boolean().optional(),
})

const interfaceDescriptionSchema = z.strictObject({
  name: z.string(),
  version: z.string(),
  clientId: z.int(),
  /** The CSI that the functions are bound to; null when to none in particular. */
  csi: z.string().nullable(),
  methods: z.array(methodDescriptionSchema),
})

/**
 * The built-in management table of every EO, client 2. It answers in every role and state, on the receive path.
 * Service ids 0 to 7 as in SAFplus EO, section 3.7; 8 and 9 are ours.
 */
export const EoManagement = defineInterface({
  name: 'EoManagement',
  clientId: CLIENT_ID.eoManagement,
  version: 'B.1.1',
  methods: {
    stateGet: {
      serviceId: 0,
      input: none,
      output: z.strictObject({ state: z.enum(['init', 'active', 'suspended', 'stopping']) }),
    },
    /** Suspends or resumes. Errors: IMPROPER_STATE; what `stateChange` rejected with, as a veto. */
    stateSet: {
      serviceId: 1,
      input: z.strictObject({ state: z.enum(['suspend', 'resume']) }),
      output: none,
    },
    /** Runs the EO's health callback. Errors: NOT_IMPLEMENTED when the component has none. */
    isAlive: {
      serviceId: 2,
      input: none,
      output: z.strictObject({
        frequency: z.enum(['none', 'busy', 'default']),
        status: z.enum(['alive', 'dead']),
      }),
    },
    /** Counters of RMD in the original's order, of the EO, and of its port (drops as `drops.REASON`). */
    statistics: {
      serviceId: 3,
      input: none,
      output: z.strictObject({
        rmd: z.record(z.string(), z.number()),
        eo: z.record(z.string(), z.number()),
        ioc: z.record(z.string(), z.number()),
      }),
    },
    prioritySet: {
      serviceId: 4,
      input: z.strictObject({ priority: prioritySchema }),
      output: none,
    },
    logLevelSet: { serviceId: 5, input: z.strictObject({ level: logLevelSchema }), output: none },
    logLevelGet: { serviceId: 6, input: none, output: z.strictObject({ level: z.string() }) },
    /** Handed to what `eo.customActionRegister` was given. Errors: NOT_IMPLEMENTED when nothing was. */
    customAction: {
      serviceId: 7,
      input: z.strictObject({ type: z.int(), data: z.instanceof(Uint8Array) }),
      output: none,
    },
    /** Installed interfaces: what `holdfast call` works from. */
    describe: {
      serviceId: 8,
      input: none,
      output: z.strictObject({
        component: z.string(),
        node: z.string(),
        eo: z.string(),
        pid: z.int(),
        interfaces: z.array(interfaceDescriptionSchema),
      }),
    },
    priorityGet: {
      serviceId: 9,
      input: none,
      output: z.strictObject({ priority: prioritySchema, nice: z.int() }),
    },
  },
})
