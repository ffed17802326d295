import { given, uint32 } from './library.ts'

/** A time-out: seconds and milliseconds, 32 bits each. SAFplus, section 2.3. */
export interface ClTimerTimeOutT {
  readonly tsSec: number
  readonly tsMilliSec: number
}

/** @throws SdkError NULL_POINTER; INVALID_PARAMETER for what are no numbers of 32 bits. @internal */
export function milliseconds(timeOut: ClTimerTimeOutT): number {
  const { tsSec, tsMilliSec } = given('timeOut', timeOut)
  return uint32('tsSec', tsSec) * 1_000 + uint32('tsMilliSec', tsMilliSec)
}
