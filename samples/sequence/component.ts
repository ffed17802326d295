import type { Checkpoint, ClEoConfig } from 'holdfast/runtime'
import { Sequence } from './sequence.ts'

const CSI = 'sequenceCSI'
/** The one section of the checkpoint: the last number that was given out. */
const LAST = 'last'

let checkpoint: Checkpoint

/**
 * A component of the global sequence number service. The state lives in the hot-standby checkpoint and nowhere else.
 */
export const clEoConfig: ClEoConfig = {
  name: 'sequence',
  threads: 1,
  iocPort: 0,
  userClients: 1,
  threadModel: 'recv',
  initialize: async (app) => {
    await app.cpm.initialize({
      csiSet: async (haState, descriptor) => {
        app.log.info({ csi: descriptor.csi, haState, epoch: descriptor.epoch }, 'role')
        // The first active ever begins where the model says; every later one finds the state in the checkpoint.
        if (haState === 'ACTIVE' && checkpoint.read(LAST) === undefined)
          await checkpoint.write(LAST, Number(descriptor.attributes['start']?.[0] ?? 1) - 1)
      },
      csiRemove: () => undefined,
      terminate: () => undefined,
    })
    checkpoint = app.checkpoint.open(CSI)
    app.eo.clientInstall(
      Sequence,
      {
        next: ({ count }, call) => {
          const view = checkpoint.in(call)
          const last = view.read(LAST) as number
          view.write(LAST, last + count)
          return { first: last + 1, last: last + count }
        },
      },
      { csi: CSI },
    )
    await app.cpm.register()
  },
  finalize: null,
  stateChange: async () => undefined,
  healthCheck: async (feedback) => {
    feedback.status = 'alive'
  },
}

export const clEoBasicLibs = {
  osal: true,
  timer: true,
  buffer: true,
  ioc: true,
  rmd: true,
  eo: true,
  om: true,
  hal: false,
  dbal: false,
}

export const clEoClientLibs = { name: true, log: true, transaction: false }
