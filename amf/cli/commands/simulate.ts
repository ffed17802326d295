import { readFileSync } from 'node:fs'
import { InvalidArgumentError, type Command } from 'commander'
import { SdkError } from '../../../idl/index.ts'
import { suggestion } from '../../model/suggest.ts'
import { loadModel } from '../../model/load.ts'
import type { Model } from '../../model/model.ts'
import { ACTIONS, parseTime, type Action } from '../../simulate/action.ts'
import { DEFAULT_DURATIONS, type Durations } from '../../simulate/durations.ts'
import { refusalOf } from '../../simulate/perform-action.ts'
import { runRandomFaults } from '../../simulate/random-faults.ts'
import { runScenario } from '../../simulate/scenario.ts'
import { parseScript } from '../../simulate/script.ts'
import { trySingleFailures } from '../../simulate/single-failures.ts'
import { optionsOf, print, type CliIo, type GlobalOptions } from '../context.ts'
import { EXIT, PrintedFailure, UsageError } from '../exit-code.ts'
import { randomText, scenarioText, singleFailuresText } from '../simulate-text.ts'

const HELP = `
Runs the availability engine on a model in virtual time, with simulated nodes and processes: nothing is started.
Times are 300ms, 5s, 2m; a number alone is seconds. --at is for the action before it; an action without one comes a
second after the one before, the first when the cluster has settled. A failed node stays away until --repair.

SCRIPT is a YAML list of actions: - { at: 5s, fail: sequenceSU1 }
Exit code 1: --single-failures found a service instance that is lost for good, or --random one that did not come back
(or an invariant that did not hold). 2: bad time or option. 3: no such file or entity.

Examples:
  holdfast simulate cluster.yaml --fail sequenceSU1 --at 6s
  holdfast simulate cluster.yaml --lock node2 --at 6s --fail sequence1 --until 20s
  holdfast simulate cluster.yaml --single-failures
  holdfast simulate cluster.yaml --random 1000 --seed 7 --json`

interface SimulateOptions extends GlobalOptions {
  readonly until?: number
  readonly singleFailures?: boolean
  readonly random?: number
  readonly seed?: number
}

const DURATIONS: readonly (readonly [keyof Durations, string])[] = [
  ['launchMs', 'launch of a process until it has registered'],
  ['callbackMs', 'a callback, there and back'],
  ['quiescingMs', 'work in progress finishes'],
  ['terminateMs', 'orderly end of a process'],
  ['cleanupMs', 'abrupt end of a process'],
  ['detectMs', 'death of a process until the director knows'],
  ['nodeDetectMs', 'death of a node until the director knows'],
  ['nodeRestartMs', 'end of a node until it joins again'],
]

/** `simulate MODEL [SCRIPT]`: what would happen if. */
export function addSimulateCommand(program: Command, io: CliIo): void {
  const actions: Action[] = []
  const command = program
    .command('simulate')
    .description('what would happen if: runs a model in virtual time')
    .argument('<model>', 'path of a cluster.yaml')
    .argument('[script]', 'YAML list of actions')
  for (const kind of ACTIONS) {
    command.option(`--${kind} <entity>`, actionHelp(kind), (entity: string) => {
      actions.push({ kind, entity, atMs: null })
      return entity
    })
  }
  command
    .option('--at <time>', 'virtual time of the action before it', (text: string) => {
      const last = actions.pop()
      if (!last) throw new InvalidArgumentError('comes after the action that it is for.')
      actions.push({ ...last, atMs: timeOf(text) })
      return text
    })
    .option('--until <time>', 'end of the virtual time', timeOf)
    .option('--single-failures', 'try every single failure from the settled cluster')
    .option('--random <count>', 'faults and operations by chance', countOf)
    .option('--seed <number>', 'which chance (default: 1)', countOf)
  for (const [key, text] of DURATIONS) {
    const value = String(DEFAULT_DURATIONS[key])
    command.option(`--${flagOf(key)} <ms>`, `${text} (default: ${value})`, countOf)
  }
  command
    .addHelpText('after', HELP)
    .action((path: string, script: string | undefined, _options: unknown, self: Command) => {
      const model = loadModel(path)
      const all = [...(script === undefined ? [] : readScript(script)), ...actions]
      simulate(io, model, { options: optionsOf<SimulateOptions>(self), actions: all })
    })
}

function actionHelp(kind: string): string {
  if (kind === 'fail') return 'a component, service unit or node dies'
  if (kind === 'repair') return 'a failed node comes back; else as the command of that name'
  return 'as the command of that name'
}

/** `nodeDetectMs` is `--node-detect-ms`. */
function flagOf(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

function timeOf(text: string): number {
  const ms = parseTime(text)
  if (ms === null) throw new InvalidArgumentError('must be a time such as 300ms, 5s or 2m.')
  return ms
}

function countOf(text: string): number {
  const count = Number(text)
  if (!/^\d+$/.test(text) || count > 1_000_000) {
    throw new InvalidArgumentError('must be a whole number from 0 to 1000000.')
  }
  return count
}

function readScript(path: string): readonly Action[] {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new SdkError('NOT_EXIST', `cannot read the script ${path}: ${String(cause)}`, { cause })
  }
  const { actions, problems } = parseScript(text)
  if (problems.length === 0) return actions
  const list = problems.map(({ line, message }) => `\n  line ${String(line)}: ${message}`)
  throw new UsageError(`${path}: bad script${list.join('')}`)
}

function simulate(
  io: CliIo,
  model: Model,
  { options, actions }: { options: SimulateOptions; actions: readonly Action[] },
): void {
  checkEntities(model, actions)
  const given = options as unknown as Partial<Record<keyof Durations, number>>
  const durations = Object.fromEntries(
    DURATIONS.map(([key]) => [key, given[key] ?? DEFAULT_DURATIONS[key]]),
  ) as unknown as Durations
  const { until, random } = options
  if (options.singleFailures === true) {
    if (actions.length > 0 || random !== undefined) {
      throw new UsageError('--single-failures tries failures itself: leave out the actions')
    }
    const result = trySingleFailures(model, { durations, horizonMs: until ?? 60_000 })
    print(io, options, { document: result, text: singleFailuresText(result) })
    const lost = result.failures.filter(({ losses }) => losses.some(({ isLost }) => isLost))
    if (lost.length > 0) fail(`${String(lost.length)} single failures lose service for good`)
    return
  }
  if (random !== undefined) {
    if (actions.length > 0) throw new UsageError('--random chooses actions itself: leave them out')
    const result = runRandomFaults(model, { durations, count: random, seed: options.seed ?? 1 })
    print(io, options, { document: result, text: randomText(result) })
    if (result.violations.length > 0) fail('an invariant did not hold')
    if (result.notConverged.length > 0) fail('the cluster did not converge')
    return
  }
  const lateMs = actions.reduce((latest, { atMs }) => Math.max(latest, atMs ?? 0), 0)
  if (until !== undefined && until < lateMs) {
    throw new UsageError('--until is before the last action: nothing would come of it')
  }
  const result = runScenario(model, { actions, durations, untilMs: until ?? null })
  print(io, options, { document: result, text: scenarioText(result, actions.length > 0) })
  if (result.violations.length > 0) fail('an invariant did not hold')
}

/** The result is on standard output; this is its verdict. */
function fail(message: string): never {
  throw new PrintedFailure('FAILED_OPERATION', message, EXIT.failed)
}

function checkEntities(model: Model, actions: readonly Action[]): void {
  for (const { kind, entity } of actions) {
    const refusal = refusalOf(model, kind, entity)
    if (!refusal) continue
    if (!refusal.isUnknown) throw new UsageError(`--${kind} ${entity}: ${refusal.message}`)
    const near = suggestion(entity, namesOf(model))
    throw new SdkError('NOT_EXIST', `--${kind} ${entity}: ${refusal.message}${near}`)
  }
}

function namesOf(model: Model): string[] {
  return [
    ...model.nodes.keys(),
    ...model.serviceGroups.keys(),
    ...model.serviceUnits.keys(),
    ...model.components.keys(),
    ...model.serviceInstances.keys(),
  ]
}
