import { readFileSync } from 'node:fs'
import { isSdkError } from '../../idl/index.ts'
import { EoManagement } from '../../runtime/index.ts'
import { Probe, ProbeWork } from '../fixtures/runtime/probe.ts'
import { FakeAgent } from '../runtime/support/fake-agent.ts'

/** See README.md. */
const CALLER_COUNT = 64
const REPORT_MS = 10_000
const SAMPLE_MS = 1_000
const MIB = 1024 * 1024

interface Totals {
  calls: number
  kills: number
  readonly wrong: Map<string, number>
}

function option(name: string, otherwise: number): number {
  const at = process.argv.indexOf(name)
  const value = at < 0 ? otherwise : Number(process.argv[at + 1])
  if (!(value > 0)) throw new Error(`${name} needs a number above 0`)
  return value
}

/** Resident MiB of a process, of `/proc`. */
function residentMiB(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Math.round(Number(match?.[1] ?? 0) / 1024)
}

async function soak(minutes: number, killEveryMs: number): Promise<boolean> {
  const agent = await FakeAgent.start()
  try {
    const component = agent.launch('test/fixtures/runtime/component.js')
    await agent.until('registration', () => agent.registered.length > 0)
    await agent.csiSet('ACTIVE')
    const to = { node: 1, port: agent.registered[0]!.port }
    const endMs = performance.now() + minutes * 60_000
    const totals: Totals = { calls: 0, kills: 0, wrong: new Map() }
    const samples: number[] = []
    const sampler = setInterval(() => samples.push(residentMiB(component.pid)), SAMPLE_MS)
    const reporter = setInterval(() => report(totals, samples), REPORT_MS)
    await Promise.all([
      ...Array.from({ length: CALLER_COUNT }, (_, i) => callEo(agent, { to, totals, endMs, i })),
      ...Array.from({ length: CALLER_COUNT }, (_, i) =>
        callWorkers(agent, { to, totals, endMs, i }),
      ),
      killWorkers(agent, { to, totals, endMs, i: 0 }, killEveryMs),
    ])
    clearInterval(sampler)
    clearInterval(reporter)
    const { eo } = await agent.rmd.client(EoManagement, { to }).statistics({})
    report(totals, samples)
    console.log(JSON.stringify(eo))
    return totals.wrong.size === 0 && isFlat(samples)
  } finally {
    await agent.stop()
  }
}

interface Caller {
  readonly to: { readonly node: number; readonly port: number }
  readonly totals: Totals
  readonly endMs: number
  readonly i: number
}

async function callEo(agent: FakeAgent, { to, totals, endMs, i }: Caller): Promise<void> {
  const probe = agent.rmd.client(Probe, { to, timeoutMs: 60_000 })
  for (let n = 0; performance.now() < endMs; n++) {
    const text = `${i} ${n}`
    const outcome = await probe.echo({ text }).then((reply) => reply.text, codeOf)
    count(totals, outcome, text)
  }
}

/** A job that was in the worker that ended is no job of these: it must come back right. */
async function callWorkers(agent: FakeAgent, { to, totals, endMs, i }: Caller): Promise<void> {
  const work = agent.rmd.client(ProbeWork, { to, timeoutMs: 60_000 })
  for (let n = i; performance.now() < endMs; n += CALLER_COUNT) {
    const outcome = await work.square({ n }).then((reply) => String(reply.n), codeOf)
    count(totals, outcome, String(n * n))
  }
}

async function killWorkers(agent: FakeAgent, caller: Caller, everyMs: number): Promise<void> {
  const work = agent.rmd.client(ProbeWork, { to: caller.to, timeoutMs: 60_000 })
  while (performance.now() + everyMs < caller.endMs) {
    await new Promise((resolve) => setTimeout(resolve, everyMs))
    // Another code each time: the same job again would be quarantined.
    const code = caller.totals.kills++
    const outcome = await work.exit({ code }).then(() => 'OK', codeOf)
    count(caller.totals, outcome, 'WORKER_DIED')
  }
}

function count(totals: Totals, outcome: string, wanted: string): void {
  totals.calls++
  if (outcome !== wanted) totals.wrong.set(outcome, (totals.wrong.get(outcome) ?? 0) + 1)
}

function report({ calls, kills, wrong }: Totals, samples: readonly number[]): void {
  const outcomes = JSON.stringify(Object.fromEntries(wrong))
  const own = Math.round(process.memoryUsage.rss() / MIB)
  const memory = `component ${samples.at(-1)} MiB, caller ${own} MiB`
  console.log(`calls ${calls}, workers killed ${kills}, wrong ${outcomes}, ${memory}`)
}

/** The lowest sample of a stretch is what is left after collection: that must not grow. */
function isFlat(samples: readonly number[]): boolean {
  const quarter = Math.floor(samples.length / 4)
  const before = Math.min(...samples.slice(quarter, 2 * quarter))
  const after = Math.min(...samples.slice(-quarter))
  const grown = after - before
  console.log(`memory of the second quarter ${before} MiB, of the last ${after} MiB`)
  return grown <= 20 || grown <= before * 0.25
}

function codeOf(error: unknown): string {
  return isSdkError(error) ? error.code : String(error)
}

const flat = await soak(option('--minutes', 10), option('--kill-every', 2) * 1_000)
console.log(flat ? 'sound' : 'NOT sound')
process.exitCode = flat ? 0 : 1
