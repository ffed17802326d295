import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SdkError } from '../../idl/index.ts'
import { FAULT_DELAY_MS_MAX, FAULT_FILE_ENV, type FaultTable } from '../../ioc/internal.ts'
import { effectiveModel } from '../node/node-model.ts'
import { isWorking, untilTrue } from './process-look.ts'

/** For every process to take a change. */
const TAKEN_MS = 10_000

/** The faults between the nodes of one cluster: writes the file that its processes go by, and waits until they do. */
export class NodeFaults {
  /** What the processes need in their environment. */
  readonly env: Readonly<Record<string, string>>
  readonly #directory: string
  readonly #path: string
  readonly #nodesNow: () => FaultTable['nodes']
  #version = 0
  #faults: FaultTable['faults'] = []

  /** @param modelPath - where the model is that names the nodes. */
  constructor(runDir: string, modelPath: string) {
    this.#directory = join(runDir, 'faults')
    // What processes of an earlier run left behind would be waited for, were their pids taken again.
    rmSync(this.#directory, { recursive: true, force: true })
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    this.#path = join(this.#directory, 'table.json')
    this.env = { [FAULT_FILE_ENV]: this.#path }
    this.#nodesNow = () => {
      const { nodes } = effectiveModel(runDir, modelPath).model
      return Object.fromEntries([...nodes.values()].map(({ name, id }) => [name, id]))
    }
    this.#write()
  }

  /** @throws SdkError INVALID_PARAMETER for what are no two nodes, TIMEOUT when a process does not take it. */
  async set(
    a: string | 0,
    b: string | 0,
    { cut, delayMs }: { readonly cut: boolean; readonly delayMs: number },
  ): Promise<void> {
    if (!(delayMs >= 0 && delayMs <= FAULT_DELAY_MS_MAX)) {
      throw invalid(`a delay of ${delayMs} ms: give 0 to ${FAULT_DELAY_MS_MAX}`)
    }
    const nodes = this.#nodesNow()
    const between: [number, number] = [numberOf(nodes, a), numberOf(nodes, b)]
    if (between[0] === between[1]) throw invalid(`${a || 'clients'} twice: give two nodes`)
    const others = this.#faults.filter(({ between: pair }) => {
      return !between.every((node) => pair.includes(node))
    })
    const isFault = cut || delayMs > 0
    this.#faults = isFault ? [...others, { between, cut, delayMs }] : others
    this.#write()
    let late: readonly string[] = []
    await untilTrue(
      () => (late = this.#late()).length === 0,
      TAKEN_MS,
      () => `faults to be taken by process ${late.join(', ')}`,
    )
  }

  #write(): void {
    let nodes: FaultTable['nodes'] = {}
    try {
      nodes = this.#nodesNow()
    } catch {
      // A model that cannot be read: the cluster says so itself.
    }
    this.#version += 1
    const table: FaultTable = { version: this.#version, nodes, faults: this.#faults }
    writeFileSync(`${this.#path}.new`, JSON.stringify(table))
    renameSync(`${this.#path}.new`, this.#path)
  }

  /** Pids that run and still go by an older version. A stopped one sees the change before anything else. */
  #late(): readonly string[] {
    return readdirSync(this.#directory).flatMap((file) => {
      const pid = /^(\d+)\.[0-9a-f]+$/.exec(file)?.[1]
      if (pid === undefined || this.#taken(file) || !isWorking(Number(pid))) return []
      return [pid]
    })
  }

  #taken(file: string): boolean {
    try {
      return readFileSync(join(this.#directory, file), 'utf8') === String(this.#version)
    } catch {
      return true // Ended meanwhile.
    }
  }
}

function numberOf(nodes: FaultTable['nodes'], node: string | 0): number {
  if (node === 0) return 0
  const number = nodes[node]
  if (number !== undefined) return number
  throw invalid(`no node "${node}"; the model has: ${Object.keys(nodes).join(', ')}`)
}

const invalid = (message: string): SdkError => new SdkError('INVALID_PARAMETER', message)
