import { parseArgs } from 'node:util'
import { fuzz, GROWTH_MIB_MAX } from './fuzz.ts'

/** `npx tsx test/fuzz/main.ts --frames 10000000 --seed 7`: prints the report as JSON, ends with 1 when memory grew. */
const { values } = parseArgs({
  options: {
    frames: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: `${Date.now() & 0x7fff_ffff}` },
  },
})
const report = await fuzz(Number(values.seed), Number(values.frames))
console.log(JSON.stringify(report, null, 2))
const [early, end] = report.memoryMb
if (end - early > GROWTH_MIB_MAX) {
  console.error(`memory grew from ${early} to ${end} MB`)
  process.exitCode = 1
}
