import { readFileSync, statSync, writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { SdkError } from '../../../idl/index.ts'
import type { Finding } from '../../model/import/findings.ts'
import { importModel, type ImportSource } from '../../model/import/import-model.ts'
import { XML_LIMITS } from '../../../idl/internal.ts'
import { CommandFailure, EXIT } from '../exit-code.ts'
import { optionsOf, print, type CliIo, type GlobalOptions } from '../context.ts'

const HELP = `
Reads models of other availability frameworks and writes one cluster.yaml for all files together:
  OpenSAF   IMM XML (objects and class definitions), SMF campaigns, the older APPConfig
  SAFplus   clAmfConfig.xml together with clAmfDefinitions.xml
  OpenAIS   amf.conf
What has no counterpart, or was changed, is listed on standard error with file and line; nothing is dropped in silence.
Exit code 0: written. 1: the files contradict themselves or cannot be read (every error is listed). 3: no such file.

Examples:
  holdfast import clAmfConfig.xml clAmfDefinitions.xml --output cluster.yaml
  holdfast import app.xml nodes.xml > cluster.yaml && holdfast check cluster.yaml
  holdfast import app.xml --json`

interface ImportOptions extends GlobalOptions {
  readonly output?: string
}

/** `import FILES...`: writes a `cluster.yaml` from models of OpenSAF, SAFplus or OpenAIS. */
export function addImportCommand(program: Command, io: CliIo): void {
  program
    .command('import')
    .description('write a cluster.yaml from OpenSAF, SAFplus or OpenAIS models')
    .argument('<files...>', 'XML files that are one model together')
    .option('--output <file>', 'where to write (default: standard output)')
    .addHelpText('after', HELP)
    .action((paths: readonly string[], _options: unknown, command: Command) => {
      const options = optionsOf<ImportOptions>(command)
      const { yaml, model, notes, errors, unlisted } = importModel(paths.map(readSource))
      if (yaml === null || model === null) {
        const list = errors.map((finding) => `\n  ${lineOf(finding)}`).join('')
        const count = `${String(errors.length)} error${errors.length === 1 ? '' : 's'}`
        throw new CommandFailure('INVALID_PARAMETER', `cannot import: ${count}${list}`, EXIT.failed)
      }
      io.stderr(notesText(notes, unlisted))
      if (options.output !== undefined) write(options.output, yaml)
      const text = options.output === undefined ? yaml : ''
      print(io, options, { document: { model, notes, unlisted }, text })
    })
}

function readSource(file: string): ImportSource {
  try {
    // What is too large is not even read.
    if (statSync(file).size > XML_LIMITS.bytesMax) return { file, text: TOO_LARGE }
    return { file, text: readFileSync(file, 'utf8') }
  } catch (cause) {
    throw new SdkError('NOT_EXIST', `cannot read ${file}: ${String(cause)}`, { cause })
  }
}

const TOO_LARGE = ' '.repeat(XML_LIMITS.bytesMax + 1)

function write(path: string, yaml: string): void {
  try {
    writeFileSync(path, yaml)
  } catch (cause) {
    throw new SdkError('FAILED_OPERATION', `cannot write ${path}: ${String(cause)}`, { cause })
  }
}

function lineOf({ file, line, object, attribute, message }: Finding): string {
  const what = [object, attribute].filter((part) => part !== null && part !== '').join(' ')
  return `${file}:${String(line)}: ${what === '' ? '' : `${what}: `}${message}`
}

/** Notes that say the same of one attribute are one line with all their places. */
function notesText(notes: readonly Finding[], unlisted: number): string {
  const groups = new Map<string, Finding[]>()
  for (const note of notes) {
    const { file, line, attribute, message } = note
    const key = JSON.stringify(
      attribute === null ? [file, line, note.object, message] : [file, attribute, message],
    )
    groups.set(key, [...(groups.get(key) ?? []), note])
  }
  const lines = [...groups.values()].map(([first, ...rest]) => {
    if (!first) return ''
    const others = rest.map(({ line, object }) => `${String(line)} (${object ?? ''})`)
    const also = others.length === 0 ? '' : `; also in line ${others.join(', ')}`
    return `${lineOf(first)}${also}\n`
  })
  const more = unlisted === 0 ? '' : `and ${String(unlisted)} more\n`
  return lines.join('') + more
}
