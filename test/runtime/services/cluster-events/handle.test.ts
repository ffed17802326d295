import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { ocEv, type OcEvFd, type OcEvReadiness } from '../../../../runtime/index.ts'
import { CONN, EventRig, FAILED, GROUP, live, MEMB, OK, recorder, type Recorder } from './kit.ts'

const { OC_EV_AS_DIRECT, OC_EV_AS_GET_FD, OC_EV_AS_NORETURN, OC_EV_AS_SIGNAL } = ocEv

const direct = ({ handle }: Recorder): void =>
  expect(ocEv.activate(handle, OC_EV_AS_DIRECT)).toBe(OK)

function fdOf({ handle }: Recorder): OcEvReadiness {
  const place: OcEvFd = { fd: null }
  expect(ocEv.activate(handle, OC_EV_AS_GET_FD, place)).toBe(OK)
  return place.fd!
}

/** What a select loop does, from now on. */
const pump = ({ handle }: Recorder, fd: OcEvReadiness): void =>
  void fd.on('readable', () => void ocEv.handleEvent(handle))

async function one(): Promise<{
  rig: EventRig
  component: Awaited<ReturnType<EventRig['component']>>
}> {
  const rig = await EventRig.start(1)
  return { rig, component: await rig.component(1, 'a') }
}

describe('a handle', () => {
  it('answers as the reference says', async () => {
    const { component } = await one()
    const nobody = { nodeId: 1 }
    expect(ocEv.register()).toBeNull()
    expect(ocEv.lastError?.code).toBe('INVALID_STATE')
    const handle = ocEv.register({ clusterEvents: component.client })!
    const code = (rc: number | Promise<number>): unknown => [rc, ocEv.lastError?.code]
    const callback = (): void => undefined
    // 1: without a callback, and what comes after.
    expect(code(ocEv.activate(handle, OC_EV_AS_DIRECT))).toEqual([FAILED, 'NO_CALLBACK'])
    expect(code(ocEv.handleEvent(handle))).toEqual([FAILED, 'INVALID_STATE'])
    for (const [priority, eventClass] of [
      [-1, MEMB],
      [0.5, MEMB],
      [0, 0],
      [0, 4],
    ] as const) {
      const rc = ocEv.setCallback(handle, priority, eventClass as never, callback)
      expect(code(rc)).toEqual([FAILED, 'INVALID_PARAMETER'])
    }
    expect(ocEv.setCallback(handle, 0, MEMB, 'x' as never)).toBe(FAILED)
    expect(ocEv.setCallback(nobody, 0, MEMB, callback)).toBe(FAILED)
    // 5
    expect(ocEv.setCallback(handle, 0, MEMB, callback)).toBe(OK)
    expect(ocEv.setCallback(handle, 0, MEMB, null)).toBe(OK)
    expect(code(ocEv.activate(handle, OC_EV_AS_DIRECT))).toEqual([FAILED, 'NO_CALLBACK'])
    // 23
    expect(ocEv.setCallback(handle, 0, MEMB, callback)).toBe(OK)
    for (const style of [0, 5, 'GET_FD']) expect(ocEv.activate(handle, style as never)).toBe(FAILED)
    expect(ocEv.activate(handle, OC_EV_AS_GET_FD)).toBe(FAILED)
    for (const signal of ['SIGKILL', 'SIGSTOP', 'SIGNOT', 0, 9, { signal: 19 }]) {
      expect(code(ocEv.activate(handle, OC_EV_AS_SIGNAL, signal as never))).toEqual([
        FAILED,
        'INVALID_PARAMETER',
      ])
    }
    expect(ocEv.activate(handle, OC_EV_AS_GET_FD, { fd: null })).toBe(OK)
    expect(code(ocEv.activate(handle, OC_EV_AS_DIRECT))).toEqual([FAILED, 'INVALID_STATE'])
    // 24
    const version = {}
    const { getVersion } = ocEv
    expect(getVersion(handle, version)).toBe(OK)
    expect(version).toEqual({ major: 0, minor: 1, implementation: 'Holdfast' })
    expect(ocEv.getVersion(nobody, version)).toBe(FAILED)
    expect([ocEv.isMyNodeId(handle, 1), ocEv.isMyNodeId(handle, { nodeId: 2 })]).toEqual([
      true,
      false,
    ])
    expect(() => ocEv.isMyNodeId(nobody, 1)).toThrow('no handle')
    expect(ocEv.unregister(handle)).toBe(OK)
    expect(code(ocEv.unregister(handle))).toEqual([FAILED, 'INVALID_HANDLE'])
    expect(ocEv.unregister(nobody)).toBe(FAILED)
    expect(() => ocEv.isMyNodeId(handle, 1)).toThrow('unregistered')
  })

  it('2, 3: gets what is published after its activation, of its classes; first what is there', async () => {
    const { rig, component } = await one()
    const both = recorder(component, { classes: [MEMB, GROUP] })
    const members = recorder(component, { classes: [MEMB] })
    rig.publish(1, 'before')
    // In any order, and one that is gone before the node has heard of it.
    const brief = recorder(component)
    direct(members)
    direct(brief)
    ocEv.unregister(brief.handle)
    direct(both)
    await expect.poll(() => both.got).toEqual(['2.1 1'])
    rig.publish(1, 'after')
    rig.interfaces = ['eth1']
    await expect.poll(() => both.got).toEqual(['2.1 1', 'after'])
    expect(members.got).toEqual(['2.1 1'])
  })

  it('4, 6: has one callback a class, with effect from the next event', async () => {
    const { rig, component } = await one()
    const first = recorder(component)
    const other: string[] = []
    const second = (): number =>
      ocEv.setCallback(first.handle, 0, GROUP, (_event, cookie, _size, data) => {
        other.push(data?.kind === 'groupMessage' ? Buffer.from(data.message).toString() : '')
        ocEv.callbackDone(cookie)
      })
    const all = recorder(component)
    direct(first)
    direct(all)
    await live(rig, 1, first, all)
    expect(second()).toBe(OK)
    rig.publish(1, 'a')
    await expect.poll(() => [other, first.got]).toEqual([['a'], []])
    expect(ocEv.setCallback(first.handle, 0, GROUP, null)).toBe(OK)
    rig.publish(1, 'b')
    await expect.poll(() => all.got).toEqual(['a', 'b'])
    expect(second()).toBe(OK)
    rig.publish(1, 'c')
    await expect.poll(() => other).toEqual(['a', 'c'])
  })

  it('7: is served by its priority', async () => {
    const { rig, component } = await one()
    const log: string[] = []
    const handles = (
      [
        ['A', 5],
        ['B', 0],
        ['C', 5],
      ] as const
    ).map(([name, priority]) => recorder(component, { name, priority, log }))
    const fds = handles.map(fdOf)
    handles.forEach((handle, index) => pump(handle, fds[index]!))
    await live(rig, 1, ...handles)
    log.length = 0
    rig.publish(1, 'event')
    await expect.poll(() => log.join('')).toBe('BAC')
  })

  it('8, 9, 10, 12, 13: gets the next event when all have completed the one before', async () => {
    const { rig, component } = await one()
    const [a, b] = [recorder(component), recorder(component)]
    const [readA, readB] = [fdOf(a), fdOf(b)]
    const pumps = [a, b].map(
      ({ handle }) =>
        () =>
          void ocEv.handleEvent(handle),
    )
    readA.on('readable', pumps[0]!)
    readB.on('readable', pumps[1]!)
    await live(rig, 1, a, b)
    b.isDone = false
    rig.publish(1, 'first')
    rig.publish(1, 'second')
    await expect.poll(() => [a.got, b.got]).toEqual([['first'], ['first']])
    expect([readA.pending(), readB.pending()]).toEqual([false, false])
    expect([ocEv.handleEvent(a.handle), ocEv.handleEvent(b.handle)]).toEqual([OK, OK])
    expect([a.got, b.got]).toEqual([['first'], ['first']])
    const [cookie] = b.cookies.splice(0)
    for (const foreign of [{}, null, { handle: b.handle }]) {
      expect(ocEv.callbackDone(foreign as never)).toBe(FAILED)
      expect(ocEv.lastError?.code).toBe('NOT_EXIST')
    }
    expect(ocEv.callbackDone(cookie!)).toBe(OK)
    expect(ocEv.callbackDone(cookie!)).toBe(FAILED)
    expect([readA.pending(), readB.pending()]).toEqual([true, true])
    await expect.poll(() => [a.got.at(-1), b.got.at(-1)]).toEqual(['second', 'second'])
    rig.publish(1, 'third')
    await expect.poll(() => readA.pending()).toBe(false)
    expect(ocEv.unregister(b.handle)).toBe(OK)
    expect(ocEv.callbackDone(b.cookies[0]!)).toBe(FAILED)
    await expect.poll(() => a.got).toEqual(['first', 'second', 'third'])
    expect(b.got).toEqual(['first', 'second'])
  })

  it('11: may be unregistered by its callback', async () => {
    const { rig, component } = await one()
    const other = recorder(component)
    direct(other)
    const codes: number[] = []
    const handle = ocEv.register({ clusterEvents: component.client })!
    ocEv.setCallback(handle, 0, GROUP, (_event, cookie) => {
      codes.push(ocEv.unregister(handle), ocEv.unregister(handle), ocEv.callbackDone(cookie))
      codes.push(ocEv.callbackDone(cookie))
    })
    expect(ocEv.activate(handle, OC_EV_AS_DIRECT)).toBe(OK)
    await expect
      .poll(() => {
        rig.publish(1, 'event')
        return codes
      })
      .toEqual([OK, FAILED, OK, FAILED])
    const before = other.got.length
    rig.publish(1, 'last')
    await expect.poll(() => other.got.slice(before).at(-1)).toBe('last')
    expect([codes.length, ocEv.unregister(handle)]).toEqual([4, FAILED])
  })

  it('14: with GET_FD tells once, and one call delivers what is there', async () => {
    const { rig, component } = await one()
    const a = recorder(component)
    const fd = fdOf(a)
    pump(a, fd)
    await live(rig, 1, a)
    let readable = 0
    fd.on('readable', () => readable++)
    for (const text of ['x', 'y', 'z']) rig.publish(1, text)
    await expect.poll(() => a.got).toEqual(['x', 'y', 'z'])
    expect(readable).toBe(1)
  })

  it('14: with GET_FD is readable by level, and can be iterated', async () => {
    const { rig, component } = await one()
    const a = recorder(component, { classes: [MEMB, GROUP] })
    const fd = fdOf(a)
    await expect.poll(() => fd.pending()).toBe(true)
    expect(a.got).toEqual([])
    let turns = 0
    for await (const _ of fd) {
      // Not delivered in the first turn: there is another one.
      if (++turns === 1) continue
      void ocEv.handleEvent(a.handle)
      if (a.got.length === 1) rig.publish(1, 'event')
      else ocEv.unregister(a.handle)
    }
    expect([turns, a.got]).toEqual([3, ['2.1 1', 'event']])
  })

  it('15, 16: with SIGNAL raises the signal when something is pending', async () => {
    const { rig, component } = await one()
    const a = recorder(component)
    let raised = 0
    let isFlagged = false
    const onSignal = (): void => {
      raised++
      isFlagged = true
    }
    process.on('SIGUSR2', onSignal)
    onTestFinished(() => void process.off('SIGUSR2', onSignal))
    expect(ocEv.activate(a.handle, OC_EV_AS_SIGNAL)).toBe(OK)
    const loop = (): void => {
      if (!isFlagged) return
      isFlagged = false
      void ocEv.handleEvent(a.handle)
    }
    await vi.waitFor(() => {
      rig.publish(1, 'probe')
      loop()
      expect(a.got).toContain('probe')
    })
    rig.publish(1, 'end of probes')
    await vi.waitFor(() => {
      loop()
      expect(a.got.at(-1)).toBe('end of probes')
    })
    a.got.length = raised = 0
    for (const text of ['x', 'y', 'z']) rig.publish(1, text)
    await expect.poll(() => raised).toBe(1)
    expect([ocEv.handleEvent(a.handle), a.got]).toEqual([OK, ['x', 'y', 'z']])
    a.isDone = false
    rig.publish(1, 'held')
    rig.publish(1, 'next')
    await expect.poll(() => raised).toBe(2)
    void ocEv.handleEvent(a.handle)
    // Becomes deliverable after the call.
    ocEv.callbackDone(a.cookies[0]!)
    await expect.poll(() => raised).toBe(3)
    void ocEv.handleEvent(a.handle)
    expect(a.got.slice(3)).toEqual(['held', 'next'])
  })

  it('15: with SIGNAL and a target sends an event of that name there', async () => {
    const { rig, component } = await one()
    const a = recorder(component)
    const target = new EventTarget()
    target.addEventListener('SIGUSR1', () => void ocEv.handleEvent(a.handle))
    expect(ocEv.activate(a.handle, OC_EV_AS_SIGNAL, { signal: 10, target })).toBe(OK)
    await live(rig, 1, a)
  })

  it('17: with NORETURN keeps the control until it is unregistered', async () => {
    const { rig, component } = await one()
    const handle = ocEv.register({ clusterEvents: component.client })!
    let calls = 0
    ocEv.setCallback(handle, 0, GROUP, (_event, cookie) => {
      expect(ocEv.handleEvent(handle)).toBe(FAILED)
      if (++calls === 2) ocEv.unregister(handle)
      ocEv.callbackDone(cookie)
    })
    expect(ocEv.activate(handle, OC_EV_AS_NORETURN)).toBe(OK)
    const ended = ocEv.handleEvent(handle)
    expect(ended).toBeInstanceOf(Promise)
    expect(ocEv.handleEvent(handle)).toBe(FAILED)
    await expect
      .poll(() => {
        if (calls < 2) rig.publish(1, 'event')
        return calls
      })
      .toBe(2)
    expect(await ended).toBe(OK)
    // Or while it blocks.
    const blocked = recorder(component)
    ocEv.activate(blocked.handle, OC_EV_AS_NORETURN)
    const waiting = ocEv.handleEvent(blocked.handle)
    ocEv.unregister(blocked.handle)
    expect(await waiting).toBe(OK)
  })

  it('17: can be read as a loop', async () => {
    const { rig, component } = await one()
    const handle = ocEv.register({ clusterEvents: component.client })!
    const seen: (string | undefined)[] = []
    for await (const { event, data } of ocEv.events(handle, { classes: [MEMB, GROUP] })) {
      seen.push(data?.kind)
      if (event === ocEv.OC_EV_GS_CAST) break
      rig.publish(1, 'event')
    }
    expect(seen).toEqual(['membership', 'groupMessage'])
    expect(ocEv.unregister(handle)).toBe(FAILED)
    await expect(ocEv.events(handle).next()).rejects.toMatchObject({ code: 'INVALID_HANDLE' })
  })

  it('18: may have one callback for all classes', async () => {
    const { rig, component } = await one()
    const a = recorder(component, { classes: [CONN, MEMB, GROUP] })
    direct(a)
    await expect.poll(() => a.got).toHaveLength(3)
    rig.publish(1, 'event')
    await expect
      .poll(() => a.got)
      .toEqual(['1.1 ADDED eth0', '1.2 ELIGIBLE node1,node2,node3', '2.1 1', 'event'])
  })

  it('21: sees data that it cannot change, and under test not after completion', async () => {
    const { rig, component } = await one()
    for (const checked of ['', '1']) {
      vi.stubEnv('HOLDFAST_CHECK', checked)
      onTestFinished(() => void vi.unstubAllEnvs())
      const { client } = await rig.component(1, `checked${checked}`)
      const handle = ocEv.register({ clusterEvents: client })!
      const kept: { nodes: readonly unknown[]; instance: number }[] = []
      ocEv.setCallback(handle, 0, MEMB, (_event, cookie, size, data) => {
        expect(size).toBeGreaterThan(0)
        expect(() => {
          ;(data as { instance: number }).instance = 9
        }).toThrow(TypeError)
        expect(() => (data as { nodes: unknown[] }).nodes.push(null)).toThrow(TypeError)
        expect(JSON.parse(JSON.stringify(data))).toMatchObject({ nodes: [{ nodeId: 1 }] })
        kept.push(data!)
        ocEv.callbackDone(cookie)
      })
      ocEv.activate(handle, OC_EV_AS_DIRECT)
      await expect.poll(() => kept).toHaveLength(1)
      if (checked === '1') expect(() => kept[0]?.instance).toThrow(TypeError)
      else expect(kept[0]?.instance).toBeGreaterThan(0)
    }
    expect(component.name).toBe('a')
  })

  it('22: goes on after a callback that throws, or a promise that fails', async () => {
    const { rig, component } = await one()
    const other = recorder(component)
    direct(other)
    let calls = 0
    for (const run of [
      () => {
        calls++
        throw new Error('thrown by a test')
      },
      ocEv.autoDone(() => {
        calls++
        return Promise.reject(new Error('rejected by a test'))
      }),
      ocEv.autoDone(() => void calls++),
    ]) {
      const handle = ocEv.register({ clusterEvents: component.client })!
      ocEv.setCallback(handle, 0, GROUP, run)
      ocEv.activate(handle, OC_EV_AS_DIRECT)
    }
    await live(rig, 1, other)
    calls = 0
    rig.publish(1, 'x')
    rig.publish(1, 'y')
    await expect.poll(() => [calls, other.got]).toEqual([6, ['x', 'y']])
  })
})
