import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import {
  identityOf,
  isAlive,
  killProcess,
  ownIdentity,
  proveGone,
  sameProcess,
} from '../../../ioc/backplane/internal.ts'

describe('process identity', () => {
  const children: ChildProcess[] = []

  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
  })

  function sleeper(): ChildProcess {
    const child = spawn('sleep', ['60'])
    children.push(child)
    return child
  }

  it('knows its own process, and one pid means one life', () => {
    const own = ownIdentity()
    expect(own.pid).toBe(process.pid)
    expect(isAlive(own)).toBe(true)
    expect(sameProcess(own, ownIdentity())).toBe(true)
    expect(isAlive({ ...own, startTime: own.startTime - 1 })).toBe(false)
    expect(isAlive({ ...own, bootId: 'another boot' })).toBe(false)
  })

  it('has no identity for a pid that nobody has', () => {
    expect(identityOf(2 ** 30)).toBeUndefined()
  })

  it.each(['SIGCONT', 'SIGSTOP'] as const)('proves a process gone after %s', async (signal) => {
    const child = sleeper()
    const identity = identityOf(child.pid!)!
    child.kill(signal)
    expect(isAlive(identity)).toBe(true)
    const exit = once(child, 'exit')
    await proveGone(identity, 5_000)
    expect(isAlive(identity)).toBe(false)
    expect((await exit)[1]).toBe('SIGKILL')
    await proveGone(identity, 5_000)
  })

  it('takes a zombie for gone', async () => {
    // The shell does not wait for its child, so the child stays a zombie for as long as the shell stops itself.
    const shell = spawn('sh', ['-c', 'sleep 0 & echo $!; kill -STOP $$'])
    children.push(shell)
    const [line] = (await once(shell.stdout, 'data')) as [Buffer]
    const pid = Number(line.toString())
    await expect.poll(() => identityOf(pid)).toBeUndefined()
  })

  it('leaves a later process with the same pid alone', async () => {
    const child = sleeper()
    const identity = identityOf(child.pid!)!
    const earlier = { ...identity, startTime: identity.startTime - 1 }
    await proveGone(earlier, 1_000)
    killProcess(earlier)
    expect(isAlive(identity)).toBe(true)
  })

  it('refuses to prove the own process gone', async () => {
    await expect(proveGone(ownIdentity(), 100)).rejects.toMatchObject({ code: 'INVALID_PARAMETER' })
  })
})
