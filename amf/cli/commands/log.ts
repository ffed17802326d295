import { InvalidArgumentError, type Command } from 'commander'
import type { LogFileInfo } from '../../../runtime/index.ts'
import { EoManagement } from '../../../runtime/index.ts'
import { levelOfSeverity, parseSeverity, recordText } from '../../../runtime/internal.ts'
import { componentsOf, type ReachableComponent } from '../../operator/components.ts'
import type { Link } from '../../operator/link.ts'
import { LogReader, type LogSelection, type SeenRecord } from '../../operator/log-reader.ts'
import { untilDone } from '../../operator/retry.ts'
import {
  optionsOf,
  print,
  timeoutMsOf,
  withLink,
  type CliIo,
  type GlobalOptions,
} from '../context.ts'
import { UsageError } from '../exit-code.ts'

const LINES_DEFAULT = 20
const LINES_MAX = 10_000
const SEVERITY_ALL = 16

interface LogOptions extends GlobalOptions {
  readonly follow?: boolean
  readonly stream?: string
  readonly node?: string
  readonly level?: string
  readonly all?: boolean
  readonly lines: number
  readonly files?: boolean
}

const HELP = `
Reads the log streams of all nodes: the last records, with --follow also those from now on, through the end of any
node, until Ctrl-C. ENTITY (a component, service unit, service instance or node) shows only its components' records.
Lines of app.log stand in the stream appStream where a component switched the log library on
(clEoClientLibs = { log: true }); what the platform says stands in sysStream.

With --level and ENTITY or --all, and without --follow: sets the level of these components' logs, at once and until
they end: fatal, error, warn, info, debug, trace or silent. Else --level shows what is at least so grave; names of the
original (CRITICAL, NOTICE, DEBUG3, ...) work too. With --json --follow each line is one JSON document.

Examples:
  holdfast log --lines 100
  holdfast log --follow --level warn
  holdfast log --follow --stream appStream --node node1
  holdfast log --level debug sequence1
  holdfast log --level info --all
  holdfast log --files`

/** `log`: what streams say, and how much. */
export function addLogCommand(program: Command, io: CliIo): void {
  program
    .command('log')
    .description('read the log streams of all nodes; change the level of components')
    .argument('[entity]', 'whose records, or whose level')
    .option('-f, --follow', 'go on until Ctrl-C')
    .option('--stream <name>', 'only this stream')
    .option('--node <name>', 'only files of this node')
    .option('--level <level>', 'the least grave that is shown, or the level to set')
    .option('--all', 'set the level of every component')
    .option('-n, --lines <count>', 'how many records before now', parseLines, LINES_DEFAULT)
    .option('--files', 'list the files instead')
    .addHelpText('after', HELP)
    .action(async (entity: string | undefined, _: unknown, command: Command) => {
      const options = optionsOf<LogOptions>(command)
      const isSetting = options.level !== undefined && options.follow !== true
      if (isSetting && (entity !== undefined || options.all === true)) {
        if (entity !== undefined && options.all === true) {
          throw new UsageError('--all and an entity exclude each other')
        }
        return setLevel(io, options, entity ?? null)
      }
      if (options.all === true) throw new UsageError('--all needs --level, and no --follow')
      if (options.files === true) return listFiles(io, options)
      return options.follow === true
        ? follow(io, options, entity ?? null)
        : list(io, options, entity ?? null)
    })
}

function parseLines(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 0 && count <= LINES_MAX) return count
  throw new InvalidArgumentError(`must be a whole number of 0 to ${LINES_MAX}.`)
}

// --- levels ---

const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
type Level = (typeof LEVELS)[number]

function levelOf(text: string): Level {
  const level = LEVELS.find((one) => one === text.toLowerCase())
  return level ?? levelOfSeverity(severityOf(text)).level
}

function severityOf(text: string): number {
  try {
    return parseSeverity(text)
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

async function setLevel(io: CliIo, options: LogOptions, entity: string | null): Promise<void> {
  const level = levelOf(options.level ?? '')
  const what = `log level of ${entity ?? 'all components'}`
  const set = await withLink(io, options, (link) =>
    untilDone(
      async (timeoutMs) => {
        const found = componentsOf(await link.management.status({}, { timeoutMs }), entity)
        await Promise.all(found.map((one) => setOne(link, one, { level, timeoutMs })))
        return found.map(({ name }) => name)
      },
      { timeoutMs: timeoutMsOf(options), what, signal: io.signal },
    ),
  )
  const document = { level, components: set }
  print(io, options, { document, text: `${level}: ${set.join(', ')}` })
}

async function setOne(
  { connection }: Link,
  { address }: ReachableComponent,
  { level, timeoutMs }: { readonly level: Level; readonly timeoutMs: number },
): Promise<void> {
  await connection.rmd.client(EoManagement, { to: address }).logLevelSet({ level }, { timeoutMs })
}

// --- records ---

async function selectionOf(
  link: Link,
  options: LogOptions,
  entity: string | null,
): Promise<LogSelection> {
  const { stream = null, node = null, level } = options
  const severityMax = level === undefined ? SEVERITY_ALL : leastGrave(level)
  if (entity === null) return { stream, node, components: null, severityMax }
  const status = await untilDone((timeoutMs) => link.management.status({}, { timeoutMs }), {
    timeoutMs: timeoutMsOf(options),
    what: `components of ${entity}`,
  })
  const isComponent = status.serviceUnits.some(({ components }) =>
    components.some(({ name }) => name === entity),
  )
  // One that does not run has left records too.
  const names = isComponent ? [entity] : componentsOf(status, entity).map(({ name }) => name)
  return { stream, node, components: new Set(names), severityMax }
}

/** `info` shows NOTICE and INFO, `trace` everything. */
function leastGrave(level: string): number {
  const severity = severityOf(level)
  const isPino = LEVELS.some((one) => one === level.toLowerCase())
  return isPino && level.toLowerCase() === 'trace' ? SEVERITY_ALL : severity
}

async function list(io: CliIo, options: LogOptions, entity: string | null): Promise<void> {
  const records = await withLink(io, options, async (link) => {
    const reader = new LogReader(link.connection, await selectionOf(link, options, entity))
    const last = await untilDone(() => reader.last(options.lines), {
      timeoutMs: timeoutMsOf(options),
      what: 'log records',
      signal: io.signal,
    })
    for (const node of reader.silent)
      io.stderr(`${node} does not answer: its records are missing\n`)
    return last
  })
  print(io, options, {
    document: { records: records.map(documentOf) },
    text: records.map(textOf).join('\n'),
  })
}

async function follow(io: CliIo, options: LogOptions, entity: string | null): Promise<void> {
  await withLink(io, options, async (link) => {
    const reader = new LogReader(link.connection, await selectionOf(link, options, entity))
    const show = (record: SeenRecord): void => {
      const text = options.json === true ? JSON.stringify(documentOf(record)) : textOf(record)
      io.stdout(`${text}\n`)
    }
    const lost = (file: LogFileInfo, count: number): void =>
      io.stderr(
        `${count} records of ${file.stream} on ${file.node} were gone before they were read\n`,
      )
    const stop = await untilDone(() => reader.follow(options.lines, show, lost), {
      timeoutMs: timeoutMsOf(options),
      what: 'log records',
      signal: io.signal,
    })
    await new Promise<void>((resolve) => {
      if (io.signal.aborted) resolve()
      else io.signal.addEventListener('abort', () => resolve(), { once: true })
    })
    stop()
  })
}

async function listFiles(io: CliIo, options: LogOptions): Promise<void> {
  const { stream = null, node = null } = options
  const selection = { stream, node, components: null, severityMax: SEVERITY_ALL }
  const files = await withLink(io, options, ({ connection }) =>
    untilDone(() => new LogReader(connection, selection).files(), {
      timeoutMs: timeoutMsOf(options),
      what: 'log files',
      signal: io.signal,
    }),
  )
  const lines = files.map((file) => {
    const full = file.isFull ? ', full' : ''
    const dropped = file.dropped > 0 ? `, ${file.dropped} dropped` : ''
    const range = `records ${file.first} to ${file.next - 1}, ${file.sizeBytes} bytes`
    return `${file.stream} (${file.scope}) ${file.node}:${file.file}: ${range}${full}${dropped}`
  })
  print(io, options, { document: { files }, text: lines.join('\n') })
}

/** Text of one record: its fields as the object that they are, its bytes as base64. */
function documentOf(record: SeenRecord): object {
  const { fields, data, ...rest } = record
  return {
    ...rest,
    fields: fields === '' ? {} : (JSON.parse(fields) as object),
    data: data === null ? null : Buffer.from(data).toString('base64'),
  }
}

const textOf = (record: SeenRecord): string => recordText(record)
