import { SdkError, type Interface } from '../../idl/index.ts'
import type { ClientInstallOptions, EoClient } from './app.ts'
import type { ClientTable, CsiBinding, Placement } from './client-table.ts'
import type { CustomAction } from './management.ts'

/** What {@link createEoClient} works on. */
export interface EoClientOptions {
  readonly tables: ClientTable
  /** Prepares workers for the functions of a module. */
  readonly place: (module: string) => void
  readonly setCustomAction: (action: CustomAction) => void
}

const PRIVATE_KEY_COUNT_MAX = 4_096
const KEY_MAX = 0xffff_ffff

/** The EO as its component's author has it: `app.eo`. */
export function createEoClient({ tables, place, setCustomAction }: EoClientOptions): EoClient {
  const privateData = new Map<number, unknown>()
  return {
    clientInstall: (face, functions, options = {}) => {
      const placement = placementOf(options)
      tables.install(face as unknown as Interface, functions, placement, options.data)
      if (placement.kind === 'worker') place(placement.module)
    },
    clientUninstall: (face) => {
      tables.uninstall(face as unknown as Interface)
    },
    clientDataSet: (face, data) => {
      tables.cookie(face as unknown as Interface).data = data
    },
    clientDataGet: (face) => tables.cookie(face as unknown as Interface).data,
    walk: (face, method, visit) => {
      const chain = tables.chain(face as unknown as Interface, method)
      if (chain.length === 0) {
        throw new SdkError('FUNC_NOT_REGISTERED', `${face.name}.${method} has no function here`)
      }
      for (const run of chain) if (visit(run as Parameters<typeof visit>[0]) === false) return
    },
    serviceValidate: (functionNumber) => {
      const service = tables.lookup(functionNumber, 0)
      if (service instanceof SdkError) throw service
    },
    privateDataSet: (key, value) => {
      if (!Number.isInteger(key) || key < 0 || key > KEY_MAX) {
        throw new SdkError('OUT_OF_RANGE', `private data key ${key}: give 0 to ${KEY_MAX}`)
      }
      if (!privateData.has(key) && privateData.size >= PRIVATE_KEY_COUNT_MAX) {
        throw new SdkError('NO_SPACE', `${PRIVATE_KEY_COUNT_MAX} private data keys are set already`)
      }
      privateData.set(key, value)
    },
    privateDataGet: (key) => {
      if (privateData.has(key)) return privateData.get(key)
      throw new SdkError('NOT_EXIST', `no private data is set under the key ${key}`)
    },
    customActionRegister: setCustomAction,
  }
}

function placementOf(options: ClientInstallOptions): Placement {
  const csi = bindingOf(options.csi)
  const { worker } = options
  if (worker === undefined) return { kind: 'eo', csi }
  if (typeof worker.href === 'string') return { kind: 'worker', csi, module: worker.href }
  const how = "new URL('./work.js', import.meta.url)"
  throw new SdkError('INVALID_PARAMETER', `options.worker is no URL: give one, such as ${how}`)
}

function bindingOf(csi: string | null | undefined): CsiBinding {
  if (csi === undefined) return { kind: 'any' }
  return csi === null ? { kind: 'none' } : { kind: 'csi', csi }
}
