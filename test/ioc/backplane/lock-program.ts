import { rmSync, writeFileSync } from 'node:fs'
import { tryProcessLock } from '../../../ioc/backplane/internal.ts'

/** Takes and releases a lock as fast as it can for a while, and counts when somebody else was inside as well. */
const path = process.argv[2] ?? ''
const inside = `${path}.inside`
let taken = 0
let overlaps = 0
const endMs = performance.now() + 1_500
while (performance.now() < endMs) {
  const lock = tryProcessLock(path)
  if (!lock.held) continue
  taken++
  try {
    writeFileSync(inside, '', { flag: 'wx' })
    rmSync(inside)
  } catch {
    overlaps++
  }
  lock.release()
}
process.stdout.write(`${JSON.stringify({ taken, overlaps })}\n`)
