import { join } from 'node:path'
import { built, builtNamedServer, builtServer, CSI, silent } from './parts.ts'

/** A node process with its checkpoint replicas and the named checkpoints only: `node.ts RUNDIR NODE REPLICAS`. */
const [runDir = '', id = '1', replicas = '1'] = process.argv.slice(2)
const { idl, ioc } = await built()
const { createCheckpointServer, NodeServices } = await builtServer()
const { namedCheckpointServer } = await builtNamedServer()
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
const services = new NodeServices({
  node: `node${id}`,
  nodeId: node,
  cluster: 'bench',
  directory: runDir,
  streams: server,
  nodeName: (of) => `node${of}`,
  nodes: () => nodes.map((of) => ({ nodeId: of, name: `node${of}` })),
  componentOf: () => 'bench',
  namesRegistered: () => undefined,
  rmd,
  log: Object.assign({}, silent, { child: () => silent }),
  services: [namedCheckpointServer],
})
rmd.serve((call) => {
  if (server.dispatch(call) || services.dispatch(call)) return
  call.fail(new idl.SdkError('FUNC_NOT_REGISTERED', 'not here'))
})
if (node === 1) services.lead(1, nodes.slice(1))
else services.follow(1, 1)
process.on('disconnect', () => process.exit())
process.on('message', (order: 'grant' | 'cpu') => {
  if (order === 'cpu') {
    const { user, system } = process.cpuUsage()
    process.send!(user + system)
    return
  }
  // Nothing was acknowledged yet: the others join the set with the first commits, before a round counts.
  server.becomePrimary({ csi: CSI, epoch: 1, replicas: nodes, inSync: null })
  process.send!('primary')
})
process.send!('ready')
