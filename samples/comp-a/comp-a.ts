import { defineInterface } from 'holdfast/idl'
import type { ClCkptHdlT, ClCkptSvcHdlT, ClCpmHandleT, ClOsalMutexIdT, ClOut } from 'holdfast/cl'
import { z } from 'zod'
import { COMP_EO_USER_CLIENT_ID } from './comp-app-config.ts'

/** The original's `clCompA.h`: names, messages of its log, and the state of the application. */
export const COMP_A_SERVICE_NAME = 'CompA_Service'
export const COMP_A_CSI = 'compACSI'
export const CKPT_NAME = 'CompA_Ckpt'

export const CL_COMPA_LOG_0_INIT_ENTER = 'initialization begins'
export const CL_COMPA_LOG_0_INIT_DONE = 'initialization is done'
export const CL_COMPA_LOG_0_NAME_REGISTERED = 'the name is registered'
export const CL_COMPA_LOG_1_MUTEX_CREATE_FAILED = 'mutex: [0x%x]'
export const CL_COMPA_LOG_1_NAME_GET_FAILED = 'component name: [0x%x]'
export const CL_COMPA_LOG_1_ID_GET_FAILED = 'component id: [0x%x]'
export const CL_COMPA_LOG_1_NAME_REGISTER_FAILED = 'registration of the name: [0x%x]'
export const CL_COMPA_LOG_1_CKPT_INIT_FAILED = 'checkpoint service: [0x%x]'
export const CL_COMPA_LOG_2_ROLE = 'HA state %d, the last number is %u'

/** `gAppGlobal` of the original. */
export interface AppGlobal {
  readonly version: string
  cpmHandle: ClCpmHandleT | undefined
  /** The last number that was given out. */
  count: number
  readonly mutex: ClOut<ClOsalMutexIdT | undefined>
  readonly compId: ClOut<number>
  readonly nameObjRef: ClOut<number>
  readonly ckptSvcHdl: ClOut<ClCkptSvcHdlT | undefined>
  readonly ckptHdl: ClOut<ClCkptHdlT | undefined>
  haState: number
}

/** What other components call: the original's IDL services. */
export const CompAServices = defineInterface({
  name: 'CompAServices',
  clientId: COMP_EO_USER_CLIENT_ID,
  version: 'B.1.1',
  methods: {
    /** The next number of a sequence that goes on whoever is active. */
    next: { serviceId: 0, input: z.strictObject({}), output: z.strictObject({ number: z.int() }) },
  },
})

/** Prints on the console of the process, which the node keeps in a file. */
export function compADbgPrint(text: string): void {
  process.stdout.write(`${text}\n`)
}
