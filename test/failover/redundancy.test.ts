import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isSdkError } from '../../dist/idl/index.js'
import { startCluster, type Cluster } from '../../dist/amf/testkit/index.js'
import type { ClusterView } from '../../dist/amf/operator/view.js'

/**
 * One failover for each redundancy model besides 2N, and what operators do, with real processes. The component carries
 * any CSI and keeps no state.
 */
const TEST_MS = 40_000
const CLI = fileURLToPath(new URL('../../dist/amf/cli/main.js', import.meta.url))
const COMPONENT = fileURLToPath(
  new URL('../../dist/test/fixtures/roles/component.js', import.meta.url),
)

interface Shape {
  readonly redundancy: string
  readonly units: readonly string[]
  readonly instances: number
  readonly group?: Readonly<Record<string, unknown>>
  readonly instance?: Readonly<Record<string, unknown>>
  readonly component?: Readonly<Record<string, unknown>>
  readonly node?: Readonly<Record<string, unknown>>
}

/** SU1 and on, on the nodes given, each with one component C1 and on; SI1 and on. */
function modelOf(shape: Shape): Record<string, unknown> {
  const nodes = [...new Set(shape.units)]
  const number = (index: number): string => String(index + 1)
  return {
    cluster: 'roles',
    nodes: Object.fromEntries(nodes.map((name) => [name, shape.node ?? {}])),
    componentTypes: {
      T: { command: [process.execPath, CLI, 'component', COMPONENT], ...shape.component },
    },
    serviceGroups: {
      SG: {
        redundancy: shape.redundancy,
        ...shape.group,
        serviceUnits: Object.fromEntries(
          shape.units.map((node, index) => [
            `SU${number(index)}`,
            { node, rank: index + 1, components: { [`C${number(index)}`]: 'T' } },
          ]),
        ),
        serviceInstances: Object.fromEntries(
          Array.from({ length: shape.instances }, (_, index) => [
            `SI${number(index)}`,
            { rank: index + 1, ...shape.instance, csis: { [`I${number(index)}`]: {} } },
          ]),
        ),
      },
    },
  }
}

/** `1:A1/S2,3 2:A2`, as in the vectors. */
function rolesOf(view: ClusterView): string {
  const units = (si: ClusterView['status']['serviceInstances'][number], role: string): string =>
    si.assignments
      .filter(({ haState }) => haState === role)
      .map(({ serviceUnit }) => serviceUnit.slice(2))
      .toSorted()
      .join(',')
  return view.status.serviceInstances
    .map((si) => {
      const standby = units(si, 'STANDBY')
      return `${si.name.slice(2)}:A${units(si, 'ACTIVE')}${standby === '' ? '' : `/S${standby}`}`
    })
    .join(' ')
}

async function started(shape: Shape): Promise<Cluster> {
  const cluster = await startCluster(modelOf(shape))
  open.push(cluster)
  return cluster
}

/** Waits until the roles are these, and every component runs. */
async function expectRoles(cluster: Cluster, roles: string): Promise<void> {
  const arrived = cluster.until((view) => rolesOf(view) === roles, 15_000)
  await arrived.catch(() => expect(rolesOf(cluster.view as ClusterView)).toBe(roles))
}

const open: Cluster[] = []
afterEach(async () => {
  for (const cluster of open.splice(0)) await cluster.stop()
})

describe('kill -9 of an active component', { timeout: TEST_MS }, () => {
  const two = ['n1', 'n2']
  it.each<[string, Shape, string, string]>([
    [
      'N+M: the standby of all takes over and gives up the rest',
      {
        redundancy: 'N+M',
        units: [...two, 'n2'],
        instances: 2,
        group: { preferredActiveSUs: 2, preferredStandbySUs: 1 },
      },
      '1:A1/S3 2:A2/S3',
      '1:A3/S1 2:A2/S1',
    ],
    [
      'N-way: the standby is full, so a spare becomes active, and everybody has a standby again',
      {
        redundancy: 'N-way',
        units: [...two, 'n2'],
        instances: 2,
        group: { maxActiveSIsPerSU: 1 },
        instance: { preferredStandby: 1 },
      },
      '1:A1/S2 2:A2/S1',
      '1:A3/S2 2:A2/S3',
    ],
    [
      'N-way active: the others go on, another one joins them',
      {
        redundancy: 'N-way-active',
        units: [...two, 'n2'],
        instances: 1,
        instance: { preferredActive: 2 },
      },
      '1:A1,2',
      '1:A2,3',
    ],
    [
      'no redundancy: a spare takes the instance',
      { redundancy: 'no-redundancy', units: [...two, 'n2'], instances: 2 },
      '1:A1 2:A2',
      '1:A3 2:A2',
    ],
  ])('%s', async (_, shape, before, after) => {
    const cluster = await started(shape)
    await expectRoles(cluster, before)
    await cluster.kill('C1')
    await expectRoles(cluster, after)
    const back = await cluster.until((view) => view.component('C1').pid !== null, 15_000)
    expect(back.status.alarms).toEqual([])
  })
})

describe('escalation', { timeout: TEST_MS }, () => {
  it('goes from component restart to SU restart, failover and node failover', async () => {
    const cluster = await started({
      redundancy: '2N',
      units: ['n1', 'n2'],
      instances: 1,
      group: { componentRestartMax: 1, suRestartMax: 1 },
      component: { recovery: 'componentRestart' },
      node: { suFailoverMax: 1 },
    })
    await expectRoles(cluster, '1:A1/S2')
    const nodePid = cluster.processes().find((one) => one.name === 'n1')?.pid
    const killed = async (roles: string): Promise<void> => {
      const { pid } = await cluster.kill('C1')
      await cluster.until((view) => {
        const now = view.component('C1').pid
        return now !== null && now !== pid && rolesOf(view) === roles
      }, 15_000)
    }
    for (const roles of ['1:A1/S2', '1:A1/S2', '1:A2/S1']) await killed(roles)
    expect(await recoveriesOf(cluster)).toEqual([
      'componentRestart',
      'suRestart',
      'componentFailover',
    ])
    // The node may be the one that directs: its successor tells nothing of what was before.
    await killed('1:A2/S1')
    expect(cluster.processes().find((one) => one.name === 'n1')?.pid).not.toBe(nodePid)
  })
})

async function recoveriesOf(cluster: Cluster): Promise<string[]> {
  const connection = await cluster.connect()
  const { Management } = await import('../../dist/amf/index.js')
  const management = connection.rmd.client(Management, { to: '@amf' })
  const { notifications } = await management.notifications({ after: 0, waitMs: 0 })
  return notifications.filter((one) => one.kind === 'recovery').map((one) => one.to)
}

describe('operators', { timeout: TEST_MS }, () => {
  let cluster: Cluster
  beforeEach(async () => {
    cluster = await started({ redundancy: '2N', units: ['n1', 'n2'], instances: 1 })
  }, TEST_MS)

  const code = (call: Promise<unknown>): Promise<unknown> =>
    call.then(
      () => 'ok',
      (error: unknown) => (isSdkError(error) ? error.code : error),
    )

  it('swap, adjust, lock, shutdown, restart of the cluster, and words for what is not so', async () => {
    await expectRoles(cluster, '1:A1/S2')
    await cluster.admin('swap', 'SI1')
    expect(rolesOf(await cluster.refresh())).toBe('1:A2/S1')
    await cluster.admin('adjust', 'SG')
    expect(rolesOf(await cluster.refresh())).toBe('1:A1/S2')
    expect(await code(cluster.admin('adjust', 'SG'))).toBe('NO_OP')
    await cluster.admin('shutdown', 'SU1')
    expect(rolesOf(await cluster.refresh())).toBe('1:A2')
    await cluster.admin('lock-instantiation', 'SU1')
    expect((await cluster.refresh()).component('C1').pid).toBeNull()
    await cluster.admin('unlock-instantiation', 'SU1')
    await cluster.admin('unlock', 'SU1')
    await expectRoles(cluster, '1:A2/S1')
    const before = (await cluster.refresh()).component('C2').pid
    await cluster.admin('restart', 'roles')
    const after = await cluster.refresh()
    expect(after.component('C2').pid).not.toBe(before)
    expect(rolesOf(after)).toBe('1:A2/S1')
    await cluster.admin('lock', 'roles')
    expect(rolesOf(await cluster.refresh())).toBe('1:A')
    expect(await code(cluster.admin('repair', 'SU1'))).toBe('NO_OP')
    await cluster.admin('unlock', 'roles')
    await expectRoles(cluster, '1:A1/S2')
  })

  it('are answered by the next director', async () => {
    const director = (await cluster.refresh()).status.director?.node ?? ''
    const other = director === 'n1' ? 'SU2' : 'SU1'
    const [locked] = await Promise.all([
      code(cluster.admin('lock', other, 20_000)),
      cluster.kill(director),
    ])
    expect(locked).toBe('ok')
    const view = await cluster.refresh()
    expect(view.status.serviceUnits.find((su) => su.name === other)?.adminState).toBe('LOCKED')
  })
})
