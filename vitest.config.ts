import { defineConfig } from 'vitest/config'
import { RunReporter } from './test/run-reporter.ts'

const report = process.env['HOLDFAST_TEST_REPORT']
/** They look at the state of a whole process: what is bound in it, how much memory it takes. */
const ALONE = ['test/runtime/cl*.test.ts', 'test/**/*memory.test.ts', 'test/fuzz/**/*.test.ts']

/**
 * Three projects: `fast` runs against the sources, one file after the other in each of two processes, which costs half
 * of what a process for each does; `alone` is what needs that; `failover` starts real processes of the build in
 * `dist/`, after the rest. Two files at a time in all: what the failover suites promise has to hold on a machine that
 * has other work to do.
 */
export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default', ...(report === undefined ? [] : [new RunReporter(report)])],
    projects: [
      {
        extends: true,
        test: {
          name: 'fast',
          include: ['test/**/*.test.ts'],
          exclude: ['test/failover/**', ...ALONE],
          isolate: false,
          testTimeout: 20_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'alone',
          include: ALONE,
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
