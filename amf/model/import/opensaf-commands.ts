import type { Keys } from './draft.ts'
import type { ImmObject } from './imm-objects.ts'
import { NS_PER_MS, type OpenSafContext } from './opensaf-context.ts'

/** Bits of `saAmfCtCompCategory`. */
const MASK = { saAware: 1, proxy: 2, proxied: 4, local: 8, container: 16, contained: 32, npi: 64 }

/** The category in the model's words; a proxy is an SA-aware component like others. */
function categoryOf(type: ImmObject): string {
  const mask = type.source.int('saAmfCtCompCategory')
  if (mask === undefined) return 'saAware'
  const has = (bit: number): boolean => (mask & bit) !== 0
  const isKnown = mask > 0 && mask < 128
  const isOdd = has(MASK.proxied) && has(MASK.npi)
  if (!isKnown || isOdd || (has(MASK.saAware) && has(MASK.contained))) {
    const text = `${String(mask)} is no category: a sum of 1 SA-aware, 2 proxy, 4 proxied`
    type.source.error('saAmfCtCompCategory', `${text}, 8 local, 16 container, 32 contained, 64 NPI`)
  }
  if (has(MASK.npi) || has(MASK.proxied)) return 'proxied'
  if (has(MASK.contained)) return 'contained'
  if (has(MASK.container)) return 'container'
  return has(MASK.saAware) || has(MASK.proxy) ? 'saAware' : 'nonSaAware'
}

/** Category and life-cycle commands of a component, with their time-outs. */
export function commandsOf(
  context: OpenSafContext,
  component: ImmObject,
  { type, node }: { type: ImmObject; node: unknown },
): Keys {
  const own = component.source
  const from = type.source
  const category = categoryOf(type)
  const clcMs = from.ms('saAmfCtDefClcCliTimeout', { perMs: NS_PER_MS, min: 100 })
  const timeoutMs = (attribute: string): number | undefined =>
    own.ms(attribute, { perMs: NS_PER_MS, min: 100 }) ?? clcMs
  const prefix = prefixOf(context, type, node)
  const command = (what: string): readonly string[] | undefined => {
    const path = from.text(`saAmfCtRelPath${what}Cmd`)
    const words = [
      ...from.all(`saAmfCtDef${what}CmdArgv`),
      ...own.all(`saAmfComp${what}CmdArgv`),
    ].flatMap((text) => text.split(/\s+/))
    if (path === undefined) return undefined
    const [program = '', ...rest] = path.split(/\s+/)
    const isRelative = prefix !== null && !program.startsWith('/')
    return [isRelative ? `${prefix}/${program}` : program, ...rest, ...words]
  }
  for (const what of ['AmStart', 'AmStop'] as const) {
    if (command(what)) {
      from.note(`saAmfCtRelPath${what}Cmd`, 'active monitoring by a command has no counterpart')
    }
    own.skip(`saAmfComp${what}Timeout`)
  }
  if (category === 'saAware' || category === 'container') {
    from.note(
      'saAmfCtRelPathInstantiateCmd',
      'the process of this command is the component itself here: it must not go to the background',
    )
  }
  const instantiate = command('Instantiate')
  const terminate = command('Terminate')
  const cleanup = command('Cleanup')
  const terminateMs = timeoutMs('saAmfCompTerminateTimeout')
  const cleanupMs = timeoutMs('saAmfCompCleanupTimeout')
  return {
    category,
    command: instantiate,
    terminate: terminate && lifeCycle(terminate, terminateMs),
    cleanup: cleanup && lifeCycle(cleanup, cleanupMs),
    instantiateTimeoutMs: timeoutMs('saAmfCompInstantiateTimeout'),
    terminateTimeoutMs: terminateMs,
  }
}

const PREFIX = 'saAmfNodeSwBundlePathPrefix'

function lifeCycle(command: readonly string[], timeoutMs: number | undefined): Keys {
  return timeoutMs === undefined ? { command } : { command, timeoutMs }
}

/** Where the bundle with the commands of a type is installed on a node; null when no file says it. */
function prefixOf(
  { objects, nodes }: OpenSafContext,
  type: ImmObject,
  node: unknown,
): string | null {
  const bundle = type.source.text('saAmfCtSwBundle')
  if (bundle === undefined) return null
  const installed = objects.ofClass('SaAmfNodeSwBundle').filter(({ name }) => name.value === bundle)
  const here = installed.find(({ name }) => nodes.get(name.parent) === node) ?? installed[0]
  const prefix = here?.source.text(PREFIX)
  const isChosen = here !== undefined && nodes.get(here.name.parent) !== node
  if (isChosen && installed.some((each) => each.source.text(PREFIX) !== prefix)) {
    const message = `the prefix differs by node; of a node group's, that of ${here.name.parent} is taken`
    type.source.note('saAmfCtSwBundle', message)
  }
  if (prefix !== undefined) return prefix.replace(/\/+$/, '')
  type.source.note(
    'saAmfCtSwBundle',
    `no file says where ${bundle} is installed; its commands stay as they are written`,
  )
  return null
}
