import { z } from 'zod'
import { defineInterface } from '../../../idl/index.ts'
import { CLIENT_ID } from '../../cpm/interface.ts'

/**
 * Debug commands of a component: what `holdfast debug` and other tools call on it, in every role. SAFplus, section 19;
 * client 7 of section 3.7.
 */

/** Bounds of commands and of what goes to and fro. */
export const DEBUG_LIMITS = {
  commandCount: 256,
  nameLength: 79,
  helpLength: 1_000,
  argumentCount: 64,
  argumentLength: 4_096,
  /** Characters of one output; what is beyond is cut, and the answer says so. */
  outputLength: 262_144,
  /** Commands that run at a time; the next one gets TRY_AGAIN. */
  runningCount: 16,
} as const

const argumentSchema = z.string().max(DEBUG_LIMITS.argumentLength)

export const DebugCommands = defineInterface({
  name: 'DebugCommands',
  clientId: CLIENT_ID.debug,
  version: 'B.1.1',
  methods: {
    /** Every command, by name. */
    list: {
      serviceId: 0,
      input: z.strictObject({}),
      output: z.strictObject({
        component: z.string(),
        /** What the component calls itself in front of a command line. */
        prompt: z.string(),
        commands: z.array(z.strictObject({ name: z.string(), help: z.string() })),
      }),
    },
    /**
     * Runs one command. One that fails is an answer too: its return code and text. It is given up a little before the
     * call's own time-out, with TIMEOUT. Errors: NOT_EXIST for no such command, TRY_AGAIN when too many run.
     */
    run: {
      serviceId: 1,
      input: z.strictObject({
        command: z.string(),
        arguments: z.array(argumentSchema).max(DEBUG_LIMITS.argumentCount),
      }),
      output: z.strictObject({
        /** 0 is OK. */
        rc: z.int(),
        text: z.string(),
        /** The output was longer than its bound. */
        isCut: z.boolean(),
      }),
    },
  },
})
