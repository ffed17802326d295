import { parseArgs } from 'node:util'
import {
  connect,
  ocEv,
  type OcEvCallback,
  type OcEvClass,
  type OcEvFd,
  type OcEvHandle,
} from 'holdfast/runtime'
import { inWords } from './words.ts'

const USAGE =
  'node dist/samples/ocf-events/program.js --run-dir DIR [--style noreturn|get-fd|signal]'

/** Set by the last event there is: the service of the node ends. */
let isOver = false
/** Set by the signal handler, and nothing else is done there. */
let gotSignal = false
let wake = (): void => undefined

/** Handler of connectivity, and of groups. */
const onEvent: OcEvCallback = (event, cookie, _size, data) => {
  print(inWords(event, data))
  // All done with this event: the next one may come.
  ocEv.callbackDone(cookie)
}

/** Handler of membership. */
const onMembership: OcEvCallback<2> = (event, cookie, _size, data) => {
  switch (event) {
    case ocEv.OC_EV_MS_EVICTED:
    case ocEv.OC_EV_MS_SERVICE_SHUTDOWN:
      isOver = true
      break
    case ocEv.OC_EV_MS_NOT_PRIMARY:
      print('stopping what depends on the members')
      break
  }
  print(inWords(event, data))
  ocEv.callbackDone(cookie)
}

/** The example program of the OCF draft (section 5): the three ways to get events, one at a time. */
async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { 'run-dir': { type: 'string' }, style: { type: 'string', default: 'noreturn' } },
  })
  const run = STYLES[values.style]
  if (values['run-dir'] === undefined || run === undefined) {
    process.stderr.write(`${USAGE}\n`)
    return 2
  }
  const connection = await connect({ runDir: values['run-dir'] })
  // Register for event notification. A component would give no connection.
  const handle = ocEv.register(connection)
  if (handle === null) throw ocEv.lastError ?? new Error('not registered')

  // A band of priority for each class.
  set(handle, ocEv.OC_EV_PRIO_LOW, ocEv.OC_EV_COMM_CLASS, onEvent)
  set(handle, ocEv.OC_EV_PRIO_MED, ocEv.OC_EV_MEMB_CLASS, onMembership)
  set(handle, ocEv.OC_EV_PRIO_HIGH, ocEv.OC_EV_GROUP_CLASS, onEvent)

  await run(handle)
  await connection.close()
  print('over')
  return 0
}

const STYLES: Readonly<Record<string, (handle: OcEvHandle) => Promise<void>>> = {
  /** Gives the control to the event system, for good. */
  noreturn: async (handle) => {
    check(ocEv.activate(handle, ocEv.OC_EV_AS_NORETURN))
    await ocEv.handleEvent(handle)
  },

  /** Waits for what stands for the file descriptor, among whatever else there is to wait for. */
  'get-fd': async (handle) => {
    const place: OcEvFd = { fd: null }
    check(ocEv.activate(handle, ocEv.OC_EV_AS_GET_FD, place))
    // Ends when the service does. Callbacks are called from within handleEvent, nowhere else.
    for await (const _ of place.fd ?? []) void ocEv.handleEvent(handle)
  },

  /** Has a signal of its choice raised. SIGUSR1, which the draft takes, opens the inspector of Node.js. */
  signal: async (handle) => {
    process.on('SIGUSR2', () => {
      gotSignal = true
      wake()
    })
    check(ocEv.activate(handle, ocEv.OC_EV_AS_SIGNAL, 'SIGUSR2'))
    while (!isOver) {
      if (gotSignal) {
        // Cleared first: what comes while events are handled raises it again.
        gotSignal = false
        void ocEv.handleEvent(handle)
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
  },
}

function set<C extends OcEvClass>(
  handle: OcEvHandle,
  priority: number,
  eventClass: C,
  callback: OcEvCallback<C>,
): void {
  check(ocEv.setCallback(handle, priority, eventClass, callback))
}

function check(code: number): void {
  if (code !== ocEv.OC_SUCCESS) throw ocEv.lastError ?? new Error('failed')
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

main().then(
  (code) => {
    process.exitCode = code
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  },
)
