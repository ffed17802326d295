import type { Findings } from './findings.ts'
import type { RawObject } from './imm-objects.ts'
import type { XmlElement } from '../../../idl/internal.ts'

/**
 * Reads the objects that an SMF upgrade campaign creates: entity types (`amfEntityTypes`), what it adds (`added`,
 * `create`) and where it installs software (`swAdd`). How it goes about it (procedures, steps, scripts) has no
 * counterpart and is noted.
 */
export function readCampaign(root: XmlElement, file: string, findings: Findings): RawObject[] {
  const objects: RawObject[] = []
  const visit = (element: XmlElement, path: string): void => {
    const place = { file, line: element.line }
    const parent = element.attributes.get('parentObjectDN') ?? ''
    if (element.name === 'amfEntityTypes') objects.push(...entityTypes(element, file))
    else if (element.name === 'added' || element.name === 'create') {
      objects.push(createdObject(element, file, parent === '=' ? '' : parent))
    } else if (element.name === 'swAdd') objects.push(...installedBundles(element, file))
    else if (element.children.length === 0 || STEPS.has(element.name)) {
      const step = path === '' ? element.name : `${path}/${element.name}`
      const message = 'a step of the campaign, which has no counterpart'
      findings.add({ ...place, level: 'note', object: step, attribute: null, message })
    } else {
      for (const child of element.children) {
        visit(child, path === '' ? element.name : `${path}/${element.name}`)
      }
    }
  }
  for (const element of root.children) visit(element, '')
  return objects
}

/** Told as one step each. */
const STEPS = new Set(['softwareBundle', 'outageInfo', 'doAdminOperation', 'undoAdminOperation'])

function createdObject(element: XmlElement, file: string, parent: string): RawObject {
  const attributes = element.children
    .filter(({ name }) => name === 'attribute')
    .flatMap((attribute) =>
      attribute.children
        .filter(({ name }) => name === 'value')
        .map(({ text, line }) => ({
          attribute: attribute.attributes.get('name') ?? '',
          text,
          line,
        })),
    )
  // The attribute that names the object is spelled `type=value` and called like the type.
  const own = attributes.find(({ attribute, text }) => text.startsWith(`${attribute}=`))
  return {
    file,
    line: element.line,
    className: element.attributes.get('objectClassName') ?? '',
    name: [own?.text ?? '', parent].filter((part) => part !== '').join(','),
    attributes: attributes.filter((each) => each !== own),
  }
}

/** Element of a type below `amfEntityTypes`: class of its objects and the attribute that names them. */
const TYPES: Readonly<Record<string, { className: string; naming: string }>> = {
  AppBaseType: { className: 'SaAmfAppBaseType', naming: 'safAppType' },
  AppType: { className: 'SaAmfAppType', naming: 'safVersion' },
  SGBaseType: { className: 'SaAmfSGBaseType', naming: 'safSgType' },
  SGType: { className: 'SaAmfSGType', naming: 'safVersion' },
  SUBaseType: { className: 'SaAmfSUBaseType', naming: 'safSuType' },
  SUType: { className: 'SaAmfSUType', naming: 'safVersion' },
  CompBaseType: { className: 'SaAmfCompBaseType', naming: 'safCompType' },
  CompType: { className: 'SaAmfCompType', naming: 'safVersion' },
  CSBaseType: { className: 'SaAmfCSBaseType', naming: 'safCSType' },
  CSType: { className: 'SaAmfCSType', naming: 'safVersion' },
  ServiceBaseType: { className: 'SaAmfSvcBaseType', naming: 'safSvcType' },
  ServiceType: { className: 'SaAmfSvcType', naming: 'safVersion' },
  componentType: { className: 'SaAmfSutCompType', naming: 'safMemberCompType' },
  providesCSType: { className: 'SaAmfCtCsType', naming: 'safSupportedCsType' },
  csType: { className: 'SaAmfSvcTypeCSTypes', naming: 'safMemberCSType' },
  healthCheck: { className: 'SaAmfHealthcheckType', naming: 'safHealthcheckKey' },
}

/** Attributes that campaigns spell differently from the classes. */
const SPELLED: Readonly<Record<string, string>> = {
  safAmfSgtDefAutoAdjust: 'saAmfSgtDefAutoAdjust',
  safAmfSgtDefAutoRepair: 'saAmfSgtDefAutoRepair',
  safAmfSgtDefAutoAdjustProb: 'saAmfSgtDefAutoAdjustProb',
  saAmfSutProvidesSvcType: 'saAmfSutProvidesSvcTypes',
  saAmfCtDefNumMaxActiveCsi: 'saAmfCtDefNumMaxActiveCSIs',
  saAmfCtDefNumMaxStandbyCsi: 'saAmfCtDefNumMaxStandbyCSIs',
  saAmfHealthcheckPeriod: 'saAmfHctDefPeriod',
  saAmfHealthcheckMaxDuration: 'saAmfHctDefMaxDuration',
}

const ARGUMENTS: Readonly<Record<string, string>> = {
  instantiateCmd: 'saAmfCtDefInstantiateCmdArgv',
  terminateCmd: 'saAmfCtDefTerminateCmdArgv',
  cleanupCmd: 'saAmfCtDefCleanupCmdArgv',
  amStartCmd: 'saAmfCtDefAmStartCmdArgv',
  amStopCmd: 'saAmfCtDefAmStopCmdArgv',
  osafHcCmd: 'osafAmfCtDefHcCmdArgv',
}

function entityTypes(element: XmlElement, file: string): RawObject[] {
  return element.children.flatMap((child) => typeObjects(child, '', file))
}

/** The object of a type element, and those of the types inside. Other elements inside carry its attributes. */
function typeObjects(element: XmlElement, parent: string, file: string): RawObject[] {
  const type = TYPES[element.name]
  if (!type) return []
  const own = element.attributes.get(type.naming) ?? ''
  const name = parent === '' ? own : `${own},${parent}`
  const attributes = attributesIn(element, type.naming)
  const inner: RawObject[] = []
  for (const child of element.children) {
    if (TYPES[child.name]) inner.push(...typeObjects(child, name, file))
    else attributes.push(...attributesIn(child, ''))
  }
  return [{ file, line: element.line, className: type.className, name, attributes }, ...inner]
}

function attributesIn(
  element: XmlElement,
  naming: string,
): { attribute: string; text: string; line: number }[] {
  const { line } = element
  const own = [...element.attributes]
    .filter(([attribute]) => attribute !== naming)
    .map(([attribute, text]) => ({ attribute: SPELLED[attribute] ?? attribute, text, line }))
  const children = element.children
    .filter(({ name }) => TYPES[name] === undefined)
    .filter(({ name }) => name === 'cmdArgv' || name === 'cmdEnv')
    .map((child) => ({
      attribute: child.name === 'cmdEnv' ? 'saAmfCtDefCmdEnv' : (ARGUMENTS[element.name] ?? ''),
      text: child.text,
      line: child.line,
    }))
  return [...own, ...children]
}

function installedBundles(element: XmlElement, file: string): RawObject[] {
  const bundle = element.attributes.get('bundleDN') ?? ''
  const { line } = element
  const prefix = element.attributes.get('pathnamePrefix') ?? ''
  const attributes = [{ attribute: 'saAmfNodeSwBundlePathPrefix', text: prefix, line }]
  return element.children
    .map((child) => child.attributes.get('amfNode') ?? '')
    .filter((node) => node !== '')
    .map((node) => {
      const name = `safInstalledSwBundle=${bundle.replaceAll(',', '\\,')},${node}`
      return { file, line, className: 'SaAmfNodeSwBundle', name, attributes }
    })
}
