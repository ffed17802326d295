import { ReplicaLog } from '../../../runtime/services/checkpoint/replica-log.ts'

/** Writes batches for ever and says each sequence once it is stored. Killed by its test. */
const [directory = ''] = process.argv.slice(2)
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined }
const store = new ReplicaLog({
  directory,
  log: quiet,
  clock: () => performance.now(),
  limits: { logCountMax: 50, logSizeBytesMax: 1_000_000, sliceCount: 3 },
})
const stored = store.replica('csi')
stored.promise(1)
stored.makeReliable()

function write(): void {
  for (let i = 0; i < 20; i++) {
    const firstSequence = stored.replica.sequence + 1
    const value = new Uint8Array(8)
    new DataView(value.buffer).setFloat64(0, firstSequence)
    const writes: [string, Uint8Array][] = [
      ['next', value],
      [`s${firstSequence % 17}`, value],
    ]
    const record = { writes, reply: null, acknowledged: [], expired: [] }
    stored.append({ epoch: 1, firstSequence, records: [record] }, 1, null)
  }
  process.stdout.write(`${stored.replica.sequence}\n`)
  setImmediate(write)
}
write()
