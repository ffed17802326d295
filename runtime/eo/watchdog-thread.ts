/**
 * The watchdog thread of a component: tells the agent, over a connection of its own, how old the progress stamp of the
 * judged thread is, and ends the process when the agent is gone. It must work while everything else of the process is
 * stuck, so it imports Node.js and the frame encoders only, starts no asynchronous file, name or crypto call (their
 * threads are shared with the component), and logs by writeSync.
 */
import { writeSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { workerData } from 'node:worker_threads'
import { encodeHeartbeat, encodeHello } from '../../ioc/light.ts'
import { BeatEcho } from './beat-echo.ts'
import { RoleLease } from './role-lease.ts'
import { CELL, monotonicMs, roundTripBucket, type WatchdogData } from './watchdog-cells.ts'
import { StampAge } from './stamp-age.ts'

const RECONNECT_MS = 50
/** A tick this much later than a few beats says that the whole process stood still. */
const LATE_TICK_MS = 100
/** An agent that stopped reading gets no more beats until it reads again. */
const UNSENT_BYTES_MAX = 65_536

const data = workerData as WatchdogData
const age = new StampAge(data.beatMs)
let socket: Socket | undefined
let connected = false
let lostAtMs = monotonicMs()
let lastTickMs = lostAtMs
let beat = 0
const lease = new RoleLease(data.leaseMs, lostAtMs)
let wasActive = false
/** The lack of progress is written down when it passes this, once. */
const stuckMs = data.graceMs / 2
let isStuck = false

function dial(): void {
  if (Atomics.load(data.cells, CELL.stop) === 1) return
  const link = connect(data.socketPath)
  socket = link
  link.on('connect', () => {
    connected = true
    link.write(
      encodeHello({
        address: { node: 0, port: 0 },
        caller: data.caller,
        name: data.component,
        monitor: true,
      }),
    )
    tick()
  })
  link.on('error', () => undefined)
  link.on('close', () => {
    if (connected) lostAtMs = monotonicMs()
    connected = false
    setTimeout(dial, RECONNECT_MS)
  })
  const echo = new BeatEcho()
  link.on('data', (chunk: Buffer) => {
    const beats = echo.push(chunk)
    if (beats === null) link.destroy()
    else for (const one of beats) answered(one)
  })
}

function answered(number: number): void {
  const underWayMs = lease.answered(number, monotonicMs())
  if (underWayMs === null) return
  Atomics.add(data.cells, CELL.roundTrips + roundTripBucket(underWayMs * 1_000), 1)
}

/** The lease counts while the component holds ACTIVE, from the grant on, and not through a standstill of everything. */
function checkLease(nowMs: number, wasLate: boolean): void {
  const isActive = Atomics.load(data.cells, CELL.active) === 1
  if (wasLate || (isActive && !wasActive)) lease.restart(nowMs)
  wasActive = isActive
  if (!isActive || !lease.isOver(nowMs)) return
  die(`its agent answered no beat for ${data.leaseMs} ms: the lease of its ACTIVE role is over`)
}

/** Names the function that holds the judged thread up, for whoever reads the log after a SIGKILL. */
function noteProgress(stampAgeMs: number): void {
  if (stampAgeMs <= stuckMs) isStuck = false
  if (stampAgeMs <= stuckMs || isStuck) return
  isStuck = true
  const running = Atomics.load(data.cells, CELL.running) - 1
  const where = running < 0 ? 'outside any function' : `in function ${running >> 6}.${running & 63}`
  writeSync(2, `${data.component}: no progress for ${stampAgeMs} ms ${where}\n`)
}

function tick(): void {
  if (Atomics.load(data.cells, CELL.stop) === 1) return end()
  const nowMs = monotonicMs()
  const stampAgeMs = age.at(nowMs, Atomics.load(data.cells, CELL.stamp))
  // First of all: what else there is to do can wait for the beat, and not the beat for it.
  sendBeat(nowMs, stampAgeMs)
  if (data.parentPid !== 0 && process.ppid !== data.parentPid) {
    die(`its node process ${data.parentPid} is gone`)
  }
  // A machine that stood still has not delivered the connection either.
  const wasLate = nowMs - lastTickMs > 3 * data.beatMs + LATE_TICK_MS
  if (wasLate) lostAtMs = nowMs
  lastTickMs = nowMs
  checkLease(nowMs, wasLate)
  noteProgress(stampAgeMs)
  if (!connected && nowMs - lostAtMs > data.graceMs) {
    die(`no agent at ${data.socketPath} for ${data.graceMs} ms`)
  }
}

function sendBeat(nowMs: number, stampAgeMs: number): void {
  if (socket === undefined || !connected || socket.writableLength > UNSENT_BYTES_MAX) return
  beat++
  const source = { node: data.nodeId, port: Atomics.load(data.cells, CELL.port) }
  socket.write(encodeHeartbeat({ source, beat, stampAgeMs }))
  lease.sent(beat, nowMs)
}

function die(why: string): never {
  try {
    writeSync(2, `${data.component}: watchdog ends the process: ${why}\n`)
  } finally {
    // process.exit would end this thread only.
    process.kill(process.pid, 'SIGKILL')
  }
  throw new Error(why)
}

const timer = setInterval(tick, data.beatMs)
dial()

function end(): void {
  clearInterval(timer)
  socket?.destroy()
}
