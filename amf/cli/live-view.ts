import type { ClusterView } from '../operator/view.ts'
import type { ClusterWatch, SeenNotification } from '../operator/watch.ts'
import type { CliIo } from './context.ts'
import { problemsOf, renderNotification, renderStatus } from './render.ts'

const CLEAR = '\u001b[H\u001b[2J'
const REDRAW_MS = 200

/** Shows a running cluster until it is stopped: a screen on a terminal, a line a change elsewhere. */
export function showLive(io: CliIo, watch: ClusterWatch, heading: string): { stop(): void } {
  return io.isTerminal ? showScreen(io, watch, heading) : showLines(io, watch)
}

function showScreen(io: CliIo, watch: ClusterWatch, heading: string): { stop(): void } {
  let lastFailover = 'none yet'
  const stopListening = watch.onNotification((one) => {
    if (isTakeover(one)) lastFailover = renderNotification(one)
  })
  const draw = (): void => {
    const view = watch.view
    const body = view === null ? (watch.trouble ?? 'starting') : renderStatus(view.status)
    const trouble = view !== null && watch.trouble !== null ? `\n! ${watch.trouble}` : ''
    io.stdout(
      `${CLEAR}${heading}\n\n${body}${trouble}\n\nlast role change: ${lastFailover}\n\nCtrl-C stops all\n`,
    )
  }
  draw()
  const timer = setInterval(draw, REDRAW_MS)
  return {
    stop: () => {
      clearInterval(timer)
      stopListening()
    },
  }
}

function showLines(io: CliIo, watch: ClusterWatch): { stop(): void } {
  let last = ''
  const stops = [
    watch.onNotification((one) => {
      if (one.kind === 'haState' || one.kind.startsWith('alarm'))
        io.stdout(`${renderNotification(one)}\n`)
    }),
    watch.onView((view) => {
      const text = summaryOf(view)
      if (text !== last) io.stdout(`${text}\n`)
      last = text
    }),
  ]
  return { stop: () => stops.forEach((stop) => stop()) }
}

/** One line: who is active where, and what is wrong. */
function summaryOf(view: ClusterView): string {
  const instances = view.status.serviceInstances.map((si) => {
    const roles = si.assignments.map((a) => `${a.serviceUnit}@${a.node} ${a.haState}`).join(', ')
    return `${si.name} ${si.state} (${roles || 'nobody'})`
  })
  const problems = problemsOf(view.status)
  const verdict = problems.length === 0 ? 'nothing wrong' : problems.join('; ')
  return `${instances.join('; ')}: ${verdict}`
}

function isTakeover(one: SeenNotification): boolean {
  return one.kind === 'haState' && one.to === 'ACTIVE'
}
