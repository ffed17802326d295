import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unixTransport } from '../../ioc/index.ts'
import { socketDirectory } from '../../ioc/internal.ts'
import { TRANSPORTS } from '../ioc/transports.ts'
import { transportContract } from './transport-contract.ts'

for (const [name, make] of Object.entries(TRANSPORTS)) {
  transportContract(name, () => {
    const set = make()
    return { transport: set.of(1), dispose: () => set.dispose() }
  })
}

transportContract('unix, in a run directory with a long path', () => {
  const top = mkdtempSync(join(tmpdir(), 'hf-'))
  const runDir = join(top, 'x'.repeat(120), 'run')
  return {
    transport: unixTransport({ runDir }),
    dispose: () => {
      rmSync(socketDirectory(runDir), { recursive: true })
      rmSync(top, { recursive: true })
    },
  }
})
