import { SdkError } from '../../idl/index.ts'
import type { EngineEvent, PersistedRecord } from '../engine/contract.ts'
import type { Model } from '../model/model.ts'
import type { ModelSource } from '../model/source.ts'
import type { ModelCheck } from './engine-port.ts'
import type { ApplyRequest } from './management.ts'
import { errorOf } from './operations.ts'

/** What `Management.applyModel` asks of the director. */
export interface ApplyPort {
  /** Of the node that directs: it stays in the model. */
  readonly node: string
  /** Of the model in force. */
  version(): number
  /** @throws SdkError INVALID_PARAMETER with every problem of the text. */
  parse(source: ModelSource): Model
  check(after: Model): ModelCheck
  records(): readonly PersistedRecord[]
  /** Posts the event, unless the id was answered or is pending; resolves with the answer. */
  request(id: string, event: () => EngineEvent): Promise<unknown>
}

/** Gives the engine a new model, or says what it would do. */
export async function applyModel(
  { id, text, path, dryRun }: ApplyRequest,
  port: ApplyPort,
): Promise<{ version: number; changes: string[] }> {
  const source = { text, path, version: port.version() + 1 }
  const model = port.parse(source)
  const { changes, refusal } = port.check(model)
  if (!model.nodes.has(port.node)) {
    const remedy = 'end its node process, so that another node directs, and apply it again'
    throw new SdkError('BAD_OPERATION', `nodes.${port.node}: it directs the cluster now; ${remedy}`)
  }
  if (!dryRun) {
    const records = port.records()
    await port.request(id, () => ({ kind: 'modelChange', id, model, source, records }))
  } else if (refusal !== null) throw errorOf(refusal)
  return { version: port.version(), changes: [...changes] }
}
