import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { play, readScenarios } from './scenario.ts'

const directory = fileURLToPath(new URL('.', import.meta.url))
const files = readdirSync(directory).filter((name) => name.endsWith('.txt'))

describe.each(files)('%s', (file) => {
  const path = `${directory}${file}`
  const text = readFileSync(path, 'utf8')
  const scenarios = readScenarios(text)
  const head = text.slice(0, text.indexOf('# '))
  const played = scenarios.map(play)

  it.each(scenarios.map(({ title }, at) => [title, at] as const))('%s', (_, at) => {
    expect(played[at]?.failures).toEqual([])
  })

  it('does what the file says, command by command', async () => {
    const now = `${head}${played.map((each) => each.text).join('\n\n')}\n`
    await expect(now).toMatchFileSnapshot(path)
  })
})
