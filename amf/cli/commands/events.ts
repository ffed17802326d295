import type { Command } from 'commander'
import { openLink } from '../../operator/link.ts'
import { findRunDir } from '../../operator/run-dir.ts'
import { untilDone } from '../../operator/retry.ts'
import { type ChannelEvent, watchChannel } from '../../operator/channel-watch.ts'
import { watchCluster, type SeenNotification } from '../../operator/watch.ts'
import type { NotificationRecord } from '../../director/interface.ts'
import {
  optionsOf,
  print,
  timeoutMsOf,
  withLink,
  type CliIo,
  type GlobalOptions,
} from '../context.ts'
import { renderNotification } from '../render.ts'

interface EventsOptions extends GlobalOptions {
  readonly follow?: boolean
  readonly channel?: string
}

const HELP = `
Without --follow: what the present director remembers, oldest first. With --follow: that, and everything from
now on, through every change of director, until Ctrl-C. With --json --follow each line is one JSON document.

With --channel: what components publish on that global channel of the event service, retained events first, until
Ctrl-C; through the end of any node, where events that come meanwhile may be missing.

Examples:
  holdfast events
  holdfast events --follow
  holdfast events --channel notices
  holdfast events --json | jq '.notifications[] | select(.kind == "haState")'`

/** `events`: the notifications of the cluster. */
export function addEventsCommand(program: Command, io: CliIo): void {
  program
    .command('events')
    .description('what changed, with causes; --follow for what changes from now on')
    .option('-f, --follow', 'go on until Ctrl-C')
    .option('--channel <name>', 'events of a channel of the event service, until Ctrl-C')
    .addHelpText('after', HELP)
    .action(async (_options: unknown, command: Command) => {
      const options = optionsOf<EventsOptions>(command)
      if (options.channel !== undefined) await channel(io, options, options.channel)
      else await (options.follow === true ? follow(io, options) : list(io, options))
    })
}

async function list(io: CliIo, options: GlobalOptions): Promise<void> {
  const answer = await withLink(io, options, ({ management }) =>
    untilDone((timeoutMs) => management.notifications({ after: 0, waitMs: 0 }, { timeoutMs }), {
      timeoutMs: timeoutMsOf(options),
      what: 'list of events',
      signal: io.signal,
    }),
  )
  const lines = answer.notifications.map((one: NotificationRecord) => renderNotification(one))
  print(io, options, {
    document: answer,
    text: lines.length === 0 ? 'nothing happened since the director started' : lines.join('\n'),
  })
}

async function follow(io: CliIo, options: GlobalOptions): Promise<void> {
  const runDir = findRunDir({ option: options.runDir, env: io.env })
  // The first connection is made here, so that a cluster that is not there is an error and not a silent wait.
  const first = await openLink(runDir, io.signal)
  await first.close()
  const watch = watchCluster((signal) => openLink(runDir, signal))
  watch.onNotification((one: SeenNotification) =>
    io.stdout(`${options.json === true ? JSON.stringify(one) : renderNotification(one)}\n`),
  )
  await new Promise<void>((resolve) => {
    if (io.signal.aborted) resolve()
    else io.signal.addEventListener('abort', () => resolve(), { once: true })
  })
  await watch.stop()
}

async function channel(io: CliIo, options: GlobalOptions, name: string): Promise<void> {
  const runDir = findRunDir({ option: options.runDir, env: io.env })
  const first = await openLink(runDir, io.signal)
  await first.close()
  await watchChannel({
    runDir,
    channel: name,
    signal: io.signal,
    onEvent: (event) =>
      io.stdout(`${options.json === true ? JSON.stringify(event) : renderChannelEvent(event)}\n`),
    onMoved: () => io.stderr('the node is gone; another one goes on, events may be missing\n'),
  })
}

function renderChannelEvent(event: ChannelEvent): string {
  if (event.lost > 0) return `${event.lost} events of ${event.channel} are missing here`
  const { publishTimeMs, publisher, patterns, data } = event
  const time = new Date(publishTimeMs).toISOString().slice(11, 23)
  return [time, publisher === '' ? '-' : publisher, `[${patterns.join(', ')}]`, data].join(' ')
}
