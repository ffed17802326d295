import { isSdkError } from 'holdfast/idl'
import { type App, type ClEoConfig, type GroupHandle, ocEv } from 'holdfast/runtime'
import { Journal } from './journal.ts'
import { inWords } from './words.ts'

const LINE_COUNT_MAX = 10_000
const GROUP = 'watchers'

const lines: string[] = []
let forgotten = 0

/** Writes down every event of the cluster: those that the nodes agree on stand in the same order in all journals. */
function watch(app: App): void {
  const handle = ocEv.register()
  if (handle === null) throw ocEv.lastError ?? new Error('not registered')
  const write = ocEv.autoDone((event, _cookie, _size, data) => {
    lines.push(inWords(event, data))
    if (lines.length > LINE_COUNT_MAX) forgotten += lines.splice(0, LINE_COUNT_MAX / 2).length
  })
  for (const eventClass of [1, 2, 3] as const) {
    ocEv.setCallback(handle, ocEv.OC_EV_PRIO_MED, eventClass, write)
  }
  // The application decides when its context is used: here, at once.
  if (ocEv.activate(handle, ocEv.OC_EV_AS_DIRECT) !== ocEv.OC_SUCCESS) {
    app.log.error({ err: ocEv.lastError }, 'no cluster events')
  }
}

/** Joins the group of all watchers; the first one makes it. */
async function join(app: App): Promise<(text: string) => Promise<void>> {
  const groups: GroupHandle = app.group.initialize()
  await groups.groupCreate(GROUP).catch((error: unknown) => {
    if (!isSdkError(error, 'ALREADY_EXIST')) throw error
  })
  const group = (await groups.groupList()).find(({ name }) => name === GROUP)?.group ?? 0
  const member = { group, memberId: app.address.node }
  await groups.groupJoin({ ...member, name: app.component })
  return (text) => groups.sendAll({ ...member, data: Buffer.from(text) })
}

async function initialize(app: App): Promise<void> {
  await app.cpm.initialize({
    csiSet: () => undefined,
    csiRemove: () => undefined,
    terminate: () => undefined,
  })
  watch(app)
  const sendAll = await join(app)
  const functions = {
    read: ({ first }: { first: number }) => ({
      first: Math.max(first, forgotten),
      lines: lines.slice(Math.max(0, first - forgotten)),
    }),
    say: async ({ text }: { text: string }) => {
      await sendAll(text)
      return {}
    },
  }
  // Standby and spare ones answer too.
  app.eo.clientInstall(Journal, functions, { csi: null })
  await app.name.register({ name: app.component })
  await app.cpm.register()
}

export const clEoConfig: ClEoConfig = {
  name: 'watcher',
  threads: 1,
  iocPort: 0,
  threadModel: 'recv',
  initialize,
  finalize: null,
  stateChange: () => undefined,
  healthCheck: (feedback) => {
    feedback.status = 'alive'
  },
}

export const clEoClientLibs = { name: true, gms: true }
