import type { ImmObject, ImmObjects } from './imm-objects.ts'

/** Bits of `saAmfCtCompCategory`. */
const MASK = { saAware: 1, proxy: 2, proxied: 4, local: 8, container: 16, contained: 32, npi: 64 }

/** The category in the model's words; a proxy is an SA-aware component like others. */
export function categoryOf(type: ImmObject): Category {
  const mask = type.source.int('saAmfCtCompCategory')
  if (mask === undefined) return 'saAware'
  const has = (bit: number): boolean => (mask & bit) !== 0
  const isKnown = mask > 0 && mask < 128
  const isOdd = has(MASK.proxied) && has(MASK.npi)
  if (!isKnown || isOdd || (has(MASK.saAware) && has(MASK.contained))) {
    const text = `${String(mask)} is no category: a sum of 1 SA-aware, 2 proxy, 4 proxied`
    type.source.error('saAmfCtCompCategory', `${text}, 8 local, 16 container, 32 contained, 64 NPI`)
  }
  if (has(MASK.npi)) return 'proxiedNpi'
  if (has(MASK.proxied)) return 'proxied'
  if (has(MASK.contained)) return 'contained'
  if (has(MASK.container)) return 'container'
  return has(MASK.saAware) || has(MASK.proxy) ? 'saAware' : 'nonSaAware'
}

export type Category =
  'saAware' | 'container' | 'nonSaAware' | 'proxied' | 'proxiedNpi' | 'contained'

/** Attributes that name the CSI of whoever acts for a component. */
export const MEDIATION = {
  proxied: 'saAmfCompProxyCsi',
  proxiedNpi: 'saAmfCompProxyCsi',
  contained: 'saAmfCompContainerCsi',
} as const

/** The attribute that would have to say who acts for the component and is not there; null when all is said. */
export function missingMediation(objects: ImmObjects, component: ImmObject): string | null {
  const type = objects.get(component.source.text('saAmfCompType') ?? '', 'SaAmfCompType')
  const category = type && categoryOf(type)
  const attribute =
    category && category in MEDIATION && MEDIATION[category as keyof typeof MEDIATION]
  if (!attribute || component.source.text(attribute) !== undefined) return null
  return attribute
}
