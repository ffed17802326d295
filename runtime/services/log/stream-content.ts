import { SdkError } from '../../../idl/index.ts'
import { changeFilter, OPEN_FILTER } from './filter.ts'
import { LOG_LIMITS, type LogAttributes } from './interface.ts'
import type { Holder, StreamOperation, StreamState } from './operations.ts'

type Open = Extract<StreamOperation, { kind: 'open' }>

/**
 * The streams of one scope: attributes, filters, and who has them open. A stream goes with its last holder; its files
 * stay.
 */
export class StreamContent {
  #streams = new Map<string, StreamState>()
  #ended: string[] = []

  /** Adds a stream that nobody can close. */
  addPerennial(name: string, attributes: LogAttributes): void {
    const state = { name, attributes, home: homeOf(attributes, '.'), filter: OPEN_FILTER }
    this.#streams.set(name, { ...state, holders: [], isPerennial: true })
  }

  get(name: string): StreamState | undefined {
    return this.#streams.get(name)
  }

  list(): readonly StreamState[] {
    return [...this.#streams.values()]
  }

  /** Names of streams that went since this was last asked. */
  takeEnded(): readonly string[] {
    const ended = this.#ended
    this.#ended = []
    return ended
  }

  /** @throws SdkError as of `LogService.streamOpen`; then nothing has changed. */
  apply(operation: StreamOperation): StreamState | null {
    switch (operation.kind) {
      case 'open':
        return this.#open(operation)
      case 'close':
        this.#drop(operation.name, operation.eo, 1)
        return null
      case 'filterSet': {
        const { name, flag, filter } = operation
        const state = this.#streams.get(name)
        if (state === undefined) throw new SdkError('NOT_EXIST', `there is no log stream ${name}`)
        const changed = { ...state, filter: changeFilter(state.filter, flag, filter) }
        this.#streams.set(name, changed)
        return changed
      }
      case 'ended':
        for (const name of [...this.#streams.keys()]) this.#drop(name, operation.eo, Infinity)
        return null
    }
  }

  /** What belonged to other nodes' lives is over. */
  keepLives(lives: ReadonlySet<string>): void {
    for (const { name, holders } of [...this.#streams.values()]) {
      for (const { holder } of holders) {
        if (!lives.has(holder.life)) this.#drop(name, holder.eo, Infinity)
      }
    }
  }

  snapshot(): StreamState[] {
    return [...this.#streams.values()]
  }

  restore(states: readonly StreamState[]): void {
    const kept = new Set(states.map(({ name }) => name))
    this.#ended.push(...[...this.#streams.keys()].filter((name) => !kept.has(name)))
    this.#streams = new Map(states.map((state) => [state.name, state]))
  }

  #open(operation: Open): StreamState {
    const { name, attributes, create, holder, count } = operation
    const state = this.#streams.get(name) ?? this.#created(operation)
    if (attributes !== null && !isSame(state.attributes, named(attributes, name))) {
      const message = `the log stream ${name} is open with other attributes`
      throw new SdkError('ALREADY_EXIST', message, { context: { create } })
    }
    const old = state.holders.find((one) => one.holder.eo === holder.eo)
    const others = state.holders.filter((one) => one !== old)
    const before = old?.count ?? 0
    const after = count === null ? before + 1 : Math.max(before, count)
    const holders = [...others, { holder, count: after }]
    const opened = { ...state, holders }
    this.#streams.set(name, opened)
    return opened
  }

  #created({ name, attributes, create, node }: Open): StreamState {
    if (!create || attributes === null) {
      const remedy = 'open it with attributes and create'
      throw new SdkError('NOT_EXIST', `there is no log stream ${name}: ${remedy}`)
    }
    if (this.#streams.size >= LOG_LIMITS.streamCount) {
      throw new SdkError('NO_SPACE', `${LOG_LIMITS.streamCount} log streams are the most`)
    }
    const own = named(attributes, name)
    const home = homeOf(own, node)
    const file = fileOf(own)
    const other = this.list().find((one) => one.home === home && fileOf(one.attributes) === file)
    if (other !== undefined) {
      const message = `the file ${own.fileLocation}/${own.fileName} is that of ${other.name}`
      throw new SdkError('ALREADY_EXIST', message)
    }
    return { name, attributes: own, home, filter: OPEN_FILTER, holders: [], isPerennial: false }
  }

  #drop(name: string, eo: string, count: number): void {
    const state = this.#streams.get(name)
    const old = state?.holders.find(({ holder }) => holder.eo === eo)
    if (state === undefined || old === undefined) return
    const others = state.holders.filter((one) => one !== old)
    const left = old.count - count
    const holders = left > 0 ? [...others, { ...old, count: left }] : others
    if (holders.length > 0 || state.isPerennial) this.#streams.set(name, { ...state, holders })
    else {
      this.#streams.delete(name)
      this.#ended.push(name)
    }
  }
}

/** How often a component has a stream open. */
export function openCountOf(state: StreamState, eo?: Holder['eo']): number {
  return state.holders
    .filter(({ holder }) => eo === undefined || holder.eo === eo)
    .reduce((sum, { count }) => sum + count, 0)
}

/** Path and name of a stream's files below the directory of its scope. */
export function fileOf({ fileLocation, fileName }: LogAttributes): string {
  const path = fileLocation.slice(fileLocation.indexOf(':') + 1)
  return path === '' ? fileName : `${path}/${fileName}`
}

function homeOf({ fileLocation }: LogAttributes, creator: string): string {
  const home = fileLocation.slice(0, fileLocation.indexOf(':'))
  return home === '.' ? creator : home
}

function named(attributes: LogAttributes, stream: string): LogAttributes {
  if (attributes.fileName !== '') return attributes
  // Whatever a stream is called, its file has a plain name.
  return { ...attributes, fileName: stream.replace(/[^\w-]/g, '_') }
}

function isSame(a: LogAttributes, b: LogAttributes): boolean {
  const { waterMark: markA, ...restA } = a
  const { waterMark: markB, ...restB } = b
  return (
    markA.low === markB.low &&
    markA.high === markB.high &&
    Object.entries(restA).every(([key, value]) => restB[key as keyof typeof restB] === value)
  )
}
