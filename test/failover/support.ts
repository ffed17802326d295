import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, expect } from 'vitest'
import { runCommandLine } from '../../dist/amf/cli/program.js'
import type { Connection } from '../../dist/runtime/index.js'
import { startCluster, type Cluster, type ClusterOptions } from '../../dist/amf/testkit/index.js'
import { SequenceLoad } from '../../dist/samples/sequence/load.js'

export const SEQUENCE_MODEL = fileURLToPath(
  new URL('../../samples/sequence/cluster.yaml', import.meta.url),
)
export const SI = 'sequenceSI'

const open: Cluster[] = []

afterEach(async () => {
  for (const cluster of open.splice(0)) await cluster.stop()
})

/** A cluster that is stopped after the test, whatever happens; a process that outlives it fails the test. */
export async function testCluster(
  model: Parameters<typeof startCluster>[0] = SEQUENCE_MODEL,
  options: ClusterOptions = {},
): Promise<Cluster> {
  const cluster = await startCluster(model, options)
  open.push(cluster)
  return cluster
}

/**
 * One cluster for all tests of a file, started for the first one that asks and stopped after the last. Each test leaves
 * it as sound as it found it; one that fails takes it along, and the next one gets a new one.
 */
export function sharedCluster(
  model: Parameters<typeof startCluster>[0] = SEQUENCE_MODEL,
  options: ClusterOptions = {},
): () => Promise<Cluster> {
  let shared: Promise<Cluster> | null = null
  const end = async (): Promise<void> => {
    const cluster = await shared?.catch(() => null)
    shared = null
    await cluster?.stop()
  }
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') await end()
  })
  afterAll(end)
  return () => (shared ??= startCluster(model, options))
}

/** A program of the fixtures, as built. */
export const fixture = (path: string): string =>
  fileURLToPath(new URL(`../../dist/test/fixtures/${path}.js`, import.meta.url))

/** One component of a program on each of three nodes: NAME1 on node1 to NAME3 on node3, a 2N group for NAMESI. */
export function threeOf(name: string, program: string): Record<string, unknown> {
  const unit = (n: number) => ({
    [`${name}SU${n}`]: { rank: n, node: `node${n}`, components: { [`${name}${n}`]: name } },
  })
  return {
    cluster: name,
    nodes: { node1: {}, node2: {}, node3: {} },
    componentTypes: { [name]: { run: fixture(program) } },
    serviceGroups: {
      [`${name}SG`]: {
        redundancy: '2N',
        serviceUnits: { ...unit(1), ...unit(2), ...unit(3) },
        serviceInstances: { [`${name}SI`]: { csis: { [`${name}CSI`]: {} } } },
      },
    },
  }
}

/** A cluster of {@link threeOf}; all three are there when it resolves. */
export async function startThree(name: string, program: string): Promise<Cluster> {
  const cluster = await testCluster(threeOf(name, program))
  await cluster.until(
    ({ settled, status }) =>
      settled && status.serviceUnits.every(({ presence }) => presence === 'INSTANTIATED'),
    15_000,
  )
  return cluster
}

/** The tool on this cluster, in this process. What follows something ends with the signal. */
export async function holdfast(
  cluster: Cluster,
  words: readonly string[],
  following: { readonly signal?: AbortSignal; readonly onText?: (text: string) => void } = {},
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const { signal = new AbortController().signal, onText } = following
  let [stdout, stderr] = ['', '']
  const code = await runCommandLine(words, {
    env: { HOLDFAST_RUN_DIR: cluster.runDir },
    stdout: onText ?? ((text: string) => void (stdout += text)),
    stderr: (text: string) => void (stderr += text),
    isTerminal: false,
    signal,
  })
  return { code, stdout, stderr }
}

/** Puts the sample's verifying load on the cluster. */
export async function startLoad(cluster: Cluster): Promise<SequenceLoad> {
  const connection: Connection = await cluster.connect()
  const load = new SequenceLoad(connection)
  await load.start()
  return load
}

/** Ends the load and holds every promise about numbers: none failed, lost or given twice. */
export async function expectNothingLost(load: SequenceLoad): Promise<void> {
  const { drawn, ...bad } = await load.stop()
  expect({ ...bad, errors: load.errors, gaps: load.gaps }).toEqual({
    failed: 0,
    lost: 0,
    duplicated: 0,
    errors: [],
    gaps: [],
  })
  expect(drawn).toBeGreaterThan(0)
}

/** After every fault: one active, one standby, one process for each of the model's, no orphan, no zombie. */
export async function expectSound(cluster: Cluster, timeoutMs = 15_000): Promise<void> {
  const view = await cluster.until(
    (s) =>
      s.settled &&
      s.holders(SI, 'ACTIVE').length === 1 &&
      s.holders(SI, 'STANDBY').length === 1 &&
      s.status.serviceUnits.every((su) => su.components.every((c) => c.pid !== null)),
    timeoutMs,
  )
  const processes = cluster.processes()
  expect(processes.filter((one) => one.state === 'Z')).toEqual([])
  const components = view.status.serviceUnits.flatMap((su) => su.components.map((c) => c.name))
  const running = processes.filter((one) => one.kind === 'component').map((one) => one.name)
  expect(running.toSorted()).toEqual(components.toSorted())
  expect(processes.filter((one) => one.kind === 'other')).toEqual([])
  for (const { name } of view.status.nodes) {
    const broken = cluster.log(name, 10_000_000).match(/^.*invariant broken.*$/gm)
    expect(broken).toBeNull()
  }
}
