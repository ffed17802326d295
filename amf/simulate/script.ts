import { LineCounter, isMap, isScalar, isSeq, parseDocument, type Node } from 'yaml'
import { ACTIONS, parseTime, type Action, type ActionKind } from './action.ts'

/** What is wrong with a script, with its line. */
export interface ScriptProblem {
  readonly line: number
  readonly message: string
}

const LENGTH_MAX = 10_000

/**
 * Reads a script: a list of `{ at: 5s, fail: entity }`, each with one action and, if it likes, its time. At most
 * 10,000 actions.
 */
export function parseScript(text: string): {
  readonly actions: readonly Action[]
  readonly problems: readonly ScriptProblem[]
} {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const lineOf = (node: Node | null | undefined): number =>
    node?.range ? lines.linePos(node.range[0]).line : 1
  const problems: ScriptProblem[] = document.errors.map((error) => ({
    line: lines.linePos(error.pos[0]).line,
    message: error.message.split('\n')[0] ?? '',
  }))
  if (problems.length > 0) return { actions: [], problems }
  const list = document.contents
  if (!isSeq(list)) {
    return { actions: [], problems: [{ line: 1, message: 'is no list; write "- { fail: x }"' }] }
  }
  if (list.items.length > LENGTH_MAX) {
    const message = `more than ${String(LENGTH_MAX)} actions; split the script`
    return { actions: [], problems: [{ line: 1, message }] }
  }
  const actions = list.items.flatMap((item) => {
    const node = item as Node
    const action = actionOf(isMap(node) ? pairsOf(node.items) : null)
    if (typeof action !== 'string') return [action]
    problems.push({ line: lineOf(node), message: action })
    return []
  })
  return { actions, problems }
}

function pairsOf(items: readonly { key: unknown; value: unknown }[]): [string, string][] {
  return items.map(({ key, value }) => [
    isScalar(key) ? String(key.value) : '',
    isScalar(value) ? textOf(value.value) : '',
  ])
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

/** The action, or what is wrong with it. */
function actionOf(pairs: readonly [string, string][] | null): Action | string {
  const known = `one of ${ACTIONS.join(', ')} with an entity, and "at" with a time`
  if (pairs === null) return `an action is ${known}`
  let at: string | null = null
  let found: { kind: ActionKind; entity: string } | null = null
  for (const [key, value] of pairs) {
    const kind = ACTIONS.find((each) => each === key)
    if (key === 'at') at = value
    else if (kind === undefined) return `unknown key "${key}"; an action is ${known}`
    else if (found) return `both ${found.kind} and ${kind}; an action is ${known}`
    else if (value === '') return `${kind} needs the name of an entity`
    else found = { kind, entity: value }
  }
  if (!found) return `no action; it is ${known}`
  const atMs = at === null ? null : parseTime(at)
  if (at !== null && atMs === null) return `bad time "${at}"; write 300ms, 5s or 2m`
  return { ...found, atMs }
}
