import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, it } from 'vitest'

const MAIN = fileURLToPath(new URL('../../dist/samples/board/main.js', import.meta.url))
const running = new Set<ReturnType<typeof spawn>>()
afterEach(() => {
  for (const child of running) child.kill('SIGKILL')
})

it('every notice hangs on both boards, though the active one was killed', async () => {
  const child = spawn(process.execPath, [MAIN, '10'], { stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  const written = { out: '', err: '' }
  child.stdout.on('data', (chunk: Buffer) => (written.out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (written.err += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  running.delete(child)
  expect(written.err).toBe('')
  const [, victim = '', heir = ''] =
    /kill -9 (.*)\nnotice \d+: (.*) has the name @board/.exec(written.out) ?? []
  expect([victim, heir].toSorted((a, b) => a.localeCompare(b))).toEqual(['board1', 'board2'])
  for (const board of [victim, heir]) {
    expect(written.out).toContain(`${board}: 10 of 10 notices; ${heir} leads board1, board2`)
  }
  // The leader speaks for all: what it said hangs there once, in the same words on both.
  const told = [...written.out.matchAll(/the boards: (.*)/g)].map(([, text]) => text)
  expect(told.length % 2).toBe(0)
  expect(told.slice(0, told.length / 2)).toEqual(told.slice(told.length / 2))
  expect(written.out).toMatch(/posted 10, missing 0\n$/)
  expect(code).toBe(0)
}, 60_000)
