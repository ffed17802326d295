import { it } from 'vitest'
import { vectorModel } from '../amf/engine/models.ts'
import { World } from '../amf/engine/world.ts'
it('debug', () => {
  const w = new World(vectorModel({ redundancy: '2N', units: 1, instances: 1 }))
  w.startDirector(); w.join('N1')
  w.lose(0)
  w.deliverNext(); w.admin('lock', 'N1'); w.settle()
  w.advance(60_000)
  console.log(JSON.stringify([...w.state.groups[0]!.components.values()]), w.log.join('\n'), w.state.groups[0]!.deadlineMs, w.nowMs)
  w.admin('unlock', 'N1'); w.settle()
  w.advance(60_000)
  console.log(JSON.stringify([...w.state.groups[0]!.components.values()]), w.log.join('\n'), w.state.groups[0]!.deadlineMs, w.nowMs)
})
