import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unixTransport } from '../../ioc/index.ts'
import { FAULT_FILE_ENV, socketDirectory } from '../../ioc/internal.ts'
import { TRANSPORTS } from '../ioc/transports.ts'
import { rmdManyContract } from './rmd-many-contract.ts'
import { transportContract } from './transport-contract.ts'

for (const [name, make] of Object.entries(TRANSPORTS)) {
  rmdManyContract(name, make)
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

transportContract('unix, with a fault file and no fault', () => {
  const runDir = mkdtempSync(join(tmpdir(), 'hf-'))
  const path = join(runDir, 'faults')
  writeFileSync(path, JSON.stringify({ version: 1, nodes: {}, faults: [] }))
  process.env[FAULT_FILE_ENV] = path
  try {
    return {
      transport: unixTransport({ runDir }),
      dispose: () => rmSync(runDir, { recursive: true }),
    }
  } finally {
    delete process.env[FAULT_FILE_ENV]
  }
})
