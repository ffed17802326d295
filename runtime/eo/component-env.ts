import { isMainThread } from 'node:worker_threads'
import { z } from 'zod'
import { SdkError } from '../../idl/index.ts'
import { COMPONENT_ENV } from '../cpm/interface.ts'

const integer = (min: number, max: number): z.ZodType<number> =>
  z.coerce.number().pipe(z.int().min(min).max(max))

const environmentSchema = z.object({
  runDir: z.string().min(1),
  component: z.string().min(1),
  node: z.string().min(1),
  nodeId: integer(1, 1023),
  parentPid: integer(1, 2 ** 31).optional(),
  hungMs: integer(50, 600_000).default(2_000),
  leaseMs: integer(40, 600_000).optional(),
})

/** Who this process is, as its agent told it. `parentPid` is left out where nobody checks. */
export type ComponentEnvironment = Readonly<z.infer<typeof environmentSchema>>

const HOW = 'a component is started by its node: list it in a model and run `holdfast up MODEL`'

/**
 * Reads the environment of a component process and checks that it may be one.
 * @throws SdkError NOT_INITIALIZED when no agent started it; INVALID_STATE outside the main thread or when the node
 * process that started it is gone; INVALID_PARAMETER naming the variable that is wrong.
 */
export function readComponentEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): ComponentEnvironment {
  if (!isMainThread) {
    throw new SdkError(
      'INVALID_STATE',
      'runComponent works in the main thread only: an Execution Object owns its process, and with ' +
        "threadModel 'app' it starts its own thread",
    )
  }
  if (env[COMPONENT_ENV.runDir] === undefined) {
    throw new SdkError('NOT_INITIALIZED', `${COMPONENT_ENV.runDir} is not set: ${HOW}`)
  }
  const keys = Object.entries(COMPONENT_ENV)
  const values = Object.fromEntries(keys.map(([key, variable]) => [key, env[variable]]))
  const outcome = environmentSchema.safeParse(values)
  if (!outcome.success) {
    const places = outcome.error.issues.map((issue) => {
      const key = String(issue.path[0]) as keyof typeof COMPONENT_ENV
      return `${COMPONENT_ENV[key]}: ${issue.message}`
    })
    throw new SdkError('INVALID_PARAMETER', `${places.join('; ')} (${HOW})`)
  }
  const { parentPid } = outcome.data
  if (parentPid !== undefined && process.ppid !== parentPid) {
    throw new SdkError(
      'INVALID_STATE',
      `the node process ${parentPid} that started this component is gone (parent is ${process.ppid})`,
    )
  }
  return outcome.data
}
