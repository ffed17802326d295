import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { z } from 'zod'
import {
  isSdkError,
  makeShapeCodec,
  SdkError,
  valueFromJson,
  valueToJson,
  versionNumber,
  type Interface,
  type Shape,
} from '../../../idl/index.ts'
import { EoManagement, type Connection } from '../../../runtime/index.ts'
import { Management } from '../../director/interface.ts'
import { untilDone } from '../../operator/retry.ts'
import { optionsOf, timeoutMsOf, withLink, type CliIo, type GlobalOptions } from '../context.ts'
import { CommandFailure, EXIT, UsageError } from '../exit-code.ts'

const DEFAULT_CALL_MS = 10_000

const HELP = `
The target is asked which methods it has; the argument is one JSON document, {} when left out, "-" to read it from
standard input. The method's output is printed as one JSON document. The call runs at most once, whoever is active,
and is given up after --timeout (10 s by default).
In JSON, bytes are base64 text, dates ISO text, maps lists of pairs.
Exit codes: 2 no JSON, 3 no such name or method, 4 refused by the callee, 5 timed out (it may have run).

Examples:
  holdfast call @sequence next '{"count": 3}'
  holdfast call @sequence Sequence.next '{"count": 1}' --timeout 2
  holdfast call @sequence EoManagement.statistics
  holdfast call @amf status`

/** `call`: one RMD call from the shell. */
export function addCallCommand(program: Command, io: CliIo): void {
  program
    .command('call')
    .description('call a method of whoever is active behind a name')
    .argument('<@name>', 'logical name, or an address like 2:130')
    .argument('<method>', '[INTERFACE.]METHOD')
    .argument('[json]', 'argument of the method')
    .addHelpText('after', HELP)
    .action((to: string, method: string, json: string | undefined, _: unknown, command: Command) =>
      runCall(io, optionsOf(command), { to, method, json }),
    )
}

interface CallRequest {
  readonly to: string
  readonly method: string
  readonly json: string | undefined
}

/** What is needed to call a method without its interface. */
interface MethodDescription {
  readonly interfaceName: string
  readonly name: string
  readonly functionNumber: number
  readonly inputShape: Shape
  readonly outputShape: Shape
  /** JSON schema as text, for messages. */
  readonly inputSchema: string
}

async function runCall(io: CliIo, options: GlobalOptions, request: CallRequest): Promise<void> {
  if (!/^(?:@.+|\d+:\d+)$/.test(request.to))
    throw new UsageError(`"${request.to}" is no destination: give @NAME or NODE:PORT`)
  const argument = parseArgument(request.json)
  const timeoutMs = timeoutMsOf(options, DEFAULT_CALL_MS)
  const deadlineMs = performance.now() + timeoutMs
  const output = await withLink(io, options, async ({ connection }) => {
    const methods = await describeTarget(connection, request, { timeoutMs, signal: io.signal })
    const method = choose(methods, request)
    const payload = encodeArgument(method, argument)
    const bytes = await connection.rmd
      .call(request.to, method.functionNumber, payload, {
        atMostOnce: true,
        timeoutMs: Math.max(1, Math.floor(deadlineMs - performance.now())),
        signal: io.signal,
      })
      .catch((error: unknown) => refusedBy(request.to, error))
    return makeShapeCodec(`${method.name} output`, method.outputShape).decode(bytes)
  })
  // With or without --json: the output is a document already.
  io.stdout(`${JSON.stringify(valueToJson(output))}\n`)
}

function parseArgument(json: string | undefined): unknown {
  if (json === undefined) return {}
  const text = json === '-' ? readFileSync(0, 'utf8') : json
  try {
    return JSON.parse(text)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new UsageError(`the argument is no JSON (${why}): ${text}`)
  }
}

async function describeTarget(
  connection: Connection,
  request: CallRequest,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<readonly MethodDescription[]> {
  // The director is no component: it has no management table, but its interface is known here.
  if (request.to === '@amf') return methodsOf(Management)
  const eo = connection.rmd.client(EoManagement, { to: request.to })
  const { interfaces } = await untilDone((timeoutMs) => eo.describe({}, { timeoutMs }), {
    ...options,
    what: `description of ${request.to}`,
    final: ['NAME_NOT_FOUND'],
  })
  const installed = newestOf(interfaces).flatMap((face) =>
    face.methods.map((method) => ({
      interfaceName: face.name,
      name: method.name,
      functionNumber: method.functionNumber,
      inputShape: method.inputShape as Shape,
      outputShape: method.outputShape as Shape,
      inputSchema: method.inputSchema,
    })),
  )
  const named = request.method.startsWith(`${EoManagement.name}.`)
  return named ? methodsOf(EoManagement) : installed
}

/** Of several versions of an interface the highest: the one that a call without a version gets. */
function newestOf<F extends { readonly name: string; readonly version: string }>(
  faces: readonly F[],
): readonly F[] {
  const newest = new Map<string, F>()
  for (const face of faces) {
    const other = newest.get(face.name)
    if (other === undefined || versionNumber(face.version) > versionNumber(other.version)) {
      newest.set(face.name, face)
    }
  }
  return [...newest.values()]
}

function methodsOf(face: Interface): readonly MethodDescription[] {
  return Object.values(face.methods).map((method) => ({
    interfaceName: face.name,
    name: method.name,
    functionNumber: method.functionNumber,
    inputShape: method.input.shape,
    outputShape: method.output.shape,
    inputSchema: '',
  }))
}

function choose(methods: readonly MethodDescription[], { to, method }: CallRequest) {
  const full = (one: MethodDescription): string => `${one.interfaceName}.${one.name}`
  const found = methods.filter((one) => one.name === method || full(one) === method)
  if (found.length > 1)
    throw new UsageError(`several methods "${method}": say which: ${found.map(full).join(', ')}`)
  const only = found[0]
  if (only !== undefined) return only
  const known = methods.map(full).join(', ')
  const message = `${to} has no method "${method}"; it has: ${known || 'none'}`
  throw new CommandFailure('NOT_EXIST', message, EXIT.notFound)
}

function encodeArgument(method: MethodDescription, argument: unknown): Uint8Array {
  const place = `${method.interfaceName}.${method.name} input`
  const { inputShape } = method
  try {
    return makeShapeCodec(place, inputShape).encode(valueFromJson(inputShape, argument))
  } catch (error) {
    throw new CommandFailure(
      'INVALID_PARAMETER',
      whyWrong(place, method, argument, error),
      EXIT.refused,
    )
  }
}

/** The JSON schema knows which member is wrong; the codec's own words do where there is none. */
function whyWrong(
  place: string,
  method: MethodDescription,
  argument: unknown,
  error: unknown,
): string {
  const words = error instanceof Error ? error.message : String(error)
  if (method.inputSchema === '') return words
  try {
    const checked = z.fromJSONSchema(JSON.parse(method.inputSchema)).safeParse(argument)
    if (checked.success) return words
    const issues = checked.error.issues.map(
      (one) => `${one.path.join('.') || '(all)'}: ${one.message}`,
    )
    return `${place}: ${issues.join('; ')}`
  } catch {
    return words
  }
}

/** An argument that the callee's rules do not allow is a refusal like any other. */
function refusedBy(to: string, error: unknown): never {
  if (isSdkError(error, 'INVALID_PARAMETER'))
    throw new CommandFailure(error.code, `${to}: ${error.message}`, EXIT.refused)
  if (isSdkError(error, 'NAME_NOT_FOUND'))
    throw new SdkError('NAME_NOT_FOUND', `no name ${to} in this cluster`, { cause: error })
  throw error
}
