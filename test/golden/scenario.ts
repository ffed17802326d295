import { parse } from 'yaml'
import type { HaReadiness, Recovery } from '../../runtime/internal.ts'
import { unitReadiness } from '../../amf/engine/readiness.ts'
import { unitRole } from '../../amf/engine/roles.ts'
import type { AdminOperation } from '../../amf/engine/engine.ts'
import type { Model } from '../../amf/model/model.ts'
import { modelOf, vectorModel } from '../amf/engine/models.ts'
import { World } from '../amf/engine/world.ts'

/**
 * A scenario file: blocks that start with `# title`. Lines: `model {...}` (options of `vectorModel`, as YAML) or
 * `model <<` and a whole cluster.yaml up to `>>`; `> what happens`; `= the assignments then` (written by hand from the
 * test vectors and checked); indented lines: what the engine did (written by `vitest -u`, and compared).
 */
export interface Scenario {
  readonly title: string
  readonly lines: readonly string[]
}

export function readScenarios(text: string): Scenario[] {
  return text
    .split(/^(?=# )/m)
    .filter((block) => block.startsWith('# '))
    .map((block) => {
      const [title = '', ...lines] = block.trimEnd().split('\n')
      return { title: title.slice(2), lines }
    })
}

/** Plays a scenario. Gives it back as a text with what the engine did, and the expectations that failed. */
export function play({ title, lines }: Scenario): { text: string; failures: string[] } {
  const out = [`# ${title}`]
  const failures: string[] = []
  let run: Run | null = null
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? ''
    if (line.startsWith('  ') && !line.startsWith('   :')) continue
    out.push(line)
    if (line.startsWith('model <<')) {
      const end = lines.indexOf('>>', at)
      out.push(...lines.slice(at + 1, end + 1))
      run = new Run(modelOf(lines.slice(at + 1, end).join('\n')))
      at = end
    } else if (line.startsWith('model ')) run = new Run(modelFrom(line.slice(6)))
    else if (line.startsWith('> ')) {
      try {
        for (const done of run?.act(line.slice(2)) ?? []) out.push(`  ${done}`)
      } catch (error) {
        failures.push(`${title}: ${line}: ${String(error)}`)
        break
      }
    } else if (line.startsWith('= ')) {
      const is = run?.assignments() ?? ''
      if (is !== line.slice(2)) failures.push(`${title}: wanted ${line.slice(2)}, got ${is}`)
    } else if (line.startsWith('? ')) {
      const problem = run?.check(line.slice(2)) ?? 'no model'
      if (problem !== '') failures.push(`${title}: ${line}: ${problem}`)
    }
  }
  return { text: out.join('\n'), failures }
}

function modelFrom(text: string): Model {
  const options = parse(text) as Parameters<typeof vectorModel>[0] & {
    each?: string
    [key: string]: unknown
  }
  const instance = (index: number): string => {
    const own = options[`instance${String(index)}`]
    return [options.each, own].filter((part) => typeof part === 'string').join(', ')
  }
  const nodes = options['on'] as number[] | undefined
  return vectorModel({
    ...options,
    ...(nodes ? { nodeOf: (unit: number) => nodes[unit - 1] ?? unit } : {}),
    instance,
    group: String(options.group ?? '')
      .split(';')
      .map((each) => `    ${each.trim()}`)
      .join('\n'),
  })
}

class Run {
  readonly #world: World
  readonly #model: Model
  readonly #held = new Set<string>()

  constructor(model: Model) {
    this.#model = model
    this.#world = new World(model, {
      holds: (component, does) =>
        this.#held.has(`${component} ${does}`) || this.#held.has(component),
    })
  }

  act(line: string): string[] {
    const from = this.#world.log.length
    for (const each of line.split(';')) this.#actOne(each.trim().split(/\s+/))
    return this.#world.log.slice(from)
  }

  #actOne([verb = '', entity = '', ...rest]: string[]): void {
    const world = this.#world
    switch (verb) {
      case 'start':
        world.startDirector()
        for (const node of this.#model.nodes.keys())
          if (entity === '' || entity === node || rest.includes(node)) world.join(node)
        break
      case 'director':
        world.startDirector()
        break
      case 'director-hears':
        for (const node of [...world.nodesUp])
          if (node !== entity && !rest.includes(node)) world.nodesUp.delete(node)
        world.startDirector()
        break
      case 'fail':
        for (const { name } of this.#components(entity)) {
          this.#held.add(`${name} instantiate`)
          world.componentFails(name, (rest[0] ?? 'componentFailover') as Recovery)
        }
        break
      case 'repaired':
        for (const { name } of this.#components(entity)) this.#held.delete(`${name} instantiate`)
        break
      case 'error':
        for (const { name } of this.#components(entity)) {
          world.componentFails(name, (rest[0] ?? 'noRecommendation') as Recovery)
        }
        break
      case 'node-fails':
        world.nodeFails(entity)
        break
      case 'node-joins':
        world.join(entity)
        break
      case 'hold':
        this.#held.add([entity, ...rest].join(' '))
        break
      case 'release':
        this.#held.delete([entity, ...rest].join(' '))
        break
      case 'wait':
        world.advance(Number(entity))
        break
      case 'in-sync':
        for (const node of rest) {
          const present = world.csiState(entity).inSync
          const isIn = present?.includes(node.slice(1)) ?? false
          if (node.startsWith('+')) world.inSync(entity, node.slice(1), true)
          else if (present === null || isIn) world.inSync(entity, node.slice(1), false)
        }
        break
      case 'ha-readiness':
        world.haReadiness(
          entity,
          rest[0] === 'all' ? null : (rest[0] ?? ''),
          rest[1] as HaReadiness,
        )
        break
      case 'cleanup-fails':
        this.#cleanupFails(entity)
        break
      case 'instantiation-fails':
        this.#instantiationFails(entity)
        break
      default:
        world.admin(verb as AdminOperation, entity)
    }
    world.settle()
  }

  #components(entity: string): readonly { readonly name: string }[] {
    return this.#model.serviceUnits.get(entity)?.components ?? [{ name: entity }]
  }

  #cleanupFails(component: string): void {
    this.#world.process(component).presence = 'TERMINATION_FAILED'
    this.#world.step({ kind: 'cleanupFailed', component, cause: `${component} survives SIGKILL` })
  }

  #instantiationFails(component: string): void {
    const process = this.#world.process(component)
    process.presence = 'INSTANTIATION_FAILED'
    process.assignments.clear()
    const at = this.#world.answers.findIndex((answer) => answer.component === component)
    if (at >= 0) this.#world.answers.splice(at, 1)
    this.#world.step({
      kind: 'instantiationFailed',
      component,
      cause: `${component} exits at once`,
    })
  }

  /** The notation of the vectors: `1:A1/S2 2:A- sp:3`; `Q` quiesced, `G` quiescing. */
  assignments(): string {
    const parts: string[] = []
    for (const sg of this.#model.serviceGroups.values()) {
      const group = this.#world.state.groups.find(({ name }) => name === sg.name)
      if (!group) continue
      const number = (name: string): string => name.replace(/^\D+/, '')
      for (const instance of sg.serviceInstances) {
        const having = (role: string): string[] =>
          sg.serviceUnits
            .filter((unit) => unitRole(group, unit, instance, 'confirmed') === role)
            .map((unit) => number(unit.name))
        const held = [
          having('ACTIVE').length > 0 ? `A${having('ACTIVE').join(',')}` : '',
          having('QUIESCING').length > 0 ? `G${having('QUIESCING').join(',')}` : '',
          having('QUIESCED').length > 0 ? `Q${having('QUIESCED').join(',')}` : '',
        ].join('')
        const standby = this.#standbys(instance.name, having('STANDBY'))
        const tail = standby.length > 0 ? `/S${standby.join(',')}` : ''
        parts.push(`${number(instance.name)}:${held === '' ? 'A-' : held}${tail}`)
      }
      const spares = sg.serviceUnits.filter((unit) => {
        const node = this.#world.state.nodes.find(({ name }) => name === unit.node)
        const holds = sg.serviceInstances.some(
          (i) => unitRole(group, unit, i, 'effective') !== null,
        )
        return node && !holds && unitReadiness(group, unit, node) === 'IN_SERVICE'
      })
      if (spares.length > 0) parts.push(`sp:${spares.map((unit) => number(unit.name)).join(',')}`)
    }
    return parts.join(' ')
  }

  /** Standbys in the order of take-over that they were told. */
  #standbys(instance: string, units: readonly string[]): readonly string[] {
    const ranks = this.#world.standbyRanks.get(instance)
    return [...units].sort((a, b) => (ranks?.get(a) ?? 0) - (ranks?.get(b) ?? 0))
  }

  /** `? SU1 readiness STOPPING`, `? SI1 assignment FULLY_ASSIGNED`. Empty when it holds. */
  check(line: string): string {
    const [entity = '', key = '', wanted = ''] = line.split(/\s+/)
    const is = this.#world.stateOf(entity)?.[key] ?? 'nothing'
    return is === wanted ? '' : `${key} of ${entity} is ${is}`
  }
}
