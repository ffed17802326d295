import { expect, test } from 'vitest'
import { checkpointRefusal } from '../../../amf/node/node-model.ts'
import { vectorModel } from '../engine/models.ts'

test.each([
  ['2N', null],
  ['N-way', null],
  ['N-way-active', /checkpoint I1: several components of SG are ACTIVE.*another redundancy model/],
])('checkpoints of %s', (redundancy, message) => {
  const refusal = checkpointRefusal(vectorModel({ redundancy, units: 2, instances: 1 }), 'I1')
  if (message === null) expect(refusal).toBeNull()
  else expect(refusal).toMatch(message)
})
