import { fileURLToPath } from 'node:url'
import { isSdkError } from '../../../idl/index.ts'
import { startSupervisor } from '../../../amf/node/supervisor.ts'

/** A supervisor of two nodes, each with one component, until it is killed. Argument: the run directory. */
const [runDir = ''] = process.argv.slice(2)
const program = fileURLToPath(new URL('./launcher-program.ts', import.meta.url))
const tsx = import.meta.resolve('tsx')

try {
  await startSupervisor({
    runDir,
    nodes: ['n1', 'n2'].map((name) => ({
      name,
      argv: [process.execPath, '--import', tsx, program, runDir, 'one'],
      env: {},
    })),
    onEvent: (event) => process.stdout.write(`${JSON.stringify(event)}\n`),
  })
} catch (error) {
  const code = isSdkError(error) ? error.code : String(error)
  process.stdout.write(`${JSON.stringify({ kind: 'refused', code })}\n`)
}
