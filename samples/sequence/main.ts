import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { startCluster, type Cluster } from 'holdfast/testkit'
import type { Account } from './accounting.ts'
import { parseStartArguments, USAGE, type StartArguments } from './arguments.ts'
import { killActives } from './killing.ts'
import { LiveView } from './live.ts'
import { SequenceLoad } from './load.ts'

/** `npm start`: the sequence service under load; its active one may be killed again and again. */
async function main(): Promise<number> {
  const options = tryParse(process.argv.slice(2))
  if (options === null) return 2
  if (options === 'help') {
    process.stdout.write(`${USAGE}\n`)
    return 0
  }
  const stopping = new AbortController()
  let interrupts = 0
  const onInterrupt = (): void => {
    interrupts += 1
    // Everything below dies with this process, so that a second Ctrl-C is always heard.
    if (interrupts > 1) process.kill(process.pid, 'SIGKILL')
    stopping.abort()
  }
  process.on('SIGINT', onInterrupt).on('SIGTERM', onInterrupt)
  const print = (text: string): void =>
    void (options.json ? process.stderr : process.stdout).write(text)
  print('starting the cluster: two nodes, one active, one standby\n')
  const cluster = await startCluster(modelPath(), {
    plain: true,
    ...(options.runDir === null ? {} : { runDir: options.runDir }),
  })
  try {
    print(`from another terminal: npx holdfast status --run-dir ${cluster.runDir}\n`)
    return await run(cluster, options, { stopping, print })
  } finally {
    await cluster.stop()
  }
}

async function run(
  cluster: Cluster,
  options: StartArguments,
  { stopping, print }: { stopping: AbortController; print: (text: string) => void },
): Promise<number> {
  const load = new SequenceLoad(await cluster.connect())
  await load.start()
  const isTerminal = process.stdout.isTTY === true && !options.json
  const live = new LiveView(cluster, load, { write: print, isTerminal })
  const timer =
    options.forMs === null ? undefined : setTimeout(() => stopping.abort(), options.forMs)
  try {
    const onFailover = live.failedOver.bind(live)
    if (options.killEveryMs !== null)
      await killActives(cluster, load, {
        everyMs: options.killEveryMs,
        signal: stopping.signal,
        onFailover,
      })
    else await aborted(stopping.signal)
  } finally {
    clearTimeout(timer)
    live.stop()
  }
  const account = await load.stop()
  for (const error of load.errors) print(`failed call: ${error}\n`)
  for (const [first, last] of load.gaps) print(`nobody got ${first} to ${last}\n`)
  const times = live.failovers.map((one) => one.ms)
  report(options, times, account)
  return isGood(options, times, account) ? 0 : 1
}

function report(options: StartArguments, times: readonly number[], account: Account): void {
  const sorted = times.toSorted((a, b) => a - b)
  const p50 = sorted[Math.ceil(sorted.length / 2) - 1] ?? null
  const max = sorted.at(-1) ?? null
  if (options.json) {
    const failoverMs = { p50, max, all: times }
    const document = { failovers: times.length, failoverMs, ...account }
    process.stdout.write(`${JSON.stringify(document)}\n`)
    return
  }
  const text = (ms: number | null): string => (ms === null ? '-' : ms.toFixed(1))
  const { drawn, failed, lost, duplicated } = account
  process.stdout.write(
    `failovers ${times.length}, failover ms p50 ${text(p50)}, max ${text(max)}\n` +
      `drawn ${drawn}, failed ${failed}, lost ${lost}, duplicated ${duplicated}\n`,
  )
}

function isGood(options: StartArguments, times: readonly number[], account: Account): boolean {
  const { failed, lost, duplicated } = account
  const killed = options.killEveryMs === null || times.length > 0
  return killed && failed === 0 && lost === 0 && duplicated === 0
}

function tryParse(words: readonly string[]): StartArguments | 'help' | null {
  try {
    return parseStartArguments(words)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}\n`)
    return null
  }
}

/** The model lies beside this file's source; the build copies no YAML. */
function modelPath(): string {
  const beside = fileURLToPath(new URL('./cluster.yaml', import.meta.url))
  if (existsSync(beside)) return beside
  return fileURLToPath(new URL('../../../samples/sequence/cluster.yaml', import.meta.url))
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

main().then(
  (code) => {
    process.exitCode = code
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  },
)
