import { spawnSync } from 'node:child_process'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

/**
 * `npm run build`: the compiler checks and writes the declarations, esbuild writes the code. Modules that the same
 * entries need are one file, so that a component reads some thirty files where it read three hundred: half the
 * processor time of a start. Each module is in one file only, whichever entry loads it: state of modules and classes
 * are the same for all. Code therefore never looks for a file beside its own: see `imports` in package.json.
 */
const OUTPUT = 'dist'

/** What package.json names, and what is started by its URL. */
const ENTRIES = [
  'idl/index.ts',
  'ioc/index.ts',
  'runtime/index.ts',
  'runtime/cl/index.ts',
  'amf/index.ts',
  'amf/testkit/index.ts',
  'amf/cli/main.ts',
  'runtime/eo/eo-thread.ts',
  'runtime/eo/watchdog-thread.ts',
  'runtime/eo/worker-thread.ts',
]

/** Modules that tests and benches load from the output besides the entries: add what yours needs. */
const FOR_TESTS = [
  'amf/cli/program.ts',
  'amf/engine/engine.ts',
  'amf/model/parse.ts',
  'amf/operator/processes.ts',
  'runtime/internal.ts',
  'runtime/dbal/database.ts',
  'runtime/eo/call-context.ts',
  'runtime/eo/config.schema.ts',
  'runtime/eo/execution-object.ts',
  'runtime/eo/logger.ts',
  'runtime/eo/worker-pool.ts',
  'runtime/services/internal.ts',
  'runtime/services/dispatcher.ts',
  'runtime/services/checkpoint/client.ts',
  'runtime/services/event/client.ts',
  'runtime/services/event/server.ts',
  'runtime/services/log/syslog-local.ts',
  'runtime/services/named-checkpoint/client.ts',
  'runtime/services/named-checkpoint/server.ts',
]

/** Folders of programs and modules of their own, which import the package by its name. */
const PROGRAMS = ['samples', 'test/fixtures']

const checked = spawnSync(
  join('node_modules', '.bin', 'tsc'),
  ['-p', '.', '--emitDeclarationOnly'],
  {
    stdio: 'inherit',
  },
)
if (checked.status !== 0) process.exit(checked.status ?? 1)

for (const file of filesUnder(OUTPUT)) if (/\.js(\.map)?$/.test(file)) rmSync(file)
await build({
  entryPoints: [
    ...ENTRIES,
    ...FOR_TESTS,
    ...PROGRAMS.flatMap(filesUnder).filter((file) => file.endsWith('.ts')),
  ],
  outdir: OUTPUT,
  outbase: '.',
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  packages: 'external',
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  sourcemap: true,
  logLevel: 'warning',
})

function filesUnder(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}
