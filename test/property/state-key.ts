import { createHash } from 'node:crypto'
import type { World } from '../amf/engine/world.ts'

/**
 * One text for all states of a world that differ in absolute numbers only. Epochs, lives, invocations and times are
 * replaced by their places among their like; what is only told to readers is left out.
 */
export function stateKey(world: World): string {
  const { groups, nodes, scopes, operations } = world.state
  const key = new KeyText()
  key.write('', [groups, nodes, scopes, world.answers, world.processes])
  key.write('', [operations.filter((operation) => operation.result === null), [...world.nodesUp]])
  key.write('', world.store)
  key.write('nowMs', world.nowMs)
  return key.text()
}

type Kind = 'epoch' | 'life' | 'port' | 'invocation' | 'time'

/** Numbers that are compared with their like only. */
const RANKED: ReadonlyMap<string, Kind> = new Map([
  ['epoch', 'epoch'],
  ['incarnation', 'life'],
  ['endedIncarnation', 'life'],
  ['life', 'life'],
  ['pid', 'life'],
  ['port', 'port'],
  ['invocation', 'invocation'],
  ['deadlineMs', 'time'],
  ['sinceMs', 'time'],
  ['adjustFromMs', 'time'],
  ['nowMs', 'time'],
])
const TOLD = new Set('history causes cause alarms told published why id lives'.split(' '))

class KeyText {
  readonly #parts: (string | readonly [Kind, number])[] = []
  readonly #numbers = new Map<Kind, Set<number>>()

  write(key: string, value: unknown): void {
    const kind = RANKED.get(key)
    if (typeof value === 'number' && kind !== undefined) {
      this.#numbers.set(kind, (this.#numbers.get(kind) ?? new Set()).add(value))
      this.#parts.push([kind, value])
    } else if (value instanceof Map) {
      for (const [name, inner] of value) {
        this.#parts.push(String(name))
        this.write('', inner)
      }
    } else if (Array.isArray(value)) {
      for (const inner of value) this.write('', inner)
      this.#parts.push(']')
    } else if (typeof value === 'object' && value !== null) {
      for (const name in value) {
        if (TOLD.has(name)) continue
        this.#parts.push(name)
        this.write(name, (value as Record<string, unknown>)[name])
      }
    } else this.#parts.push(String(value))
  }

  text(): string {
    const places = new Map<Kind, Map<number, number>>()
    for (const [kind, numbers] of this.#numbers) {
      const sorted = [...numbers].sort((a, b) => a - b)
      places.set(kind, new Map(sorted.map((number, place) => [number, place])))
    }
    const text = this.#parts
      .map((part) => (typeof part === 'string' ? part : places.get(part[0])?.get(part[1])))
      .join(' ')
    return createHash('sha1').update(text).digest('base64')
  }
}
