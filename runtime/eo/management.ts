import { getPriority, setPriority } from 'node:os'
import { z } from 'zod'
import { isSdkError, SdkError, type HandlersOf } from '../../idl/index.ts'
import type { IncomingCall } from '../../ioc/index.ts'
import type { Service } from './client-table.ts'
import type { EoConfig } from './config.schema.ts'
import type { EoState, EoStateChange, HealthFeedback } from './health.ts'
import type { EoManagement } from './management-interface.ts'

/** A callback for custom actions. */
export type CustomAction = (type: number, data: Uint8Array) => void | Promise<void>

/** What the management table works on. */
export interface ManagementOptions {
  readonly component: string
  readonly node: string
  readonly config: EoConfig
  readonly state: () => EoState
  readonly setState: (state: EoState) => void
  readonly services: () => readonly Service[]
  readonly rmdStatistics: () => Readonly<Record<string, number>>
  readonly eoStatistics: () => Readonly<Record<string, number>>
  readonly iocStatistics: () => Readonly<Record<string, number>>
  readonly logLevel: { get(): string; set(level: string): void }
  readonly customAction: () => CustomAction | undefined
}

type Handlers = HandlersOf<(typeof EoManagement)['spec'], IncomingCall>

/** Nice values by the original's priorities; below 0 needs rights. */
const NICE: Readonly<Record<EoConfig['threadPriority'], number>> = {
  low: 10,
  default: 0,
  medium: 0,
  high: -5,
}

/** Makes the functions of the management table. */
export function managementHandlers(options: ManagementOptions): Handlers {
  let priority = options.config.threadPriority
  return {
    stateGet: () => ({ state: options.state() }),
    stateSet: async ({ state }) => {
      await changeState(options, state)
      return {}
    },
    isAlive: async () => {
      if (options.config.healthCheck === undefined) {
        throw new SdkError('NOT_IMPLEMENTED', 'clEoConfig.healthCheck is not given')
      }
      const feedback: HealthFeedback = { frequency: 'default', status: 'alive' }
      await options.config.healthCheck(feedback)
      return feedback
    },
    statistics: () => ({
      rmd: options.rmdStatistics(),
      eo: options.eoStatistics(),
      ioc: options.iocStatistics(),
    }),
    prioritySet: (input) => {
      applyPriority(input.priority)
      priority = input.priority
      return {}
    },
    priorityGet: () => ({ priority, nice: getPriority() }),
    logLevelSet: ({ level }) => {
      options.logLevel.set(level)
      return {}
    },
    logLevelGet: () => ({ level: options.logLevel.get() }),
    customAction: async ({ type, data }) => {
      const action = options.customAction()
      if (action === undefined) {
        throw new SdkError('NOT_IMPLEMENTED', 'no custom action is registered')
      }
      await action(type, data)
      return {}
    },
    describe: () => ({
      component: options.component,
      node: options.node,
      eo: options.config.name,
      pid: process.pid,
      interfaces: describe(options.services()),
    }),
  }
}

/**
 * Sets the nice value of the process.
 * @throws SdkError OP_NOT_PERMITTED when the rights do not allow it.
 */
export function applyPriority(priority: EoConfig['threadPriority']): void {
  const nice = NICE[priority]
  if (getPriority() === nice) return
  try {
    setPriority(nice)
  } catch (cause) {
    throw new SdkError('OP_NOT_PERMITTED', `thread priority ${priority} needs nice ${nice}`, {
      cause,
    })
  }
}

async function changeState(options: ManagementOptions, change: EoStateChange): Promise<void> {
  const from = options.state()
  const [wanted, to] =
    change === 'suspend' ? (['active', 'suspended'] as const) : (['suspended', 'active'] as const)
  if (from === to) throw new SdkError('NO_OP', `the component is ${from} already`)
  if (from !== wanted) {
    throw new SdkError('IMPROPER_STATE', `cannot ${change} a component that is ${from}`)
  }
  try {
    await options.config.stateChange?.(change)
  } catch (error) {
    if (isSdkError(error)) throw error
    const why = error instanceof Error ? error.message : String(error)
    throw new SdkError('BAD_OPERATION', `the component refuses to ${change}: ${why}`, {
      cause: error,
    })
  }
  // The callback took its time: only the state that it was asked about is left.
  if (options.state() === wanted) options.setState(to)
}

type Described = Awaited<ReturnType<Handlers['describe']>>['interfaces'][number]

function describe(services: readonly Service[]): Described[] {
  const faces = new Map<string, Described>()
  for (const { face, method, placement } of services) {
    const csi =
      placement.kind !== 'platform' && placement.csi.kind === 'csi' ? placement.csi.csi : null
    const { name, version, clientId } = face
    const key = `${clientId} ${version}`
    const described = faces.get(key) ?? { name, version, clientId, csi, methods: [] }
    faces.set(key, described)
    const spec = face.spec[method.name]
    described.methods.push({
      name: method.name,
      serviceId: method.serviceId,
      functionNumber: method.functionNumber,
      staleReads: method.staleReads,
      inputShape: method.input.shape,
      outputShape: method.output.shape,
      inputSchema: jsonSchema(spec?.input),
      outputSchema: jsonSchema(spec?.output),
      stream: method.stream,
    })
  }
  return [...faces.values()]
}

function jsonSchema(schema: z.ZodType | undefined): string {
  if (schema === undefined) return '{}'
  return JSON.stringify(z.toJSONSchema(schema, { unrepresentable: 'any', io: 'input' }))
}
