import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createEmbeddedBackplane, tryProcessLock } from '../../../ioc/backplane/internal.ts'

/**
 * A node process that is nothing but a backplane member. Tells events as JSON lines, does what lines of standard input
 * ask for, and ends with its standard input.
 */
const [runDir = '', node = '', silenceMs = '400', mode = ''] = process.argv.slice(2)

const say = (value: object): void => void process.stdout.write(`${JSON.stringify(value)}\n`)
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

if (mode === 'holdWriter') {
  tryProcessLock(join(runDir, 'store', 'writer'))
  say({ kind: 'holding' })
  process.kill(process.pid, 'SIGSTOP')
}

const backplane = createEmbeddedBackplane({
  runDir,
  node,
  beatMs: 20,
  silenceMs: Number(silenceMs),
})

const commands: Record<string, (key: string, value: string) => object> = {
  put(key, value) {
    backplane.store.commit(backplane.leader?.term ?? 0, [{ key, value: bytes(value) }])
    return { kind: 'put' }
  },
  get(key) {
    const value = backplane.store.get(key)?.value
    return { kind: 'got', value: value === undefined ? null : new TextDecoder().decode(value) }
  },
  /** Stops itself in the middle of a write transaction: keys are read before it, and again in it. */
  freezeInCommit(key) {
    let reads = 0
    const change = {
      value: bytes('torn'),
      get key(): string {
        if (++reads === 2) process.kill(process.pid, 'SIGSTOP')
        return key
      },
    }
    const first = { key: `${key}.first`, value: bytes('torn') }
    backplane.store.commit(backplane.leader?.term ?? 0, [first, change])
    return { kind: 'put' }
  },
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const [name = '', key = '', value = ''] = line.split(' ')
    try {
      say(commands[name]?.(key, value) ?? { kind: 'unknown' })
    } catch (error) {
      say({ kind: 'error', code: (error as { code?: string }).code })
    }
  })
  .on('close', () => process.exit(0))

process.once('SIGTERM', () => {
  void backplane.stop().then(() => process.exit(0))
})

try {
  await backplane.start((event) => say(event))
  say({ kind: 'started', pid: process.pid })
} catch (error) {
  const { code, message } = error as { code?: string; message: string }
  say({ kind: 'refused', code, message })
  process.exit(1)
}
