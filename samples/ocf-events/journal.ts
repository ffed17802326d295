import { defineInterface } from 'holdfast/idl'
import { z } from 'zod'

/** What the watchers answer to. */
export const Journal = defineInterface({
  name: 'Journal',
  clientId: 20,
  version: 'B.1.1',
  methods: {
    /** The lines from number `first` on, which count from 0; the oldest may be gone. */
    read: {
      serviceId: 0,
      input: z.strictObject({ first: z.int().min(0) }),
      output: z.strictObject({ first: z.int(), lines: z.array(z.string()) }),
    },
    /** A message to all watchers: each of them writes it down, at the same place. */
    say: {
      serviceId: 1,
      input: z.strictObject({ text: z.string().max(1_000) }),
      output: z.strictObject({}),
    },
  },
})
