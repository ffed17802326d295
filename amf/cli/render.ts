import type { ClusterStatus, NotificationRecord } from '../director/interface.ts'

/** Lays rows out in columns as wide as their widest cell. The first row is the heading. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows)
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length)
    })
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** The status as an operator reads it: roles, units, nodes, then a verdict in plain words. */
export function renderStatus(status: ClusterStatus): string {
  const director =
    status.director === null
      ? 'no director'
      : `director ${status.director.node}, term ${status.director.term}`
  const holders = (si: ClusterStatus['serviceInstances'][number], states: readonly string[]) =>
    si.assignments
      .filter((a) => states.includes(a.haState))
      .map((a) => `${a.serviceUnit}@${a.node}${states[0] === a.haState ? '' : ` (${a.haState})`}`)
      .join(', ') || '-'
  const instances = status.serviceInstances.map((si) => [
    si.name,
    si.state,
    holders(si, ['ACTIVE', 'QUIESCING', 'QUIESCED']),
    holders(si, ['STANDBY']),
  ])
  const units = status.serviceUnits.map((su) => [
    su.name,
    su.node,
    su.presence,
    su.readiness,
    su.components.map((c) => `${c.name}${c.pid === null ? '' : ` (pid ${c.pid})`}`).join(', '),
  ])
  const problems = problemsOf(status)
  const verdict =
    problems.length === 0 ? 'nothing wrong' : problems.map((text) => `! ${text}`).join('\n')
  return [
    `cluster ${status.cluster}, ${director}`,
    '',
    table([['SERVICE INSTANCE', 'STATE', 'ACTIVE', 'STANDBY'], ...instances]),
    '',
    table([['SERVICE UNIT', 'NODE', 'PRESENCE', 'READINESS', 'COMPONENTS'], ...units]),
    '',
    table([['NODE', 'STATE'], ...status.nodes.map((node) => [node.name, node.state])]),
    '',
    verdict,
  ].join('\n')
}

/** States of a node that are as they should be. */
const NODE_WELL: ReadonlySet<string> = new Set(['UP', 'JOINED', 'MEMBER', 'ENABLED'])

/** Everything that is not as the model wants it, in plain words; empty when nothing is wrong. */
export function problemsOf(status: ClusterStatus): readonly string[] {
  const problems: string[] = []
  if (status.director === null) problems.push('no director: nobody decides at the moment')
  for (const si of status.serviceInstances) {
    if (si.waitingFor !== null && si.waitingFor !== '')
      problems.push(`waiting: ${si.name}: ${si.waitingFor}`)
    else if (si.state === 'UNASSIGNED') problems.push(`down: ${si.name} is UNASSIGNED`)
    else if (si.state !== 'FULLY_ASSIGNED')
      problems.push(`degraded: ${si.name} is ${si.state}${missingRole(si)}`)
  }
  for (const { name, adminState } of [...status.scopes, ...status.serviceGroups, ...status.nodes])
    if (adminState !== 'UNLOCKED') problems.push(`${name} is ${adminState}`)
  for (const node of status.nodes)
    if (!NODE_WELL.has(node.state.toUpperCase()))
      problems.push(`node ${node.name} is ${node.state}`)
  for (const su of status.serviceUnits)
    if (su.readiness !== 'IN_SERVICE' || su.presence !== 'INSTANTIATED')
      problems.push(
        `${su.name} on ${su.node} is ${su.readiness} (${su.presence}${su.adminState === 'UNLOCKED' ? '' : `, ${su.adminState}`})`,
      )
  for (const alarm of status.alarms) problems.push(`alarm: ${alarm.entity}: ${alarm.text}`)
  return problems
}

function missingRole(si: ClusterStatus['serviceInstances'][number]): string {
  const has = (haState: string): boolean => si.assignments.some((a) => a.haState === haState)
  if (!has('ACTIVE')) return ': nobody is ACTIVE'
  return has('STANDBY') ? '' : ': it runs without a STANDBY'
}

export function renderState(state: {
  readonly entity: string
  readonly class: string
  readonly states: Readonly<Record<string, string>>
}): string {
  const rows = Object.entries(state.states).map(([name, value]) => [`  ${name}`, value])
  return `${state.entity} (${state.class})\n${table(rows)}`
}

/** Changes that `why` prints as text. */
const CHANGES_SHOWN_MAX = 5

export function renderWhy(why: {
  readonly entity: string
  readonly notifications: readonly NotificationRecord[]
}): string {
  if (why.notifications.length === 0) return `${why.entity}: no change since the director started`
  const shown = why.notifications.slice(0, CHANGES_SHOWN_MAX).map(renderChange)
  const more = why.notifications.length - shown.length
  return [...shown, ...(more > 0 ? [`(${more} older: --json shows them)`] : [])].join('\n\n')
}

function renderChange(one: NotificationRecord): string {
  // The first cause stands first in the record; a reader asks from the effect backwards.
  const chain = one.causes
    .toReversed()
    .map((cause, depth) => `${'  '.repeat(depth + 1)}because ${cause}`)
  return [renderNotification(one, false), ...(chain.length > 0 ? chain : ['  (no cause)'])].join(
    '\n',
  )
}

/** One change in one line; with causes it ends in the chain, first cause last. */
export function renderNotification(one: NotificationRecord, withCauses = true): string {
  const about = one.serviceInstance === undefined ? '' : ` for ${one.serviceInstance}`
  const change = one.from === null ? one.to : `${one.from} -> ${one.to}`
  const asked = one.recommended === undefined ? '' : ` (recommended: ${one.recommended})`
  const epoch = one.epoch === undefined ? '' : ` [epoch ${epochText(one.epoch)}]`
  const causes =
    withCauses && one.causes.length > 0 ? `: ${one.causes.toReversed().join(' <- ')}` : ''
  return `${timeText(one.atMs)} ${one.kind} ${one.entity}${about}: ${change}${asked}${epoch}${causes}`
}

/** An epoch is `term * 2^32 + counter`; shown as `term.counter`. */
export function epochText(epoch: number): string {
  return `${Math.floor(epoch / 2 ** 32)}.${epoch % 2 ** 32}`
}

/** Wall-clock times print as times; anything smaller is a monotonic clock and prints as seconds. */
function timeText(atMs: number): string {
  return atMs > 1e12 ? new Date(atMs).toISOString().slice(11, 23) : `${(atMs / 1000).toFixed(3)}s`
}
