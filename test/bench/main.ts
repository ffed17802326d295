import { existsSync } from 'node:fs'
import type { Bench, BenchRow } from './bench.ts'

/**
 * `npm run bench [-- NAME...] [--json] [--quick]`: runs benches and prints a table each, or one JSON line a row. Needs
 * `npm run build` first: what is measured runs from `dist/`.
 */
const NAMES = [
  'rmd',
  'workers',
  'control',
  'failover',
  'engine',
  'checkpoint',
  'events',
  'memory',
] as const

const USAGE = 'usage: npm run bench [-- NAME...] [--json] [--quick]'

const fileOf = (name: string): URL => new URL(`./${name}.ts`, import.meta.url)

async function main(args: readonly string[]): Promise<number> {
  const flags = args.filter((arg) => arg.startsWith('--'))
  const asked = args.filter((arg) => !arg.startsWith('--'))
  const known = NAMES.filter((name) => existsSync(fileOf(name)))
  const wrong = [
    ...flags.filter((flag) => flag !== '--json' && flag !== '--quick'),
    ...asked.filter((name) => !known.some((one) => one === name)),
  ]
  if (wrong.length > 0) {
    console.error(`${USAGE}\nunknown: ${wrong.join(' ')}; there are: ${known.join(' ')}`)
    return 2
  }
  for (const name of asked.length > 0 ? asked : known) {
    await run(name, { json: flags.includes('--json'), quick: flags.includes('--quick') })
  }
  return 0
}

async function run(name: string, options: { json: boolean; quick: boolean }): Promise<void> {
  const { bench } = (await import(fileOf(name).href)) as { bench: Bench }
  const rows: BenchRow[] = []
  await bench({
    quick: options.quick,
    report: (row) => {
      rows.push(row)
      if (options.json) console.log(JSON.stringify(row))
    },
    progress: (text) => {
      if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${name}: ${text}`)
    },
  })
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
  if (!options.json) console.log(`${table(rows)}\n`)
}

function table(rows: readonly BenchRow[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const cells = [columns, ...rows.map((row) => columns.map((column) => cell(row[column])))]
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i]!.length)))
  const isNumber = columns.map((column) => rows.some((row) => typeof row[column] === 'number'))
  return cells
    .map((line) =>
      line
        .map((text, i) => (isNumber[i] ? text.padStart(widths[i]!) : text.padEnd(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function cell(value: string | number | undefined): string {
  if (value === undefined) return ''
  if (typeof value === 'string') return value
  return value >= 100 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toFixed(2)))
}

process.exitCode = await main(process.argv.slice(2))
