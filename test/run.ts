import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'

/**
 * `npm test`: runs every check and every suite, goes on after a failure, and ends with `N passed, N failed` alone
 * on the last line. A check counts as one; a suite counts its tests. Exits with 1 when anything failed.
 */
interface Step {
  readonly name: string
  readonly command: readonly string[]
  /** The step writes a report of vitest to this file. */
  readonly report?: string
}

interface Count {
  readonly passed: number
  readonly failed: number
}

/** The whole run ends within this time, whatever hangs. */
const RUN_MS_MAX = 13.5 * 60_000

const scratch = mkdtempSync(join(tmpdir(), 'holdfast-test-'))
const report = join(scratch, 'vitest.json')
const STEPS: readonly Step[] = [
  { name: 'build', command: ['npm', 'run', '--silent', 'build'] },
  { name: 'format', command: ['npm', 'run', '--silent', 'format'] },
  { name: 'lint', command: ['npm', 'run', '--silent', 'lint'] },
  { name: 'types', command: ['npm', 'run', '--silent', 'types'] },
  { name: 'dead code', command: ['npm', 'run', '--silent', 'deadcode'] },
  {
    name: 'tests',
    command: [
      join('node_modules', '.bin', 'vitest'),
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
    ],
    report,
  },
]

const running = new Set<number>()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    endRunning()
    rmSync(scratch, { recursive: true, force: true })
    process.exit(1)
  })
}
process.exitCode = await main()

async function main(): Promise<number> {
  const endsAtMs = performance.now() + RUN_MS_MAX
  const broken: string[] = []
  let passed = 0
  let failed = 0
  for (const step of STEPS) {
    console.log(`\n--- ${step.name}`)
    const startMs = performance.now()
    const ok = await perform(step, endsAtMs - startMs)
    const count = step.report === undefined ? one(ok) : suite(step.report, ok)
    passed += count.passed
    failed += count.failed
    const seconds = ((performance.now() - startMs) / 1_000).toFixed(1)
    console.log(`--- ${step.name}: ${count.failed === 0 ? 'ok' : 'FAILED'} (${seconds} s)`)
    if (count.failed > 0) broken.push(step.name)
  }
  rmSync(scratch, { recursive: true, force: true })
  if (broken.length > 0) console.log(`\nfailed: ${broken.join(', ')}`)
  console.log(`\n${passed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}

/** Runs one step in a process group of its own, so that nothing of it can stay behind. */
function perform({ command }: Step, timeoutMs: number): Promise<boolean> {
  const [program = '', ...args] = command
  return new Promise((resolve) => {
    if (timeoutMs <= 0) {
      console.log(`no time left: not run`)
      resolve(false)
      return
    }
    const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'], detached: true })
    const group = child.pid
    if (group !== undefined) running.add(group)
    const timer = setTimeout(() => {
      console.log(`not finished after ${Math.round(timeoutMs / 1_000)} s: stopped`)
      endRunning()
    }, timeoutMs)
    const done = (ok: boolean): void => {
      clearTimeout(timer)
      if (group !== undefined) {
        endGroup(group)
        running.delete(group)
      }
      resolve(ok)
    }
    child.on('error', (error) => {
      console.log(`${program}: ${error.message}`)
      done(false)
    })
    child.on('exit', (code) => done(code === 0))
  })
}

function endRunning(): void {
  for (const group of running) endGroup(group)
}

function endGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL')
  } catch {
    // Nothing of the group is left.
  }
}

function one(ok: boolean): Count {
  return ok ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
}

interface VitestReport {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: readonly {
    readonly status: string
    readonly assertionResults: readonly { readonly status: string }[]
  }[]
}

/** Files that could not be loaded count as one failure each, and so does a failure that no test owns. */
function suite(file: string, ok: boolean): Count {
  let read: VitestReport
  try {
    read = JSON.parse(readFileSync(file, 'utf8')) as VitestReport
  } catch {
    console.log('the suites gave no report')
    return { passed: 0, failed: 1 }
  }
  const files = read.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && assertionResults.every((test) => test.status !== 'failed'),
  )
  const failed = read.numFailedTests + files.length
  return { passed: read.numPassedTests, failed: ok ? failed : Math.max(failed, 1) }
}
