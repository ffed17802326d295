import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { testCluster } from './support.ts'

const PROXY = fileURLToPath(new URL('../../dist/test/fixtures/proxy/component.js', import.meta.url))

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hfc-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const shell = (script: string): string[] => ['/bin/sh', '-c', script]
const lines = (file: string): string[] => readFileSync(file, 'utf8').trim().split('\n')

function pair(name: string, type: string): Record<string, unknown> {
  const unit = (n: number): Record<string, unknown> => ({
    [`${name}SU${n}`]: { rank: n, node: `node${n}`, components: { [`${name}${n}`]: type } },
  })
  return { ...unit(1), ...unit(2) }
}

describe('a program by its commands', () => {
  it('runs on one node at a time, the next one after the clean-up of the former', async () => {
    const [lock, log] = [join(dir, 'lock'), join(dir, 'log')]
    const cluster = await testCluster({
      cluster: 'plain',
      nodes: { node1: {}, node2: {} },
      componentTypes: {
        server: {
          category: 'nonSaAware',
          command: shell(
            `mkdir ${lock} || echo overlap >> ${log}; echo "$HOLDFAST_COMPONENT $HOLDFAST_CSI $port" >> ${log}; exec sleep 600`,
          ),
          cleanup: { command: shell(`rmdir ${lock}`) },
        },
      },
      serviceGroups: {
        serverSG: {
          redundancy: '2N',
          serviceUnits: pair('server', 'server'),
          serviceInstances: { serverSI: { csis: { serverCSI: { attributes: { port: 8080 } } } } },
        },
      },
    })
    // Such a program is ACTIVE once it is started: what it does by then shows in its log only.
    const runs = async (count: number): Promise<void> => {
      const written = (): number => (existsSync(log) ? lines(log).length : 0)
      await expect.poll(written, { timeout: 10_000 }).toBe(count)
    }
    await cluster.until((s) => s.active('serverSI') === 'serverSU1', 10_000)
    await runs(1)
    await cluster.kill('server1')
    await cluster.until((s) => s.active('serverSI') === 'serverSU2' && s.settled, 10_000)
    await runs(2)
    await cluster.admin('swap', 'serverSI')
    const view = await cluster.until((s) => s.active('serverSI') === 'serverSU1', 10_000)
    await runs(3)
    expect(view.component('server2').pid).toBeNull()
    expect(lines(log)).toEqual(['server1', 'server2', 'server1'].map((n) => `${n} serverCSI 8080`))
    await cluster.stop()
    expect(existsSync(lock)).toBe(false)
  })

  it('is watched by its pid file when its command returns', async () => {
    const pidFile = join(dir, 'pid')
    const cluster = await testCluster({
      cluster: 'daemon',
      nodes: { node1: {} },
      componentTypes: {
        daemon: {
          category: 'nonSaAware',
          recovery: 'componentRestart',
          instantiate: { command: shell(`sleep 600 & echo $! > ${pidFile}`) },
          pidFile,
          terminate: { command: shell(`kill $(cat ${pidFile})`) },
          cleanup: { command: shell(`rm -f ${pidFile}`) },
        },
      },
      serviceGroups: {
        daemonSG: {
          redundancy: 'no-redundancy',
          serviceUnits: { daemonSU1: { node: 'node1', components: { daemon1: 'daemon' } } },
          serviceInstances: { daemonSI: { csis: { daemonCSI: {} } } },
        },
      },
    })
    const { pid } = await cluster.kill('daemon1')
    const view = await cluster.until((s) => {
      const now = s.component('daemon1').pid
      return now !== null && now !== pid && s.settled
    }, 10_000)
    expect(lines(pidFile)).toEqual([String(view.component('daemon1').pid)])
    await cluster.stop()
    expect(existsSync(pidFile)).toBe(false)
  })
})

describe('a proxy and what it acts for', () => {
  it('hands its components to the next proxy, with the roles they have', async () => {
    const notes = join(dir, 'notes')
    const cluster = await testCluster(
      {
        cluster: 'proxies',
        nodes: { node1: {}, node2: {} },
        componentTypes: {
          proxy: { run: PROXY },
          device: { category: 'proxied', proxied: { csi: 'proxyCSI' } },
        },
        serviceGroups: {
          proxySG: {
            redundancy: '2N',
            serviceUnits: pair('proxy', 'proxy'),
            serviceInstances: { proxySI: { csis: { proxyCSI: {} } } },
          },
          deviceSG: {
            redundancy: '2N',
            serviceUnits: pair('device', 'device'),
            serviceInstances: { deviceSI: { csis: { deviceCSI: {} } } },
          },
        },
      },
      { env: { NOTES: notes } },
    )
    await cluster.until((s) => s.settled && s.active('deviceSI') === 'deviceSU1', 10_000)
    expect(lines(notes)).toContain('proxy1 device1 ACTIVE deviceCSI NEW_ASSIGN')
    await cluster.kill('proxy1')
    await cluster.until(
      (s) =>
        s.settled && s.active('proxySI') === 'proxySU2' && s.active('deviceSI') === 'deviceSU1',
      10_000,
    )
    await expect
      .poll(() => lines(notes), { timeout: 10_000 })
      .toContain('proxy2 device1 ACTIVE deviceCSI STILL_ACTIVE')
    expect(lines(notes).filter((line) => / cleanup| device2 ACTIVE/.test(line))).toEqual([])
    await cluster.admin('swap', 'deviceSI')
    expect(lines(notes)).toContain('proxy2 device2 ACTIVE deviceCSI QUIESCED')
    const proxy = cluster.processes().find(({ name }) => name === 'proxy2')
    if (!proxy) throw new Error('proxy2 is not there')
    process.kill(proxy.pid, 'SIGUSR2')
    await cluster.until((s) => s.settled && s.active('deviceSI') === 'deviceSU1', 10_000)
    expect(lines(notes)).toEqual(
      expect.arrayContaining([
        'proxy2 device2 cleanup',
        'proxy2 device1 ACTIVE deviceCSI NOT_QUIESCED',
      ]),
    )
    expect(lines(notes).at(-1)).toBe('proxy2 device2 STANDBY deviceCSI')
    await cluster.stop()
    expect(lines(notes)).toContain('proxy2 device1 terminate')
  })
})
