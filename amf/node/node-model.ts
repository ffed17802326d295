import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { SdkError } from '../../idl/index.ts'
import { modelSourceSchema } from '../director/interface.ts'
import { compareModels, isNoChange } from '../model/change.ts'
import { loadModel, parseSource } from '../model/load.ts'
import type { Model } from '../model/model.ts'
import type { ModelSource } from '../model/source.ts'

/**
 * Copy of the model that an operator applied last, in the run directory. The control store has the truth; the copy is
 * for programs that start before anybody directs, or that never open the store.
 */
export const APPLIED_MODEL_FILE = 'applied-model.json'

/** The applied model of a run directory; null while it is the one of the model file. */
export function readAppliedModel(runDir: string): ModelSource | null {
  const path = join(runDir, APPLIED_MODEL_FILE)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
  try {
    return z.parse(modelSourceSchema, JSON.parse(text))
  } catch (cause) {
    const remedy = 'remove it: a director writes it again'
    throw new SdkError('INVALID_STATE', `${path} cannot be understood; ${remedy}`, { cause })
  }
}

export interface EffectiveModel {
  readonly model: Model
  readonly source: ModelSource | null
  /** What whoever named the model file has to know: another model than the file's is used. */
  readonly notice: string | null
}

/**
 * The model that a run directory goes by: the one that was applied last, else the file's.
 * @throws SdkError as `loadModel`, for the one that is used.
 */
export function effectiveModel(runDir: string, modelPath: string): EffectiveModel {
  const source = readAppliedModel(runDir)
  if (source === null) return { model: loadModel(modelPath), source, notice: null }
  const model = parseSource(source)
  return { model, source, notice: noticeOf(model, source, modelPath) }
}

/** Why the CSI can have no checkpoint; null: it can, or the model does not know it. */
export function checkpointRefusal(model: Model, csi: string): string | null {
  const instance = model.serviceInstances.get(model.csis.get(csi)?.serviceInstance ?? '')
  const group = model.serviceGroups.get(instance?.serviceGroup ?? '')
  if (group?.redundancy !== 'N-way-active') return null
  return (
    `checkpoint ${csi}: several components of ${group.name} are ACTIVE for it at the same time (N-way-active), and a ` +
    'checkpoint has one writer; do not open it, or give the group another redundancy model'
  )
}

function noticeOf(model: Model, source: ModelSource, modelPath: string): string | null {
  let differs = 'which cannot be read'
  try {
    if (isNoChange(compareModels(model, loadModel(modelPath)))) return null
    differs = 'which differs'
  } catch (error) {
    if (!(error instanceof SdkError)) throw error
  }
  const used = `using model ${String(source.version)}, applied to this cluster from ${source.path}`
  return `${used}, not ${modelPath}, ${differs}; "holdfast apply ${modelPath}" makes it the model`
}

/** The model of one node process while it runs. */
export class NodeModels {
  readonly #runDir: string
  #model: Model
  #source: ModelSource | null

  constructor(runDir: string, { model, source }: EffectiveModel) {
    this.#runDir = runDir
    this.#model = model
    this.#source = source
  }

  get model(): Model {
    return this.#model
  }

  /** null: the model of the file. */
  get source(): ModelSource | null {
    return this.#source
  }

  get version(): number {
    return this.#source?.version ?? 0
  }

  /**
   * Goes by a newer model from now on, and keeps its copy in the run directory.
   * @throws SdkError INVALID_PARAMETER when its text refers to files that are gone.
   */
  take(source: ModelSource): Model {
    if (source.version <= this.version) return this.#model
    return this.#use(parseSource(source), source)
  }

  /** As {@link take}, for a model that was parsed already. */
  taken(model: Model, source: ModelSource): Model {
    return source.version > this.version ? this.#use(model, source) : this.#model
  }

  #use(model: Model, source: ModelSource): Model {
    this.#model = model
    this.#source = source
    const known = readAppliedModel(this.#runDir)
    if (known === null || known.version < source.version) {
      const path = join(this.#runDir, APPLIED_MODEL_FILE)
      const fresh = `${path}.${String(process.pid)}`
      writeFileSync(fresh, `${JSON.stringify(source)}\n`, { mode: 0o600 })
      renameSync(fresh, path)
    }
    return model
  }
}
