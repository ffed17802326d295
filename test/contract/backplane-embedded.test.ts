import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEmbeddedBackplane } from '../../ioc/backplane/internal.ts'
import { backplaneContract } from './backplane-contract.ts'

backplaneContract('embedded', async () => {
  const runDir = await mkdtemp(join(tmpdir(), 'hf-bp-'))
  return {
    member: (node) => createEmbeddedBackplane({ runDir, node, beatMs: 20, silenceMs: 400 }),
    close: () => rm(runDir, { recursive: true, force: true }),
  }
})
