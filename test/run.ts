import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, realpathSync } from 'node:fs'
import { constants, setPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Remains } from './run-reaper.ts'
import type { RunRecord } from './run-reporter.ts'

/**
 * `npm test`: runs every check and every suite, goes on after a failure, and ends with `N passed, N failed` alone
 * on the last line. A check counts as one; a suite counts its tests. Exits with 1 when anything failed.
 *
 * The suites wait more than they compute, so the checks run beside them, one at a time and at the lowest priority.
 * Everything temporary lies in one directory; a process of its own ends and removes what is left of a run, also of
 * one that was killed.
 */
interface Step {
  readonly name: string
  readonly command: readonly string[]
}

interface Count {
  readonly passed: number
  readonly failed: number
}

/** The whole run ends within this time, whatever hangs. */
const RUN_MS_MAX = 13.5 * 60_000
/** How soon the end of the program that started this one is noticed. */
const PARENT_LOOK_MS = 1_000
const SLOWEST_COUNT = 8

const check = (name: string, script: string): Step => ({
  name,
  command: ['npm', 'run', '--silent', script],
})
const BUILD = check('build', 'build')
const FORMAT = check('format', 'format')
/** These look at the build too. */
const CHECKS = [check('lint', 'lint'), check('types', 'types'), check('dead code', 'deadcode')]
const TESTS: Step = { name: 'tests', command: [join('node_modules', '.bin', 'vitest'), 'run'] }

const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'hft-')))
const report = join(scratch, 'report.jsonl')
const startMs = performance.now()
const broken: string[] = []
const running = new Set<number>()
/** Why nothing more is started. */
let stopped: string | null = null

const reaper = startReaper()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => stop(signal))
const limit = setTimeout(() => stop(`not finished after ${RUN_MS_MAX / 60_000} min`), RUN_MS_MAX)
const parent = process.ppid
const look = setInterval(() => {
  if (process.ppid !== parent) stop('who started it is gone')
}, PARENT_LOOK_MS)
process.exitCode = await main()

async function main(): Promise<number> {
  const build = perform(BUILD, 'first')
  const counts = [
    ...(await Promise.all([
      build,
      perform(FORMAT, 'beside'),
      build.then(checks),
      build.then(tests),
    ])),
  ].flat()
  clearTimeout(limit)
  clearInterval(look)
  counts.push(await nothingLeft())
  const passed = counts.reduce((sum, one) => sum + one.passed, 0)
  const failed = counts.reduce((sum, one) => sum + one.failed, 0)
  if (broken.length > 0) console.log(`\nfailed: ${broken.join(', ')}`)
  console.log(`\n${passed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}

async function checks(): Promise<Count[]> {
  const counts: Count[] = []
  for (const step of CHECKS) counts.push(await perform(step, 'beside'))
  return counts
}

async function tests(): Promise<Count> {
  const ok = await run(TESTS, 'first')
  return over(TESTS.name, suites(ok))
}

async function perform(step: Step, place: Place): Promise<Count> {
  const ok = await run(step, place)
  return over(step.name, { passed: ok ? 1 : 0, failed: ok ? 0 : 1 })
}

function over(name: string, count: Count): Count {
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(0)
  console.log(`--- ${name}: ${count.failed === 0 ? 'ok' : 'FAILED'} (after ${seconds} s)\n`)
  if (count.failed > 0) broken.push(name)
  return count
}

/** First: at once told what it tells. Beside: takes the time that others leave, tells at its end. */
type Place = 'first' | 'beside'

/** Runs one step in a process group of its own, so that nothing of it can stay behind. */
async function run({ name, command }: Step, place: Place): Promise<boolean> {
  const [program = '', ...args] = command
  if (stopped !== null) {
    console.log(`--- ${name}: not run: ${stopped}`)
    return false
  }
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: { ...process.env, TMPDIR: scratch, HOLDFAST_TEST_REPORT: report },
  })
  const group = child.pid
  if (group === undefined) {
    const [error] = (await once(child, 'error')) as [Error]
    console.log(`--- ${name}: ${error.message}`)
    return false
  }
  running.add(group)
  if (place === 'beside') setPriority(group, constants.priority.PRIORITY_LOW)
  const told: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) =>
      place === 'first' ? process.stdout.write(data) : told.push(data),
    )
  }
  const [code] = (await once(child, 'exit')) as [number | null]
  endGroup(group)
  running.delete(group)
  if (code !== 0) process.stdout.write(Buffer.concat(told))
  return code === 0
}

/** Nothing more is started, what runs is ended; the counts are those of what has ended by itself. */
function stop(why: string): void {
  stopped ??= why
  console.log(`\n--- stopped: ${why}`)
  for (const group of running) endGroup(group)
}

function endGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL')
  } catch {
    // Nothing of the group is left.
  }
}

/** A file that was taken up and did not end is one failure, and so is an error that no file owns. */
function suites(ok: boolean): Count {
  const records = readFileSync(report, { encoding: 'utf8', flag: 'a+' })
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as RunRecord)
  const ended = records.filter((one) => one.kind === 'ended')
  const files = new Set(ended.map(({ file }) => file))
  const hung = records.filter((one) => one.kind === 'begun' && !files.has(one.file))
  const errors = records.reduce((sum, one) => sum + (one.kind === 'over' ? one.errors : 0), 0)
  for (const one of hung) if (one.kind === 'begun') console.log(`did not end: ${one.file}`)
  const slowest = ended.toSorted((a, b) => b.ms - a.ms).slice(0, SLOWEST_COUNT)
  const seconds = slowest.map(({ file, ms }) => `${file} ${(ms / 1_000).toFixed(1)} s`)
  if (seconds.length > 0) console.log(`slowest: ${seconds.join(', ')}`)
  const failed = ended.reduce((sum, one) => sum + one.failed, hung.length + errors)
  const passed = ended.reduce((sum, one) => sum + one.passed, 0)
  return { passed, failed: ok ? failed : Math.max(failed, 1) }
}

function startReaper(): ChildProcess {
  const program = fileURLToPath(new URL('run-reaper.ts', import.meta.url))
  return spawn(process.execPath, ['--import', 'tsx', program, scratch], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  })
}

/** Ends the run's directory. Suites that leave processes are wrong, unless they were not let end. */
async function nothingLeft(): Promise<Count> {
  reaper.stdin?.end()
  const { processes } = JSON.parse(await text(reaper.stdout!)) as Remains
  const isGood = processes.length === 0 || stopped !== null
  for (const one of processes) console.log(`left behind: ${one}`)
  return over('nothing left behind', { passed: isGood ? 1 : 0, failed: isGood ? 0 : 1 })
}
