import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'

/** What is left of a component that ended by an error of its own. */
const crashRecordSchema = z.strictObject({
  /** Version of this record's form. */
  version: z.literal(1),
  component: z.string(),
  node: z.string(),
  pid: z.int(),
  /** 'uncaughtException', 'unhandledRejection', 'STALE_EPOCH', 'initialize', ... */
  kind: z.string(),
  error: z.string(),
  stack: z.string(),
  /** ISO 8601. */
  time: z.string(),
})
export type CrashRecord = z.infer<typeof crashRecordSchema>

/** Exit code of a component that wrote a crash record. EX_SOFTWARE of sysexits. */
export const CRASH_EXIT_CODE = 70

/** Where a process stands: makes the record's path. */
export interface CrashPlace {
  readonly runDir: string
  readonly node: string
  readonly component: string
  readonly pid: number
}

const TEXT_LENGTH_MAX = 16_384

/** `RUN_DIR/nodes/NODE/crash/COMPONENT.PID.json`. */
export function crashRecordPath({ runDir, node, component, pid }: CrashPlace): string {
  return join(runDir, 'nodes', node, 'crash', `${component.replaceAll('/', '_')}.${pid}.json`)
}

/** Writes the record, synchronously and without throwing: it runs while the process dies. */
export function writeCrashRecord(place: CrashPlace, kind: string, error: unknown): void {
  const record: CrashRecord = {
    version: 1,
    component: place.component,
    node: place.node,
    pid: place.pid,
    kind,
    error: errorText(error).slice(0, TEXT_LENGTH_MAX),
    stack: (error instanceof Error ? (error.stack ?? '') : '').slice(0, TEXT_LENGTH_MAX),
    time: new Date().toISOString(),
  }
  try {
    const path = crashRecordPath(place)
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const file = openSync(path, 'w', 0o600)
    writeSync(file, JSON.stringify(record))
    fsyncSync(file)
    closeSync(file)
  } catch (failure) {
    tryWriteStandardError(`crash record not written: ${errorText(failure)}\n`)
  }
  tryWriteStandardError(`${place.component}: ${kind}: ${record.stack || record.error}\n`)
}

/** Reads a record; null when there is none, or none that can be read. */
export function readCrashRecord(place: CrashPlace): CrashRecord | null {
  try {
    const outcome = crashRecordSchema.safeParse(
      JSON.parse(readFileSync(crashRecordPath(place), 'utf8')),
    )
    return outcome.success ? outcome.data : null
  } catch {
    return null
  }
}

/**
 * Turns uncaught errors and rejections of the calling thread into a crash record and an end of the process with
 * {@link CRASH_EXIT_CODE}.
 * @param exit - how the process is ended from this thread.
 * @returns what ends the process in the same way for a reason of the runtime's own.
 */
export function installCrashRecorder(
  place: CrashPlace,
  exit: (code: number) => never = process.exit,
): (kind: string, error: unknown) => never {
  const crash = (kind: string, error: unknown): never => {
    writeCrashRecord(place, kind, error)
    return exit(CRASH_EXIT_CODE)
  }
  process.on('uncaughtException', (error, origin) => crash(origin, error))
  process.on('unhandledRejection', (reason) => crash('unhandledRejection', reason))
  return crash
}

function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code } = error as { code?: unknown }
  return `${error.name}${typeof code === 'string' ? ` ${code}` : ''}: ${error.message}`
}

function tryWriteStandardError(text: string): void {
  try {
    writeSync(2, text)
  } catch {
    // Nobody reads it any more.
  }
}
