import {
  clDebugPrint,
  clDebugPrintFinalize,
  clDebugPrintInitialize,
  clDebugPromptSet,
  clDebugRegister,
  type ClDebugFuncEntryT,
  type ClDebugPrintHandleT,
  type ClOut,
} from 'holdfast/cl'
import { CL_OK, type ClRcT } from 'holdfast/idl'
import type { DebugRegistration } from 'holdfast/runtime'
import type { AppGlobal } from './comp-a.ts'

const registered: ClOut<DebugRegistration | undefined> = { value: undefined }

/** The component's commands: `holdfast debug compA1 compAShow`. */
export function compADebugRegister(gAppGlobal: AppGlobal): ClRcT {
  const table: readonly ClDebugFuncEntryT[] = [
    {
      fpCallback: (_argc, _argv, ret) => show(gAppGlobal, ret),
      funcName: 'compAShow',
      funcHelp: 'compAShow: HA state, component id and the last number',
    },
  ]
  clDebugPromptSet('COMP_A_CLI')
  return clDebugRegister(table, table.length, registered)
}

function show({ haState, compId, count }: AppGlobal, ret: ClOut<string>): ClRcT {
  const msg: ClOut<ClDebugPrintHandleT | undefined> = { value: undefined }
  const rc = clDebugPrintInitialize(msg)
  if (rc !== CL_OK) return rc
  clDebugPrint(msg.value, `HA state ${haState}\n`)
  clDebugPrint(msg.value, `component id 0x${compId.value.toString(16)}\n`)
  clDebugPrint(msg.value, `last number ${count}\n`)
  return clDebugPrintFinalize(msg, ret)
}
