import { existsSync, lstatSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { SdkError } from '../../idl/index.ts'
import type { ProcessIdentity } from '../../ioc/internal.ts'
import { readCrashRecord } from '../../runtime/internal.ts'

/** Where one node keeps its files, under the run directory. */
export interface NodeDirectory {
  readonly runDir: string
  /** `RUN_DIR/nodes/NODE` */
  readonly path: string
  /** LMDB environment of the checkpoint replicas. */
  readonly checkpoint: string
  /** Files of the node's services, a directory each. */
  readonly services: string
  /** Logs of components, one file each. */
  readonly components: string
}

/**
 * Makes the directories of a node, all with mode 0700.
 * @throws SdkError OP_NOT_PERMITTED when the run directory belongs to somebody else, is a link, or is open to others.
 */
export function prepareNodeDirectory(runDir: string, node: string): NodeDirectory {
  const root = resolve(runDir)
  mkdirSync(root, { recursive: true, mode: 0o700 })
  checkPrivate(root)
  const path = join(root, 'nodes', node)
  const directory = {
    runDir: root,
    path,
    checkpoint: join(path, 'checkpoint'),
    services: join(path, 'services'),
    components: join(path, 'components'),
  }
  for (const one of [directory.checkpoint, directory.services, directory.components]) {
    mkdirSync(one, { recursive: true, mode: 0o700 })
  }
  return directory
}

/** Says which process runs the node, and which model the run directory is for. */
export function writeNodeFiles(
  directory: NodeDirectory,
  self: ProcessIdentity,
  modelPath: string,
): void {
  writeFileSync(join(directory.path, 'node.json'), `${JSON.stringify(self)}\n`, { mode: 0o600 })
  const pointer = join(directory.runDir, 'model.yaml')
  if (!existsSync(pointer)) writeFileSync(pointer, `${resolve(modelPath)}\n`, { mode: 0o600 })
}

/** Says that the node's process has ended in order. */
export function removeNodeFile(directory: NodeDirectory): void {
  rmSync(join(directory.path, 'node.json'), { force: true })
}

/** What a component's process wrote about its own death, in one line; null when it wrote nothing. */
export function crashText(
  { runDir }: NodeDirectory,
  node: string,
  component: string,
  pid: number,
): string | null {
  const record = readCrashRecord({ runDir, node, component, pid })
  if (record === null) return null
  return `${record.kind}: ${record.error.split('\n')[0] ?? ''}`
}

function checkPrivate(path: string): void {
  const stat = lstatSync(path)
  const uid = process.getuid?.() ?? stat.uid
  const problem = !stat.isDirectory()
    ? 'it is no directory'
    : stat.uid !== uid
      ? `it belongs to user ${stat.uid}`
      : (stat.mode & 0o077) !== 0
        ? 'others may enter it'
        : null
  if (problem === null) return
  const remedy = 'remedy: a directory of its own, chmod 700'
  throw new SdkError('OP_NOT_PERMITTED', `run directory ${path} refused: ${problem}; ${remedy}`)
}
