import { setTimeout as delay } from 'node:timers/promises'
import { launchProcess } from '../../../amf/node/process-launcher.ts'

/** Launches children and waits to be killed. Arguments: marker of the test (also the run directory), mode. */
const [marker = '', mode = ''] = process.argv.slice(2)
const env = {
  PATH: '/usr/bin:/bin',
  HF_TEST: marker,
  HOLDFAST_RUN_DIR: marker,
  HOLDFAST_NODE: 'n1',
}
const start = (argv: string[]): number => launchProcess({ argv, env, logFile: null }).pid

if (mode === 'one') process.stdout.write(`${start(['sleep', '60'])}\n`)
if (mode === 'daemon') {
  const script = "setsid sh -c 'echo $$ >&2; exec sleep 60' & wait"
  const one = launchProcess({ argv: ['sh', '-c', script], env, logFile: null })
  while (!one.stderrTail().includes('\n')) await delay(5)
  process.stdout.write(one.stderrTail())
}
if (mode === 'many') {
  process.stdout.write('\n')
  for (let turn = 0; turn < 120; turn++) {
    start(['sleep', '60'])
    if (turn % 3 === 0) await delay(0)
  }
}
await delay(60_000)
