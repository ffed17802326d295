import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { isSdkError } from 'holdfast/idl'
import type { Connection } from 'holdfast/runtime'
import { startCluster, type Cluster } from 'holdfast/testkit'
import { Board, type Notice } from './board.ts'

/**
 * `node dist/samples/board/main.js [COUNT]`: posts notices (40), kills the active board in the middle, and looks
 * whether every notice that was acknowledged hangs on every board. Exit code 1 when one does not.
 */
const COUNT = Number(process.argv[2] ?? 40)
const PAUSE_MS = 100
const BOARDS = ['board1', 'board2']
const TRY_AGAIN_MS = 20
const POST_MS = 10_000

const print = (text: string): void => void process.stdout.write(`${text}\n`)
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

async function main(): Promise<number> {
  print('starting the cluster: two boards, one of them active')
  const cluster = await startCluster(modelPath(), { plain: true })
  try {
    await cluster.until((s) => s.settled && s.active('boardSI') !== null, 15_000)
    print(`from another terminal: npx holdfast log --follow --run-dir ${cluster.runDir}`)
    return await run(cluster, await cluster.connect())
  } finally {
    await cluster.stop()
  }
}

async function run(cluster: Cluster, connection: Connection): Promise<number> {
  const posted: Notice[] = []
  let lastBoard = ''
  let killed: Promise<unknown> | null = null
  for (let i = 1; i <= COUNT; i += 1) {
    const notice = { id: `n${i}`, author: 'visitor', text: `notice ${i}` }
    const { board } = await post(connection, notice)
    posted.push(notice)
    if (board !== lastBoard) print(`notice ${i}: ${board} has the name @board`)
    lastBoard = board
    if (i === Math.ceil(COUNT / 2)) {
      print(`kill -9 ${board}`)
      killed = cluster.kill(board)
    }
    await pause(PAUSE_MS)
  }
  await killed
  let missing = 0
  for (const name of BOARDS) {
    const { notices, present, leader } = await readWhole(connection, name, posted)
    const found = posted.filter(({ id }) => notices.some((one) => one.id === id))
    missing += posted.length - found.length
    print(
      `${name}: ${found.length} of ${posted.length} notices; ${leader} leads ${present.join(', ')}`,
    )
    for (const { author, text } of notices) if (author !== 'visitor') print(`  ${author}: ${text}`)
  }
  print(`posted ${posted.length}, missing ${missing}`)
  return missing === 0 ? 0 : 1
}

/** A notice has an id, so that it may be posted again when nobody knows whether it was. */
async function post(connection: Connection, notice: Notice): Promise<{ board: string }> {
  const board = connection.rmd.client(Board, { to: '@board', timeoutMs: 2_000 })
  const untilMs = performance.now() + POST_MS
  for (;;) {
    try {
      return await board.post(notice)
    } catch (error) {
      if (!isSdkError(error) || performance.now() > untilMs) throw error
      await pause(TRY_AGAIN_MS)
    }
  }
}

/** A board that was killed is started again, and gets what is retained a moment later. */
async function readWhole(connection: Connection, name: string, posted: readonly Notice[]) {
  const board = connection.rmd.client(Board, { to: `@${name}`, timeoutMs: 2_000 })
  const untilMs = performance.now() + POST_MS
  for (;;) {
    const answer = await board.read({}).catch((error: unknown) => {
      if (!isSdkError(error) || performance.now() > untilMs) throw error
      return null
    })
    const isWhole =
      answer?.present.length === BOARDS.length &&
      posted.every(({ id }) => answer.notices.some((one) => one.id === id))
    if (answer !== null && (isWhole || performance.now() > untilMs)) return answer
    await pause(TRY_AGAIN_MS)
  }
}

/** The model lies beside this file's source; the build copies no YAML. */
function modelPath(): string {
  const beside = fileURLToPath(new URL('./cluster.yaml', import.meta.url))
  if (existsSync(beside)) return beside
  return fileURLToPath(new URL('../../../samples/board/cluster.yaml', import.meta.url))
}

main().then(
  (code) => {
    process.exitCode = code
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  },
)
