import { defineConfig } from 'vitest/config'

/**
 * Two projects: `fast` runs against the sources; `failover` starts real processes of the build in `dist/`, after the rest.
 * Two files at a time in both: what the failover suites promise has to hold on a machine that has other work to do.
 */
export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: {
          name: 'fast',
          include: ['test/**/*.test.ts'],
          exclude: ['test/failover/**'],
          testTimeout: 20_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'failover',
          include: ['test/failover/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
