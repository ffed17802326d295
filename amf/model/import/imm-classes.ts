interface ImmClass {
  /** Type of the object's own relative name. */
  readonly rdn: string
  /** Class of the parent; null for a root object. */
  readonly parent: string | null
  /** What an absent parent is: the cluster and its nodes need not be in the files. */
  readonly orphan: 'error' | 'note' | 'allowed'
}

const root = (rdn: string): ImmClass => ({ rdn, parent: null, orphan: 'error' })
const child = (rdn: string, parent: string, orphan: ImmClass['orphan'] = 'error'): ImmClass => ({
  rdn,
  parent,
  orphan,
})

/** The classes that a model can have a counterpart for (SAF AMF B.04.01 section 8, OpenSAF's class definitions). */
export const IMM_CLASSES: Readonly<Record<string, ImmClass>> = {
  SaAmfCluster: root('safAmfCluster'),
  SaAmfNode: child('safAmfNode', 'SaAmfCluster', 'allowed'),
  SaAmfNodeGroup: child('safAmfNodeGroup', 'SaAmfCluster', 'allowed'),
  SaAmfNodeSwBundle: child('safInstalledSwBundle', 'SaAmfNode', 'allowed'),
  SaAmfCompGlobalAttributes: child('safRdn', 'SaAmfApplication', 'allowed'),
  SaAmfAppBaseType: root('safAppType'),
  SaAmfSGBaseType: root('safSgType'),
  SaAmfSUBaseType: root('safSuType'),
  SaAmfCompBaseType: root('safCompType'),
  SaAmfSvcBaseType: root('safSvcType'),
  SaAmfCSBaseType: root('safCSType'),
  SaAmfAppType: child('safVersion', 'SaAmfAppBaseType'),
  SaAmfSGType: child('safVersion', 'SaAmfSGBaseType'),
  SaAmfSUType: child('safVersion', 'SaAmfSUBaseType'),
  SaAmfCompType: child('safVersion', 'SaAmfCompBaseType'),
  SaAmfSvcType: child('safVersion', 'SaAmfSvcBaseType'),
  SaAmfCSType: child('safVersion', 'SaAmfCSBaseType'),
  SaAmfSutCompType: child('safMemberCompType', 'SaAmfSUType', 'note'),
  SaAmfSvcTypeCSTypes: child('safMemberCSType', 'SaAmfSvcType', 'note'),
  SaAmfCtCsType: child('safSupportedCsType', 'SaAmfCompType'),
  SaAmfHealthcheckType: child('safHealthcheckKey', 'SaAmfCompType'),
  SaAmfApplication: root('safApp'),
  SaAmfSG: child('safSg', 'SaAmfApplication'),
  SaAmfSU: child('safSu', 'SaAmfSG'),
  SaAmfComp: child('safComp', 'SaAmfSU'),
  SaAmfCompCsType: child('safSupportedCsType', 'SaAmfComp'),
  SaAmfHealthcheck: child('safHealthcheckKey', 'SaAmfComp'),
  SaAmfSI: child('safSi', 'SaAmfApplication'),
  SaAmfCSI: child('safCsi', 'SaAmfSI'),
  SaAmfCSIAttribute: child('safCsiAttr', 'SaAmfCSI'),
  SaAmfSIDependency: child('safDepend', 'SaAmfSI'),
  SaAmfSIRankedSU: child('safRankedSu', 'SaAmfSI'),
}

/** Objects of the applications that OpenSAF itself consists of. */
export function isMiddleware(name: string): boolean {
  return /(^|,)safApp=(OpenSAF|saf[A-Z][A-Za-z]*Service)$/.test(name)
}
