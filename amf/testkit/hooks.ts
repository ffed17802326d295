import { z } from 'zod'
import { defineInterface } from '../../idl/index.ts'

/**
 * Faults that only the component itself can bring about. A component under test offers them with
 * `app.eo.clientInstall(TestHooks, testHooks)`; never install them in production.
 */
export const TestHooks = defineInterface({
  name: 'TestHooks',
  clientId: 1000,
  version: 'B.1.1',
  methods: {
    /** Blocks the event loop for `ms`. Answers before it starts. */
    block: {
      serviceId: 0,
      input: z.strictObject({ ms: z.int().min(1).max(600_000) }),
      output: z.strictObject({}),
      staleReads: true,
    },
  },
})

/** The functions behind {@link TestHooks}. */
export const testHooks = {
  block: ({ ms }: { readonly ms: number }): Record<string, never> => {
    // Later, so that the answer leaves before the loop stands still.
    setTimeout(() => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
    }, 20)
    return {}
  },
}
