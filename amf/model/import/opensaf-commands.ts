import { compact, type Keys } from './draft.ts'
import type { ImmObject } from './imm-objects.ts'
import { type Category, categoryOf, MEDIATION } from './opensaf-categories.ts'
import { NS_PER_MS, type OpenSafContext } from './opensaf-context.ts'

/** Category of a component that others act for, and the CSI of those. */
function mediatedKeys(context: OpenSafContext, component: ImmObject, category: Category): Keys {
  const attribute = MEDIATION[category as keyof typeof MEDIATION]
  const name = component.source.text(attribute) ?? ''
  const found = context.refer(component, attribute, { name, className: 'SaAmfCSI' })
  const csi = found && context.nameOf(found)
  if (category === 'contained') return { category, contained: { csi } }
  const preInstantiable = category === 'proxied' ? undefined : false
  return { category: 'proxied', proxied: compact({ csi, preInstantiable }) }
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
  const terminateMs = timeoutMs('saAmfCompTerminateTimeout')
  const instantiateTimeoutMs = timeoutMs('saAmfCompInstantiateTimeout')
  if (category in MEDIATION) {
    for (const what of ['Instantiate', 'Terminate', 'Cleanup', 'AmStart', 'AmStop']) {
      if (!command(what)) continue
      from.note(`saAmfCtRelPath${what}Cmd`, 'its proxy or container does this; left out')
    }
    const keys = mediatedKeys(context, component, category)
    return { ...keys, instantiateTimeoutMs, terminateTimeoutMs: terminateMs }
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
  const [amStart, amStop] = [command('AmStart'), command('AmStop')]
  const cleanupMs = timeoutMs('saAmfCompCleanupTimeout')
  const amStartMs = timeoutMs('saAmfCompAmStartTimeout')
  const amStopMs = timeoutMs('saAmfCompAmStopTimeout')
  const isDaemon = category === 'nonSaAware'
  return {
    category,
    ...(isDaemon
      ? { instantiate: instantiate && lifeCycle(instantiate, instantiateTimeoutMs) }
      : { command: instantiate, instantiateTimeoutMs }),
    terminate: terminate && lifeCycle(terminate, terminateMs),
    cleanup: cleanup && lifeCycle(cleanup, cleanupMs),
    terminateTimeoutMs: isDaemon ? undefined : terminateMs,
    amStart: amStart && lifeCycle(amStart, amStartMs),
    amStop: amStop && lifeCycle(amStop, amStopMs),
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
