import { parseArgs } from 'node:util'

export interface StartArguments {
  /** null: nobody is killed. */
  readonly killEveryMs: number | null
  /** null: until Ctrl-C. */
  readonly forMs: number | null
  readonly json: boolean
  readonly runDir: string | null
}

export const USAGE = `usage: npm start -- [--kill-every SECONDS] [--for SECONDS] [--json] [--run-dir DIR]

Runs the sequence sample: two nodes, an active and a standby, 64 calls in flight.
  --kill-every S   kill the active one with SIGKILL every S seconds
  --for S          end after S seconds (else Ctrl-C ends it)
  --json           print one JSON document at the end, everything else to standard error
  --run-dir DIR    keep the cluster's data in DIR; else a temporary directory is used and removed`

/** @throws TypeError with what is wrong. */
export function parseStartArguments(words: readonly string[]): StartArguments | 'help' {
  const { values } = parseArgs({
    args: [...words],
    options: {
      'kill-every': { type: 'string' },
      for: { type: 'string' },
      json: { type: 'boolean', default: false },
      'run-dir': { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return 'help'
  return {
    killEveryMs: seconds('--kill-every', values['kill-every']),
    forMs: seconds('--for', values.for),
    json: values.json,
    runDir: values['run-dir'] ?? null,
  }
}

function seconds(name: string, text: string | undefined): number | null {
  if (text === undefined) return null
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0)
    throw new TypeError(`${name} needs a number of seconds above 0, not "${text}"`)
  return value * 1000
}
