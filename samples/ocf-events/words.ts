import { ocEv, type OcEvData } from 'holdfast/runtime'

const NAMES = new Map<number, string>([
  [ocEv.OC_EV_CS_INTERFACE, 'interface'],
  [ocEv.OC_EV_CS_ELIGIBLE, 'eligible'],
  [ocEv.OC_EV_CS_CONNECT, 'connection'],
  [ocEv.OC_EV_MS_NEW_MEMBERSHIP, 'members'],
  [ocEv.OC_EV_MS_NOT_PRIMARY, 'uncertain'],
  [ocEv.OC_EV_MS_PRIMARY_RESTORED, 'certain again'],
  [ocEv.OC_EV_MS_EVICTED, 'evicted'],
  [ocEv.OC_EV_MS_SERVICE_SHUTDOWN, 'shutdown'],
  [ocEv.OC_EV_GS_JOIN, 'join'],
  [ocEv.OC_EV_GS_LEAVE, 'leave'],
  [ocEv.OC_EV_GS_CAST, 'cast'],
])

/** One event in one line, for example `members 5: node1 node2`. */
export function inWords(event: number, data: OcEvData | null): string {
  const name = NAMES.get(event) ?? `event ${event}`
  if (data === null) return name
  switch (data.kind) {
    case 'membership': {
      const { nodes, memberIndex, memberCount } = data
      const members = nodes.slice(memberIndex, memberIndex + memberCount)
      return `${name} ${data.instance}: ${members.map((node) => node?.name).join(' ')}`
    }
    case 'connectivity':
      return `${name}: ${data.change} ${data.names.join(' ')}`
    case 'groupView':
      return `${name} ${data.group}: ${data.changed.map((one) => one.name).join(' ')}`
    case 'groupMessage':
      return `${name} ${data.group}: ${Buffer.from(data.message).toString()}`
  }
}
