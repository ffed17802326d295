import { isSdkError } from 'holdfast/idl'
import type { App, ClEoConfig, EventChannel, GroupNotification } from 'holdfast/runtime'
import { Board, type Notice } from './board.ts'

/** How long notices hang: for so long a board that starts gets them from the others. */
const HANGS_MS = 3_600_000
const NAME = { name: 'board', objectReference: 1 } as const
const GROUP = 'boards'

/** What hangs here, by id. Every board has the same: it is made of the events that all of them get. */
const notices = new Map<string, Notice>()
let present: GroupNotification | null = null

/** A board is its events: the ones that were published before it came are retained. */
async function openChannel(app: App): Promise<EventChannel> {
  const handle = app.event.initialize({
    deliver: ({ data, lost }) => {
      if (lost > 0) return app.log.error({ lost }, 'notices are missing here')
      const notice = JSON.parse(Buffer.from(data).toString()) as Notice
      notices.set(notice.id, notice)
    },
  })
  const flags = ['GLOBAL', 'CREATE', 'SUBSCRIBER', 'PUBLISHER'] as const
  const channel = await handle.channelOpen({ name: 'notices', flags })
  await channel.subscribe({ subscriptionId: 1 })
  return channel
}

/** Joins the other boards, and hears who comes and goes. */
async function joinBoards(app: App, changed: (view: GroupNotification) => void): Promise<void> {
  const groups = app.group.initialize({ groupTrack: changed })
  const group = await groups.groupCreate(GROUP).catch(async (error: unknown) => {
    if (!isSdkError(error, 'ALREADY_EXIST')) throw error
    return (await groups.groupList()).find(({ name }) => name === GROUP)?.group ?? 0
  })
  await groups.groupTrack({ group, flags: ['CURRENT', 'CHANGES'] })
  await groups.groupJoin({ group, memberId: app.address.node, name: app.component })
}

const namesOf = (view: GroupNotification | null): string[] =>
  (view?.items ?? []).flatMap(({ member, change }) => (change === 'LEFT' ? [] : member.name))

const leaderOf = (view: GroupNotification | null): string | null =>
  view?.items.find(({ member }) => member.memberId === view.leader)?.member.name ?? null

const initialize = async (app: App): Promise<void> => {
  const minutes = await app.log.streamOpen({
    name: 'minutes',
    scope: 'GLOBAL',
    attributes: { fileLocation: '*:board' },
    create: true,
  })
  await app.cpm.initialize({
    csiSet: async (haState) => {
      minutes.log.info({ haState }, 'role')
      // Visitors call the name: the active board has it before the others, and the next one when it is gone.
      await app.name.serviceDeregister(NAME).catch((error: unknown) => {
        if (!isSdkError(error, 'SERVICE_NOT_REGISTERED')) throw error
      })
      await app.name.register({ ...NAME, priority: haState === 'ACTIVE' ? 'HIGH' : 'LOW' })
    },
    csiRemove: () => app.name.serviceDeregister(NAME),
    terminate: () => undefined,
  })
  const channel = await openChannel(app)
  const publish = (notice: Notice): Promise<bigint> =>
    channel.publish({
      publisherName: app.component,
      patterns: [notice.author],
      retentionMs: HANGS_MS,
      data: Buffer.from(JSON.stringify(notice)),
    })
  await joinBoards(app, (view) => {
    present = view
    // One voice for all: the leader's.
    if (leaderOf(view) !== app.component) return
    const text = `present: ${namesOf(view).toSorted().join(', ')}`
    const notice = { id: `view ${view.viewNumber}`, author: 'the boards', text }
    void publish(notice).catch((err: unknown) => minutes.log.warn({ err }, 'nobody was told'))
  })
  app.eo.clientInstall(
    Board,
    {
      post: async (notice) => {
        await publish(notice)
        minutes.log.info({ id: notice.id, author: notice.author }, 'posted')
        return { board: app.component }
      },
      read: () => ({
        board: app.component,
        notices: [...notices.values()],
        present: namesOf(present).toSorted(),
        leader: leaderOf(present),
      }),
    },
    { csi: null },
  )
  await app.name.register({ name: app.component })
  await app.cpm.register()
}

export const clEoConfig: ClEoConfig = { name: 'board', initialize }
export const clEoClientLibs = { event: true, name: true, gms: true, log: true }
