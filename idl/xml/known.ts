/** What names of the original's headers stand for: aliases of elementary types, and ids of function tables. */

/** SAFplus common types, section 2.1; handles are 64 bits. */
export const KNOWN_TYPES: ReadonlyMap<string, string> = new Map([
  ['ClBoolT', 'ClUint16T'],
  ['ClTimeT', 'ClInt64T'],
  ['ClNanoSecT', 'ClInt64T'],
  ['ClSizeT', 'ClUint64T'],
  ['ClRcT', 'ClUint32T'],
  ['ClAddrT', 'ClUint64T'],
  ['ClEoIdT', 'ClUint64T'],
  ['ClInvocationT', 'ClUint64T'],
  ['ClIocPortT', 'ClUint32T'],
  ['ClIocNodeAddressT', 'ClUint32T'],
  ['ClIocAddressIDLT', 'ClUint64T'],
  ['ClIocLogicalAddressT', 'ClUint64T'],
  ['ClIocMulticastAddressT', 'ClUint64T'],
  ['ClGmsNodeIdT', 'ClUint32T'],
  ['ClGmsGroupIdT', 'ClUint32T'],
  ['ClCntHandleT', 'ClHandleT'],
  ['ClEventChannelHandleT', 'ClHandleT'],
  ['ClEventHandleT', 'ClHandleT'],
  ['ClEventInitHandleT', 'ClHandleT'],
  ['ClEventSubscriptionIdT', 'ClUint32T'],
  ['ClLogHandleT', 'ClHandleT'],
  ['ClLogStreamHandleT', 'ClHandleT'],
  ['ClTxnTransactionHandleT', 'ClHandleT'],
  ['ClTxnJobHandleT', 'ClHandleT'],
])

/** Client tables of the platform, by a word of their constants. SAFplus EO, section 3.7. */
const TABLES: readonly (readonly [RegExp, number])[] = [
  [/NATIVE/, 0],
  [/DEFAULT_SERVICE/, 1],
  [/EO_MGR|EO_MANAGER/, 2],
  [/COR_/, 3],
  [/EVENT|EVT/, 4],
  [/CPM_MGMT/, 16],
  [/CPM/, 5],
  [/ALARM/, 6],
  [/DEBUG/, 7],
  [/TXN/, 8],
  [/GMS/, 9],
  [/AMS_MGMT_CLIENT/, 11],
  [/AMS_ENTITY/, 15],
  [/AMS/, 10],
  [/LOG/, 12],
  [/CKPT/, 13],
  [/RMD/, 14],
  [/MSG_CLIENT_SERVER/, 18],
  [/MSG/, 17],
]
const CLIENT_ID_MAX = 0x3ff_ffff

/** A number, or a constant such as `CL_LOG_CLIENT_TABLE_ID`; null when it is neither. */
export function clientIdOf(text: string): number | null {
  const trimmed = text.trim()
  if (/^(0x[0-9a-f]+|\d+)$/i.test(trimmed)) {
    const id = Number(trimmed)
    return id <= CLIENT_ID_MAX ? id : null
  }
  if (!/^CL_[A-Z0-9_]+_ID$/.test(trimmed)) return null
  return TABLES.find(([pattern]) => pattern.test(trimmed))?.[1] ?? null
}

/** A number as C writes it, decimal or hexadecimal; null for anything else. */
export function enumValueOf(text: string): number | null {
  const match = /^([+-]?)(0x[0-9a-f]{1,8}|\d{1,10})[ul]*$/i.exec(text.trim())
  if (match === null) return null
  const value = Number(match[2])
  return match[1] === '-' && value !== 0 ? -value : value
}

/** `5.1.0` is `B.5.1`: releases are letters here, and the third number never decided anything. */
export function versionOf(text: string): string | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text.trim())
  return match === null ? null : `B.${Number(match[1])}.${Number(match[2])}`
}
