import { defineInterface } from 'holdfast/idl'
import { z } from 'zod'

const noticeSchema = z.strictObject({
  /** Chosen by who posts it: posted twice, it hangs there once. */
  id: z.string().min(1).max(64),
  author: z.string().max(64),
  text: z.string().max(1_000),
})
/** One notice. */
export type Notice = z.infer<typeof noticeSchema>

/** What visitors call: `@board` is whoever is active, `@board1` and `@board2` are the boards themselves. */
export const Board = defineInterface({
  name: 'Board',
  clientId: 21,
  version: 'B.1.1',
  methods: {
    /** Answered when no single failure can take it away any more. */
    post: {
      serviceId: 0,
      input: noticeSchema,
      output: z.strictObject({ board: z.string() }),
    },
    read: {
      serviceId: 1,
      input: z.strictObject({}),
      output: z.strictObject({
        board: z.string(),
        notices: z.array(noticeSchema),
        /** The boards that are there, by the group, and who leads them. */
        present: z.array(z.string()),
        leader: z.string().nullable(),
      }),
    },
  },
})
