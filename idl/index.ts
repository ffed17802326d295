export { decodeValue, encodeValue, makeMethodCodec, makeShapeCodec } from './codec.ts'
export type { ValueCodec } from './codec.ts'
export type { SdkErrorKind, SdkErrorRow } from './error-row.ts'
export { errorRow, ERRORS, rcOfCode } from './errors.ts'
export type { SdkErrorCode } from './errors.ts'
export { defineInterface, SERVICE_ID_MAX, USER_CLIENT_ID_MIN } from './interface.ts'
export type {
  ClientOf,
  HandlersOf,
  Interface,
  InterfaceSpec,
  Method,
  MethodSpec,
  MethodSpecs,
  OneWayClientOf,
} from './interface.ts'
export { valueFromJson, valueToJson } from './json.ts'
export {
  CL_CID,
  CL_ERR,
  CL_OK,
  CL_PRIVATE_ERR,
  rcComponent,
  rcError,
  rcOf,
  rcText,
} from './return-code.ts'
export type { ClCommonError, ClComponentName, ClRcT } from './return-code.ts'
export { VALUE_COUNT_MAX, VALUE_DEPTH_MAX } from './scan.ts'
export { isSdkError, SdkError } from './sdk-error.ts'
export type { SdkErrorOptions } from './sdk-error.ts'
export { shapeSchema } from './shape-schema.ts'
export type { LiteralValue, MemberShape, Shape } from './shape.ts'
export {
  CL_TYPES,
  clBytes,
  ClCharT,
  ClDataVectorT,
  ClDifferenceVectorT,
  ClHandleT,
  ClInt16T,
  ClInt32T,
  ClInt64T,
  ClInt8T,
  ClMD5T,
  ClNameT,
  ClStringT,
  ClUint16T,
  ClUint32T,
  ClUint64T,
  ClUint8T,
  ClVersionT,
  ClWordT,
} from './types.ts'
export { servesVersion, versionDistance, versionNumber, versionText } from './version.ts'
export { decodeWireError, encodeWireError, fromWireError, toWireError } from './wire-error.ts'
export type { WireError } from './wire-error.ts'
