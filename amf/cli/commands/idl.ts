import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { InvalidArgumentError, type Command } from 'commander'
import { z } from 'zod'
import { type Interface, SdkError } from '../../../idl/index.ts'
import {
  buildInterfaces,
  compareInterfaces,
  describeInterface,
  generateModule,
  type Difference,
  type IdlDescription,
  type InterfaceDescription,
  interfaceDescriptionSchema,
  readIdl,
  XML_LIMITS,
} from '../../../idl/internal.ts'
import { optionsOf, print, type CliIo, type GlobalOptions } from '../context.ts'
import { EXIT, PrintedFailure } from '../exit-code.ts'

const HELP = `
generate  reads SAFplus IDL files (XML) and writes one TypeScript module with their types and interfaces
describe  prints the interfaces of IDL files or of a compiled module as JSON: keep it beside a release
diff      compares two of: IDL file, compiled module (.js), description (.json); exit code 1 when callers of the
          old one would break

Examples:
  holdfast idl generate clNameIdl.xml --output src/generated
  holdfast idl generate my.xml --define MyHandleT=ClHandleT --define MY_TABLE_ID=21
  holdfast idl describe dist/sequence.js > sequence.release.json
  holdfast idl diff sequence.release.json dist/sequence.js`

/** A file that is something else altogether has an error a line. */
const PROBLEMS_SHOWN_MAX = 100

interface IdlOptions extends GlobalOptions {
  readonly define: ReadonlyMap<string, string>
  readonly output?: string
}

/** `idl generate|describe|diff`: interfaces of files. */
export function addIdlCommand(program: Command, io: CliIo): void {
  const idl = program.command('idl').description('generate, describe and compare interfaces')
  idl.addHelpText('after', HELP)
  withDefine(idl.command('generate'))
    .description('write a TypeScript module of IDL files')
    .argument('<files...>', 'IDL files (XML) that belong together')
    .option('--output <path>', 'directory, or file ending in .ts (default: standard output)')
    .action((paths: readonly string[], _options: unknown, command: Command) => {
      generate(io, paths, optionsOf<IdlOptions>(command))
    })
  withDefine(idl.command('describe'))
    .description('print the interfaces of a file as JSON')
    .argument('<file>', 'IDL file, compiled module or description')
    .action(async (path: string, _options: unknown, command: Command) => {
      const document = await interfacesOf(path, optionsOf<IdlOptions>(command).define)
      io.stdout(`${JSON.stringify(document, null, 2)}\n`)
    })
  withDefine(idl.command('diff'))
    .description('say what breaks callers of an older interface')
    .argument('<old>', 'what callers were made for')
    .argument('<new>', 'what they are to call')
    .action(async (before: string, after: string, _options: unknown, command: Command) => {
      const options = optionsOf<IdlOptions>(command)
      const old = await interfacesOf(before, options.define)
      const differences = compareInterfaces(old, await interfacesOf(after, options.define))
      report(io, options, differences)
    })
}

function withDefine(command: Command): Command {
  return command.option(
    '--define <name=value>',
    'what a name of a header stands for; may be repeated',
    (text: string, known: ReadonlyMap<string, string>) => new Map([...known, definition(text)]),
    new Map<string, string>(),
  )
}

function definition(text: string): readonly [string, string] {
  const at = text.indexOf('=')
  if (at > 0 && at < text.length - 1) return [text.slice(0, at), text.slice(at + 1)]
  throw new InvalidArgumentError('must be NAME=VALUE, for example MyHandleT=ClHandleT.')
}

function generate(io: CliIo, paths: readonly string[], options: IdlOptions): void {
  const idl = readFiles(paths, options.define)
  for (const { place, text } of idl.notes) io.stderr(`${place.file}:${place.line}: ${text}\n`)
  const names = paths.map((path) => basename(path))
  const text = generateModule(idl, names)
  const { output } = options
  const target = output === undefined ? null : targetOf(output, names[0] ?? 'idl')
  if (target !== null) {
    writeFileSync(target, text)
    io.stderr(`written: ${target}\n`)
  }
  const interfaces = idl.ports.map(({ name, clientId, version, operations }) => ({
    name,
    clientId,
    version,
    operations: operations.length,
  }))
  const document = { output: target, types: idl.types.length, interfaces, notes: idl.notes, text }
  print(io, options, { document, text: target === null ? text : '' })
}

function targetOf(output: string, first: string): string {
  if (output.endsWith('.ts')) return output
  mkdirSync(output, { recursive: true })
  return join(output, `${first.replace(/\.[^.]*$/, '')}.ts`)
}

function report(io: CliIo, options: IdlOptions, differences: readonly Difference[]): void {
  const lines = differences.map(
    ({ breaking, path, text }) => `${breaking ? 'BREAKING  ' : 'compatible'} ${path}: ${text}`,
  )
  const breaking = differences.filter((difference) => difference.breaking)
  const text = lines.length === 0 ? 'no difference' : lines.join('\n')
  print(io, options, { document: { compatible: breaking.length === 0, differences }, text })
  if (breaking.length === 0) return
  const said = `${breaking.length} of ${differences.length} differences break callers`
  throw new PrintedFailure('INCOMPATIBLE', said, EXIT.failed)
}

function readFiles(paths: readonly string[], define: ReadonlyMap<string, string>): IdlDescription {
  const sources = paths.map((file) => ({ file, text: readText(file) }))
  const read = readIdl(sources, { define })
  if ('idl' in read) return read.idl
  const { length } = read.problems
  const list = read.problems
    .slice(0, PROBLEMS_SHOWN_MAX)
    .map(({ place, text }) => `\n  ${place.file}:${String(place.line)}: ${text}`)
  if (length > list.length) list.push(`\n  and ${length - list.length} more`)
  const count = `${length} error${length === 1 ? '' : 's'}`
  throw new SdkError('INVALID_PARAMETER', `cannot be read: ${count}${list.join('')}`)
}

function readText(file: string): string {
  try {
    const { size } = statSync(file)
    if (size <= XML_LIMITS.bytesMax) return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new SdkError('NOT_EXIST', `cannot read ${file}: ${String(cause)}`, { cause })
  }
  throw new SdkError('TOO_BIG', `${file} has more than ${XML_LIMITS.bytesMax} bytes`)
}

async function interfacesOf(
  path: string,
  define: ReadonlyMap<string, string>,
): Promise<InterfaceDescription[]> {
  if (/\.xml$/i.test(path)) {
    return buildInterfaces(readFiles([path], define)).map(describeInterface)
  }
  if (/\.json$/i.test(path)) return readDescriptions(path)
  readText(path)
  const module = (await import(pathToFileURL(resolve(path)).href)) as Record<string, unknown>
  const found = Object.values(module).filter(isInterface).map(describeInterface)
  if (found.length > 0) return found
  throw new SdkError(
    'INVALID_PARAMETER',
    `${path} exports no interface; remedy: a compiled module that exports the result of ` +
      'defineInterface',
  )
}

function readDescriptions(path: string): InterfaceDescription[] {
  let read: unknown
  try {
    read = JSON.parse(readText(path))
  } catch (cause) {
    if (cause instanceof SdkError) throw cause
    throw new SdkError('INVALID_PARAMETER', `${path} is no JSON: ${String(cause)}`, { cause })
  }
  const parsed = z.array(interfaceDescriptionSchema).safeParse(read)
  if (parsed.success) return parsed.data
  const why = parsed.error.issues.map(({ path: at, message }) => `${at.join('.')}: ${message}`)
  const remedy = 'remedy: make it with "holdfast idl describe"'
  throw new SdkError('INVALID_PARAMETER', `${path}: ${why.slice(0, 5).join('; ')}; ${remedy}`)
}

function isInterface(value: unknown): value is Interface {
  if (typeof value !== 'object' || value === null) return false
  return 'clientId' in value && 'methods' in value && 'spec' in value && 'version' in value
}
