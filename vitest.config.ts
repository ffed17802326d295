import { defineConfig } from 'vitest/config'

/**
 * Two projects: `fast` runs against the sources, files side by side; `failover` starts real processes of the build in
 * `dist/`, one file at a time and after the rest, so that nothing else disturbs its clocks.
 */
export default defineConfig({
  test: {
    pool: 'forks',
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
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
