import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, expect, it } from 'vitest'
import { ReplicaLog } from '../../../runtime/services/checkpoint/replica-log.ts'
import type { CheckpointRecord } from '../../../runtime/services/checkpoint/interface.ts'
import type { StoredReplica } from '../../../runtime/services/checkpoint/stored-replica.ts'
import {
  CHECKPOINT_BOUNDS,
  type CheckpointAttributes,
  type SectionOperation,
} from '../../../runtime/services/named-checkpoint/interface.ts'
import { SectionIndex } from '../../../runtime/services/named-checkpoint/section-index.ts'
import { operate } from '../../../runtime/services/named-checkpoint/sections.ts'
import { quiet } from '../checkpoint/rig.ts'

const MIB = 1_024 * 1_024
const ATTRIBUTES: CheckpointAttributes = {
  creationFlags: [],
  checkpointSize: 0,
  retentionDurationMs: null,
  maxSections: 1_000_000,
  maxSectionSize: 0,
  maxSectionIdSize: 20,
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes that a process holds on to, the collector having taken the rest. */
async function heldBytes(): Promise<number> {
  for (let times = 0; times < 3; times++) {
    collect()
    await turn()
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

/** The content of an active replica, stored: as the node process of one has it. */
class Content {
  readonly directory = mkdtempSync(join(tmpdir(), 'hf-mem-'))
  readonly log = new ReplicaLog({
    directory: this.directory,
    log: quiet,
    clock: () => performance.now(),
  })
  readonly stored: StoredReplica = this.log.replica('c')
  readonly index = new SectionIndex()

  constructor() {
    this.stored.promise(1)
    this.stored.makeReliable()
  }

  /** Performs operations as one batch. */
  run(operations: readonly SectionOperation[]): void {
    const drafted = new Map<string, Uint8Array | null>()
    const read = (key: string): Uint8Array | null =>
      drafted.get(key) ?? this.stored.replica.sections.get(key) ?? null
    const records = operations.map((operation): CheckpointRecord => {
      const content = { name: 'c', attributes: ATTRIBUTES, index: this.index, read, nowMs: 1 }
      const { writes } = operate(content, operation)
      for (const [key, value] of writes) {
        this.index.changed(key, read(key), value)
        drafted.set(key, value)
      }
      return { writes: [...writes], reply: null, acknowledged: [], expired: [] }
    })
    const firstSequence = this.stored.replica.sequence + 1
    this.stored.append({ epoch: 1, firstSequence, records }, 1, null)
  }

  async close(): Promise<void> {
    await this.log.close()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

let content: Content | null = null
afterEach(async () => {
  await content?.close()
  content = null
})

it('100,000 sections of 100 bytes take at most 100 MiB on the node of the active replica', async () => {
  const before = await heldBytes()
  content = new Content()
  for (let from = 0; from < 100_000; from += 1_000) {
    content.run(
      Array.from({ length: 1_000 }, (_, n) => ({
        kind: 'create',
        id: `section ${from + n}`,
        expiresAtMs: null,
        data: new Uint8Array(100),
      })),
    )
  }
  expect(content.index.count).toBe(100_000)
  expect(((await heldBytes()) - before) / MIB).toBeLessThan(100)
})

it('a section of 64 MiB takes at most 100 MiB, also when it is written again', async () => {
  const before = await heldBytes()
  content = new Content()
  content.run([{ kind: 'create', id: 's', expiresAtMs: null, data: new Uint8Array() }])
  const size = CHECKPOINT_BOUNDS.callBytes
  for (let round = 0; round < 2; round++) {
    for (let offset = 0; offset < 64 * MIB; offset += size) {
      const data = new Uint8Array(size).fill(round + 1)
      content.run([{ kind: 'write', elements: [{ id: 's', offset, data }] }])
      await turn()
    }
    expect(content.index.sizeBytes).toBe(64 * MIB)
    expect(((await heldBytes()) - before) / MIB, `round ${round}`).toBeLessThan(100)
  }
})
