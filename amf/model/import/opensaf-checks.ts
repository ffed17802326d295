import { IMM_CLASSES } from './imm-classes.ts'
import type { ImmObject } from './imm-objects.ts'
import type { OpenSafContext } from './opensaf-context.ts'

/** What types allow: entities that their types exclude contradict the model (OpenSAF refuses them too). */
export function checkImmTypes(context: OpenSafContext): void {
  const { objects } = context
  const typed = (object: ImmObject, attribute: string): string | undefined =>
    object.source.text(attribute)
  const among = (of: ImmObject, attribute: string, list: readonly string[], by: string): void => {
    const name = typed(of, attribute)
    if (name === undefined || list.length === 0 || list.includes(name)) return
    of.source.error(attribute, `${by} does not allow ${name}; it allows ${list.join(' and ')}`)
  }
  for (const sg of context.groups) {
    const application = objects.get(sg.name.parent, 'SaAmfApplication')
    const appType = application && objects.get(typed(application, 'saAmfAppType') ?? '')
    if (appType) among(sg, 'saAmfSGType', appType.source.all('saAmfApptSGTypes'), appType.name.text)
    const sgType = objects.get(typed(sg, 'saAmfSGType') ?? '')
    for (const unit of context.unitsOf(sg)) {
      if (sgType) {
        among(unit, 'saAmfSUType', sgType.source.all('saAmfSgtValidSuTypes'), sgType.name.text)
      }
      checkComponents(context, unit)
    }
    for (const si of context.instancesOf(sg)) checkInstance(context, si)
  }
}

function checkComponents({ objects, componentsOf }: OpenSafContext, unit: ImmObject): void {
  const type = unit.source.text('saAmfSUType') ?? ''
  const members = objects.children(type, 'SaAmfSutCompType')
  const components = componentsOf(unit)
  for (const { source } of components) {
    const own = source.text('saAmfCompType')
    if (own === undefined || members.length === 0) continue
    if (members.some(({ name }) => name.value === own)) continue
    source.error('saAmfCompType', `${type} has no member ${own}`)
  }
  for (const member of members) {
    const own = components.filter((each) => each.source.text('saAmfCompType') === member.name.value)
    const least = member.source.int('saAmfSutMinNumComponents') ?? 1
    const most = member.source.int('saAmfSutMaxNumComponents') ?? 0
    const has = `has ${String(own.length)} components of type ${member.name.value}`
    if (own.length < least) unit.source.note(null, `${has}, fewer than ${String(least)}`)
    if (most > 0 && own.length > most) unit.source.error(null, `${has}, more than ${String(most)}`)
  }
}

function checkInstance(context: OpenSafContext, si: ImmObject): void {
  const { objects } = context
  const type = context.typeOf(si, 'saAmfSvcType', 'SaAmfSvcType')
  if (!type) return
  const members = objects.children(type.name.text, 'SaAmfSvcTypeCSTypes')
  for (const { source } of objects.children(si.name.text, 'SaAmfCSI')) {
    const own = source.text('saAmfCSType')
    if (own === undefined || members.length === 0) continue
    if (!members.some(({ name }) => name.value === own)) {
      source.error('saAmfCSType', `${type.name.text} has no member ${own}`)
    }
  }
}

/** Classes that give a name and nothing else. */
const NAMES_ONLY = /BaseType$|^SaAmfCSType$/
/** Attributes of types that are there to check entities by. */
const CHECKS: Readonly<Record<string, readonly string[]>> = {
  SaAmfAppType: ['saAmfApptSGTypes'],
  SaAmfSGType: ['saAmfSgtValidSuTypes'],
  SaAmfSUType: ['saAmfSutProvidesSvcTypes', 'saAmfSutIsExternal'],
  SaAmfSutCompType: ['saAmfSutMinNumComponents', 'saAmfSutMaxNumComponents'],
  SaAmfSvcTypeCSTypes: ['saAmfSvctMaxNumCSIs'],
  SaAmfApplication: ['saAmfAppType', 'saAmfApplicationAdminState'],
  SaAmfNodeSwBundle: ['saAmfNodeSwBundlePathPrefix'],
}

/** Notes attributes that nobody took, and objects that nothing imported uses, once each. */
export function noteUnused(context: OpenSafContext): void {
  for (const object of context.objects.all()) {
    const { className, source } = object
    source.skip(...(CHECKS[className] ?? []))
    if (NAMES_ONLY.test(className) && source.attributes.length === 0) continue
    if (isUsed(context, object)) source.noteRest()
    else source.note(null, 'nothing imported uses it; left out')
  }
}

function isUsed(context: OpenSafContext, object: ImmObject): boolean {
  const { objects, draft } = context
  const { className, name } = object
  const parent = objects.get(name.parent)
  switch (className) {
    case 'SaAmfCompType':
      return Object.hasOwn(draft.text.componentTypes, context.componentTypeName(object))
    case 'SaAmfSGType':
      return context.groups.some(({ source }) => source.text('saAmfSGType') === name.text)
    case 'SaAmfSUType':
      return context.groups.some((sg) =>
        context.unitsOf(sg).some(({ source }) => source.text('saAmfSUType') === name.text),
      )
    case 'SaAmfSU':
    case 'SaAmfSG':
    case 'SaAmfSI':
    case 'SaAmfComp':
    case 'SaAmfCSI':
      // Said already, where it was left out.
      return context.tryNameOf(object) !== undefined || isLeftOutBelow(context, object)
    case 'SaAmfNode':
    case 'SaAmfCluster':
    case 'SaAmfNodeGroup':
    case 'SaAmfApplication':
    case 'SaAmfCompGlobalAttributes':
    case 'SaAmfNodeSwBundle':
    case 'SaAmfAppType':
    case 'SaAmfSvcType':
      return true
    default:
      return parent === undefined || IMM_CLASSES[className] === undefined
        ? true
        : isUsed(context, parent)
  }
}

/** Units, groups and instances that were left out said so themselves; what is in them did not. */
function isLeftOutBelow(context: OpenSafContext, object: ImmObject): boolean {
  const { className, name } = object
  if (className === 'SaAmfSU') return context.componentsOf(object).length === 0
  if (className === 'SaAmfComp') {
    const unit = context.objects.get(name.parent, 'SaAmfSU')
    return unit !== undefined && !context.componentsOf(unit).includes(object)
  }
  return className === 'SaAmfSG' || className === 'SaAmfSI'
}
