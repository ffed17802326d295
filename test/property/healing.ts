import { expect } from 'vitest'
import { stateOf } from '../../amf/engine/engine.ts'
import { unitRole } from '../../amf/engine/roles.ts'
import type { Model } from '../../amf/model/model.ts'
import type { World } from '../amf/engine/world.ts'

/** What is said of an engine however it got where it is: once faults stop, everything is assigned that can be. */

/** Everything that an operator can name. */
export function entitiesOf(model: Model): string[] {
  return [
    model.cluster,
    ...model.nodeGroups.keys(),
    ...model.applications.keys(),
    ...model.nodes.keys(),
    ...model.serviceGroups.keys(),
    ...model.serviceUnits.keys(),
    ...model.serviceInstances.keys(),
    ...model.components.keys(),
  ]
}

/** Rounds until an operator who repairs and unlocks everything finds nothing left to do. */
const ROUNDS_MAX = 6
const ROUND_MS = 60_000

/** Faults stop: every node is there, every operator's lock is lifted, everything broken is repaired. */
export function heal(world: World): void {
  world.settle()
  for (let round = 0, isDone = false; round < ROUNDS_MAX && !isDone; round += 1) {
    isDone = true
    for (const { name: node, recovery } of world.state.nodes) {
      // Who was told to end does so at last.
      if (recovery === 'restart' && world.nodesUp.has(node)) world.nodeFails(node)
      if (world.nodesUp.has(node)) continue
      world.join(node)
      isDone = false
    }
    world.advance(ROUND_MS)
    for (const entity of entitiesOf(world.model)) {
      if (help(world, entity)) isDone = false
    }
    for (const csi of world.model.csis.keys()) {
      for (const node of world.replicaNodes(csi)) {
        if (world.csiState(csi).inSync?.includes(node) === true) continue
        world.inSync(csi, node, true)
        isDone = false
      }
      world.settle()
    }
  }
  world.advance(ROUND_MS)
}

/** @returns whether there was anything to do. */
function help(world: World, entity: string): boolean {
  const states = stateOf(world.model, world.state, entity)?.states ?? {}
  const before = world.results.size
  if (states['operational'] === 'DISABLED') world.admin('repair', entity)
  if (states['administrative'] === 'LOCKED_INSTANTIATION') {
    world.admin('unlock-instantiation', entity)
    world.settle()
  }
  if (states['administrative'] !== undefined && states['administrative'] !== 'UNLOCKED') {
    world.admin('unlock', entity)
  }
  for (const [csi, state] of world.processes.get(entity)?.haReadiness ?? []) {
    if (state !== 'READY_FOR_ASSIGNMENT') world.haReadiness(entity, csi, 'READY_FOR_ASSIGNMENT')
  }
  world.settle()
  return world.results.size > before
}

export function checkConverged(world: World): void {
  const { model, state } = world
  const waiting = state.operations.filter((operation) => operation.result === null)
  expect(waiting).toEqual([])
  const group = state.groups[0]
  const sg = model.serviceGroups.get('SG')
  if (!group || !sg) throw new Error('no group')
  const unitCount = sg.serviceUnits.length
  let served = 0
  for (const instance of sg.serviceInstances) {
    const roles = sg.serviceUnits.map((unit) => unitRole(group, unit, instance, 'confirmed'))
    const active = roles.filter((role) => role === 'ACTIVE').length
    const standby = roles.filter((role) => role === 'STANDBY').length
    served += active
    if (sg.redundancy === 'N+M' || sg.redundancy === 'N-way') {
      expect([instance.name, active]).toEqual([instance.name, 1])
    }
    if (sg.redundancy !== '2N') continue
    expect([instance.name, active, standby]).toEqual([instance.name, 1, unitCount > 1 ? 1 : 0])
  }
  if (sg.redundancy === 'no-redundancy') {
    expect(served).toBe(Math.min(unitCount, sg.serviceInstances.length))
  } else if (sg.redundancy === 'N-way-active') {
    expect(served).toBe(Math.min(2, unitCount) * sg.serviceInstances.length)
  }
}
