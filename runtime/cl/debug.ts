import { type ClRcT, SdkError } from '../../idl/index.ts'
import type { DebugRegistration } from '../services/debug/client.ts'
import { ClLibrary, given, handle } from './library.ts'
import { boundApp, type ClOut } from './process.ts'

/** One row of a debug table. SAFplus, section 19. */
export interface ClDebugFuncEntryT {
  /** `argv[0]` is the command's name; what stands in `ret` afterwards is shown, with any code. */
  readonly fpCallback: (
    argc: number,
    argv: readonly string[],
    ret: ClOut<string>,
  ) => ClRcT | Promise<ClRcT>
  readonly funcName: string
  readonly funcHelp: string
}

const LIBRARY = new ClLibrary('DEBUG')
/** The prompt of the next registration. */
let prompt: string | undefined

/** What the component calls itself in front of a command line: counts from the next `clDebugRegister` on. */
export function clDebugPromptSet(text: string): ClRcT {
  return LIBRARY.run(() => {
    prompt = given('prompt', text)
  })
}

/** `app.debug.register`. */
export function clDebugRegister(
  funcArray: readonly ClDebugFuncEntryT[],
  funcArrayLen: number,
  out: ClOut<DebugRegistration | undefined>,
): ClRcT {
  return LIBRARY.get(out, () => {
    const app = boundApp()
    if (app === undefined) throw new SdkError('INVALID_STATE', 'no EO is bound to this thread')
    const rows = given('funcArray', funcArray).slice(0, funcArrayLen)
    const commands = rows.map(({ fpCallback, funcName, funcHelp }) => ({
      name: funcName,
      help: funcHelp,
      run: async (args: readonly string[]) => {
        const ret = { value: '' }
        const argv = [funcName, ...args]
        const rc = await fpCallback(argv.length, argv, ret)
        return { rc, text: ret.value }
      },
    }))
    return app.debug.register(commands, prompt)
  })
}

/** Removes what one `clDebugRegister` added. */
export function clDebugDeregister(registration: DebugRegistration | undefined): ClRcT {
  return LIBRARY.run(() => {
    handle(registration).deregister()
  })
}

/** Where a command collects what it prints. */
export interface ClDebugPrintHandleT {
  text: string
}

/** Begins an output. */
export function clDebugPrintInitialize(out: ClOut<ClDebugPrintHandleT | undefined>): ClRcT {
  return LIBRARY.get(out, () => ({ text: '' }))
}

/** Adds text to an output. */
export function clDebugPrint(msg: ClDebugPrintHandleT | undefined, text: string): ClRcT {
  return LIBRARY.run(() => {
    handle(msg).text += text
  })
}

/** Gives the output to the command's `ret`, and ends it. */
export function clDebugPrintFinalize(
  msg: ClOut<ClDebugPrintHandleT | undefined>,
  ret: ClOut<string>,
): ClRcT {
  return LIBRARY.run(() => {
    given('ret', ret).value = handle(msg.value).text
    msg.value = undefined
  })
}
