import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ProcessExit } from '../../../amf/node/component-ports.ts'
import { DaemonProcess } from '../../../amf/node/daemon-process.ts'
import { FakeProcess } from './agent-runner-kit.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hfd-'))
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
  rmSync(dir, { recursive: true, force: true })
})

/** The command's process, the one that it leaves behind, and how both ended. */
class Kit {
  readonly command = new FakeProcess(10)
  readonly watched: number[] = []
  readonly kills: number[] = []
  isDead = false
  /** So many kills it survives. */
  survives = 0
  readonly daemon: DaemonProcess
  started: ProcessExit | null = null
  ended: ProcessExit | null = null

  constructor(pidFile: string | null) {
    const { command } = this
    const launched = Object.assign(command, { started: null, signal: () => undefined })
    this.daemon = new DaemonProcess(launched as never, pidFile, (pid) => {
      this.watched.push(pid)
      const kill = (): void => {
        this.kills.push(pid)
        this.isDead = this.kills.length > this.survives
      }
      return { pid, isDead: () => this.isDead, kill }
    })
    void this.daemon.started.then((exit) => (this.started = exit))
    void this.daemon.exited.then((exit) => (this.ended = exit))
  }

  async returns(code: number): Promise<void> {
    this.command.exit({ code, signal: null })
    await vi.advanceTimersByTimeAsync(0)
  }
}

function withPid(text: string | null): Kit {
  const path = join(dir, 'pid')
  if (text !== null) writeFileSync(path, text)
  return new Kit(path)
}

describe('a command that returned', () => {
  it('left the process of its pid file, which is watched until it ends', async () => {
    const kit = withPid('4711\n')
    expect(kit.daemon.pid).toBe(10)
    await kit.returns(0)
    expect(kit.watched).toEqual([4711])
    expect(kit.daemon.pid).toBe(4711)
    expect(kit.started).toEqual({ code: 0, signal: null })
    await vi.advanceTimersByTimeAsync(10_000)
    expect(kit.ended).toBeNull()
    kit.isDead = true
    await vi.advanceTimersByTimeAsync(200)
    // How it ended is its parent's to know.
    expect(kit.ended).toEqual({ code: null, signal: null })
    expect(vi.getTimerCount()).toBe(0)
  })

  it.each([
    ['no file', null],
    ['an empty file', ''],
    ['no number', 'none'],
    ['the number of a group', '-5'],
    ['zero', '0'],
    ['two numbers', '1 2'],
  ])('with %s has failed', async (_, text) => {
    const kit = withPid(text)
    await kit.returns(0)
    expect(kit.started).toEqual({ code: 1, signal: null })
    expect(kit.ended).toEqual({ code: 1, signal: null })
    expect(kit.watched).toEqual([])
  })

  it('badly left nothing', async () => {
    const kit = withPid('4711')
    await kit.returns(200)
    expect([kit.started, kit.ended]).toEqual(Array(2).fill({ code: 200, signal: null }))
    expect(kit.watched).toEqual([])
  })

  it('and whose process is dead already ends at once', async () => {
    const kit = withPid('4711')
    kit.isDead = true
    await kit.returns(0)
    expect(kit.ended).not.toBeNull()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('without a pid file left something that nobody watches, until it is killed', async () => {
    const kit = new Kit(null)
    await kit.returns(0)
    await vi.advanceTimersByTimeAsync(60_000)
    expect([kit.ended, kit.daemon.pid]).toEqual([null, null])
    kit.daemon.kill()
    await vi.advanceTimersByTimeAsync(0)
    expect(kit.ended).not.toBeNull()
  })
})

describe('kill', () => {
  it('is repeated until the process is gone', async () => {
    const kit = withPid('4711')
    await kit.returns(0)
    kit.survives = 3
    kit.daemon.kill()
    expect(kit.ended).toBeNull()
    await vi.advanceTimersByTimeAsync(100)
    expect(kit.kills).toHaveLength(4)
    expect(kit.ended).toEqual({ code: null, signal: 'SIGKILL' })
    expect(vi.getTimerCount()).toBe(0)
  })

  it('before the command has returned ends the command', async () => {
    const kit = withPid('4711')
    kit.daemon.kill()
    await vi.advanceTimersByTimeAsync(0)
    expect(kit.command.killed).toBe(true)
    expect(kit.ended).toEqual({ code: null, signal: 'SIGKILL' })
    expect(kit.watched).toEqual([])
  })
})
