import { defineInterface } from 'holdfast/idl'
import { z } from 'zod'

/** The global sequence number service: each number is given out once over the life of the cluster. */
export const Sequence = defineInterface({
  name: 'Sequence',
  clientId: 20,
  version: 'B.1.1',
  methods: {
    /** Draws `count` numbers in a row, `first` to `last`. */
    next: {
      serviceId: 0,
      input: z.strictObject({ count: z.int().min(1).max(1000) }),
      output: z.strictObject({ first: z.int(), last: z.int() }),
    },
  },
})
