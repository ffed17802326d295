import ts from 'typescript'
import { expect, test } from 'vitest'
import { FLOORS, lineOf, sourcesOf, type SourceFile, walk } from './sources.ts'

/**
 * Files that decide: pure and synchronous, time comes in as `nowMs`. A pattern ends with `/` for a whole folder; each
 * must match something, so that the list stays true.
 */
const CORES: readonly string[] = [
  'amf/engine/',
  'amf/model/schema.ts',
  'amf/model/suggest.ts',
  'amf/model/validate.ts',
  'amf/node/health-checks.ts',
  'amf/node/liveness.ts',
  'amf/node/passive-monitor.ts',
  'amf/simulate/',
  'idl/',
  'ioc/address-text.ts',
  'ioc/address.ts',
  'ioc/backplane/embedded/membership.ts',
  'ioc/backplane/embedded/silence-watch.ts',
  'ioc/destination-text.ts',
  'ioc/frame-parser.ts',
  'ioc/frame.ts',
  'ioc/groups.ts',
  'ioc/lane.ts',
  'ioc/outbox.ts',
  'ioc/presence.ts',
  'ioc/reassembler.ts',
  'ioc/rmd/call-table.ts',
  'ioc/rmd/dedupe-table.ts',
  'ioc/transport/backoff.ts',
  'runtime/basic/buffer/',
  'runtime/basic/chain.ts',
  'runtime/basic/circular-list.ts',
  'runtime/basic/container/',
  'runtime/basic/queue.ts',
  'runtime/basic/rule/',
  'runtime/basic/timer/due-heap.ts',
  'runtime/basic/watermark.ts',
  'runtime/cpm/name-table.ts',
  'runtime/cpm/protection-group.ts',
  'runtime/cpm/registered-names.ts',
  'runtime/dbal/pending-writes.ts',
  'runtime/eo/beat-echo.ts',
  'runtime/eo/job-queue.ts',
  'runtime/eo/overdue-jobs.ts',
  'runtime/eo/parking.ts',
  'runtime/eo/quarantine.ts',
  'runtime/eo/role-lease.ts',
  'runtime/eo/role-table.ts',
  'runtime/eo/stamp-age.ts',
  'runtime/services/checkpoint/batch-codec.ts',
  'runtime/services/checkpoint/batch-tail.ts',
  'runtime/services/checkpoint/checkpoint-limits.ts',
  'runtime/services/checkpoint/checkpoint-view.ts',
  'runtime/services/checkpoint/commit-gate.ts',
  'runtime/services/checkpoint/commit-pipeline.ts',
  'runtime/services/checkpoint/commit-queue.ts',
  'runtime/services/checkpoint/commit-unit.ts',
  'runtime/services/checkpoint/content-hash.ts',
  'runtime/services/checkpoint/content-parts.ts',
  'runtime/services/checkpoint/history.ts',
  'runtime/services/checkpoint/kept-replies.ts',
  'runtime/services/checkpoint/msgpack-reader.ts',
  'runtime/services/checkpoint/msgpack-writer.ts',
  'runtime/services/checkpoint/one-pass-codec.ts',
  'runtime/services/checkpoint/pending-calls.ts',
  'runtime/services/checkpoint/primary.ts',
  'runtime/services/checkpoint/replica-link.ts',
  'runtime/services/checkpoint/replica.ts',
  'runtime/services/checkpoint/reply-cache.ts',
  'runtime/services/checkpoint/transaction-table.ts',
  'runtime/services/cluster-events/connectivity.ts',
  'runtime/services/cluster-events/descriptor.ts',
  'runtime/services/cluster-events/event-barrier.ts',
  'runtime/services/cluster-events/group-report.ts',
  'runtime/services/cluster-events/membership-report.ts',
  'runtime/services/cluster-events/revocable.ts',
  'runtime/services/event/channel-content.ts',
  'runtime/services/event/event-id.ts',
  'runtime/services/event/filter.ts',
  'runtime/services/event/intake.ts',
  'runtime/services/event/operations.ts',
  'runtime/services/event/outbox.ts',
  'runtime/services/event/record.ts',
  'runtime/services/event/retained-events.ts',
  'runtime/services/event/subscriptions.ts',
  'runtime/services/group/group-content.ts',
  'runtime/services/group/leader.ts',
  'runtime/services/group/operations.ts',
  'runtime/services/group/view.ts',
  'runtime/services/log/file-rules.ts',
  'runtime/services/log/filter.ts',
  'runtime/services/log/intake.ts',
  'runtime/services/log/make-record.ts',
  'runtime/services/log/operations.ts',
  'runtime/services/log/record-line.ts',
  'runtime/services/log/severity.ts',
  'runtime/services/log/stream-content.ts',
  'runtime/services/name/name-content.ts',
  'runtime/services/name/operations.ts',
  'runtime/services/named-checkpoint/attributes.ts',
  'runtime/services/named-checkpoint/directory.ts',
  'runtime/services/named-checkpoint/idle-time.ts',
  'runtime/services/named-checkpoint/operation-codec.ts',
  'runtime/services/named-checkpoint/operations.ts',
  'runtime/services/named-checkpoint/placement.ts',
  'runtime/services/named-checkpoint/recovery.ts',
  'runtime/services/named-checkpoint/section-draft.ts',
  'runtime/services/named-checkpoint/section-index.ts',
  'runtime/services/named-checkpoint/section-value.ts',
  'runtime/services/named-checkpoint/sections.ts',
  'runtime/services/transaction/agents.ts',
  'runtime/services/transaction/ended-transactions.ts',
  'runtime/services/transaction/operations.ts',
  'runtime/services/transaction/plan.ts',
  'runtime/services/transaction/progress.ts',
  'runtime/services/transaction/restoring.ts',
  'runtime/services/transaction/transaction-content.ts',
  'runtime/services/transaction/unit.ts',
]

/** `idl` only looks at memory with it. */
const HARMLESS = new Set(['node:buffer', 'node:assert', 'node:assert/strict'])
const FORBIDDEN = new Set([
  'performance',
  'process',
  'console',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'fetch',
  'globalThis',
])

const files = FLOORS.flatMap((folder) => sourcesOf(folder))
const isCore = ({ path }: SourceFile): boolean =>
  CORES.some((core) => (core.endsWith('/') ? path.startsWith(core) : path === core))

test('every core of the list exists', () => {
  const gone = CORES.filter(
    (core) =>
      !files.some(({ path }) => (core.endsWith('/') ? path.startsWith(core) : path === core)),
  )
  expect(gone).toEqual([])
})

test('cores import nothing that acts', () => {
  const wrong = files.filter(isCore).flatMap(({ path, imports }) =>
    imports
      .filter(({ typeOnly }) => !typeOnly)
      .filter(({ specifier }) => /^node:|^(pino|piscina|lmdb)$/.test(specifier))
      .filter(({ specifier }) => !HARMLESS.has(specifier))
      .map(({ specifier, line }) => `${path}:${line} imports ${specifier}`),
  )
  expect(wrong).toEqual([])
})

test('cores read no clock, no chance and nothing of the process, and wait for nothing', () => {
  const wrong = files.filter(isCore).flatMap((source) => {
    const found: string[] = []
    walk(source.tree, (node) => {
      const what = acts(node)
      if (what !== undefined) found.push(`${source.path}:${lineOf(source, node)} ${what}`)
    })
    return found
  })
  expect(wrong).toEqual([])
})

function acts(node: ts.Node): string | undefined {
  if (ts.isAwaitExpression(node)) return 'await'
  if (node.kind === ts.SyntaxKind.AsyncKeyword) return 'async'
  if (ts.isNewExpression(node) && node.expression.getText() === 'Date') {
    return (node.arguments?.length ?? 0) === 0 ? 'new Date()' : undefined
  }
  if (ts.isNewExpression(node) && node.expression.getText() === 'Promise') return 'new Promise'
  if (ts.isPropertyAccessExpression(node)) {
    const text = node.getText()
    return text === 'Date.now' || text === 'Math.random' ? text : undefined
  }
  if (ts.isIdentifier(node) && FORBIDDEN.has(node.text) && !isName(node)) return node.text
  return undefined
}

/** A member, parameter or declaration of that name is nobody's global. */
function isName(node: ts.Identifier): boolean {
  const { parent } = node
  return (
    (ts.isPropertyAccessExpression(parent) && parent.name === node) ||
    (ts.isPropertyAssignment(parent) && parent.name === node) ||
    ts.isPropertySignature(parent) ||
    ts.isMethodSignature(parent) ||
    ts.isMethodDeclaration(parent) ||
    ts.isPropertyDeclaration(parent) ||
    ts.isBindingElement(parent) ||
    ts.isTypeNode(parent)
  )
}
