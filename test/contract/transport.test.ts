import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memoryTransport, unixTransport } from '../../ioc/index.ts'
import { socketDirectory } from '../../ioc/internal.ts'
import { transportContract } from './transport-contract.ts'

transportContract('memory', () => ({ transport: memoryTransport(), dispose: () => {} }))

transportContract('unix', () => {
  const runDir = mkdtempSync(join(tmpdir(), 'hf-'))
  return {
    transport: unixTransport({ runDir }),
    dispose: () => rmSync(runDir, { recursive: true }),
  }
})

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
