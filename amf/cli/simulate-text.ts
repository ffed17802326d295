import type { RandomResult } from '../simulate/random-faults.ts'
import type { ScenarioResult, TimelineEntry } from '../simulate/scenario.ts'
import type { Service } from '../simulate/service-meter.ts'
import type { SingleFailuresResult } from '../simulate/single-failures.ts'
import { table } from './render.ts'

/** Timeline, outages and final assignments. The start-up is summed up when something was done to the cluster. */
export function scenarioText(result: ScenarioResult, hasActions: boolean): string {
  const { timeline, services, settledMs, endMs } = result
  const first = timeline.findIndex(({ kind }) => kind === 'action')
  const shown = hasActions ? timeline.slice(Math.max(0, first)) : timeline
  const start = hasActions
    ? [
        `the cluster has settled after ${timeText(settledMs)}; what follows starts with the first action`,
      ]
    : []
  return [
    ...start,
    ...shown.flatMap(entryLines),
    `end at ${timeText(endMs)}`,
    '',
    servicesText(services),
    '',
    assignmentsText(result.assignments),
    ...violationLines(result.violations),
  ].join('\n')
}

function entryLines(entry: TimelineEntry): string[] {
  const { atMs, kind, entity, from, to, causes } = entry
  const at = timeText(atMs).padStart(9)
  if (kind === 'action') return [`${at} ${to}`]
  if (kind === 'answer') return [`${at} answer to ${entity}: ${to}`]
  const change = from === null ? to : `${from} -> ${to}`
  const why = causes.map((cause, depth) => `${' '.repeat(12 + 2 * depth)}because ${cause}`)
  return [`${at} ${kind} ${entity}: ${change}`, ...why]
}

function servicesText(services: readonly Service[]): string {
  return table([
    ['SERVICE INSTANCE', 'SERVED FROM', 'OUTAGES', 'TOTAL', 'LONGEST', 'AT THE END'],
    ...services.map((service) => [
      service.serviceInstance,
      service.firstServedMs === null ? 'never' : timeText(service.firstServedMs),
      String(service.outages.length),
      timeText(service.totalMs),
      timeText(service.longestMs),
      service.isServed ? 'served' : 'NOT SERVED',
    ]),
  ])
}

function assignmentsText(assignments: ScenarioResult['assignments']): string {
  const having = (of: ScenarioResult['assignments'][number], haState: string): string =>
    of.assignments
      .filter((each) => each.haState === haState)
      .map(({ serviceUnit }) => serviceUnit)
      .join(', ') || '-'
  const rows = assignments.map((each) => [
    each.serviceInstance,
    each.state,
    having(each, 'ACTIVE'),
    having(each, 'STANDBY'),
  ])
  const waits = assignments.flatMap(({ serviceInstance, waitingFor }) =>
    waitingFor === null ? [] : [`${serviceInstance} waits for ${waitingFor}`],
  )
  return [table([['SERVICE INSTANCE', 'STATE', 'ACTIVE', 'STANDBY'], ...rows]), ...waits].join('\n')
}

/** Failures that cost service, worst first for the reader; the others are counted. */
export function singleFailuresText(result: SingleFailuresResult): string {
  const { failures, unserved } = result
  const rows = failures.flatMap(({ kind, entity, losses }) =>
    losses.map((loss) => [
      entity,
      kind,
      loss.serviceInstance,
      loss.isLost ? 'LOST FOR GOOD' : timeText(loss.totalMs),
      loss.isLost ? '-' : timeText(loss.longestMs),
    ]),
  )
  const harmless = failures.filter(({ losses }) => losses.length === 0).length
  const lost = failures.filter(({ losses }) => losses.some(({ isLost }) => isLost)).length
  return [
    ...(rows.length === 0
      ? []
      : [table([['FAILURE OF', 'WHAT', 'SERVICE INSTANCE', 'OUTAGE', 'LONGEST'], ...rows]), '']),
    ...unserved.map((name) => `${name} is served by nobody even without a failure`),
    `${String(failures.length)} single failures: ${String(harmless)} cost no service, ` +
      `${String(failures.length - harmless - lost)} some, ${String(lost)} lose a service for good`,
  ].join('\n')
}

export function randomText(result: RandomResult): string {
  const { seed, actions, endMs, counts, violations, notConverged } = result
  const list = Object.entries(counts)
    .map(([kind, count]) => `${kind} ${String(count)}`)
    .join(', ')
  const verdict = notConverged.map(
    ({ serviceInstance, before, after, waitingFor }) =>
      `${serviceInstance} was ${before} and is ${after}${waitingFor === null ? '' : `: waits for ${waitingFor}`}`,
  )
  return [
    `seed ${String(seed)}: ${String(actions)} actions (${list}) in ${timeText(endMs)}`,
    violations.length === 0 ? 'every invariant held after every step' : '',
    ...violationLines(violations),
    notConverged.length === 0 ? 'converged: all that was assigned is assigned again' : '',
    ...verdict,
    '',
    servicesText(result.services),
  ].join('\n')
}

function violationLines(violations: readonly string[]): string[] {
  return violations.map((text) => `INVARIANT BROKEN: ${text}`)
}

/** `0.300 s`: virtual times are exact. */
function timeText(ms: number): string {
  return `${(ms / 1_000).toFixed(3)} s`
}
