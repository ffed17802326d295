import { join } from 'node:path'
import { built, builtServer, CSI, silent } from './parts.ts'

/** A node process with nothing but its checkpoint replica: `node.ts RUNDIR NODE REPLICAS`. */
const [runDir = '', id = '1', replicas = '1'] = process.argv.slice(2)
const { idl, ioc } = await built()
const { createCheckpointServer } = await builtServer()
const node = Number(id)
const nodes = replicas.split(',').map(Number)

const transport = ioc.unixTransport({ runDir })
const port = await ioc.openPort({ transport, node, port: 1, name: `node${id}` })
const rmd = ioc.createRmd({ port })
const server = createCheckpointServer({
  nodeId: node,
  directory: join(runDir, `store${id}`),
  rmd,
  hasCsi: () => true,
  authority: { change: async () => undefined },
  replicaTimeoutMs: 1_000,
  log: silent,
})
rmd.serve((call) => {
  if (!server.dispatch(call)) call.fail(new idl.SdkError('FUNC_NOT_REGISTERED', 'not here'))
})
process.on('disconnect', () => process.exit())
process.on('message', (order: 'grant' | 'cpu') => {
  if (order === 'cpu') {
    const { user, system } = process.cpuUsage()
    process.send!(user + system)
    return
  }
  // Nothing was acknowledged yet: the others join the set with the first commits, before a round counts.
  void server
    .becomePrimary({ csi: CSI, epoch: 1, replicas: nodes, inSync: null })
    .then(() => process.send!('primary'))
})
process.send!('ready')
