import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { schemaReference, schemaReferenceTable } from '../../../amf/model/reference.ts'

it('knows every key of the schema', () => {
  const paths = schemaReference().map(({ path }) => path)
  expect(paths).toContain('serviceGroups.NAME.serviceInstances.NAME.csis.NAME.attributes')
  expect(paths).toContain('componentTypes.NAME.healthCheck.periodMs')
  expect(paths).toContain('serviceGroups.NAME.serviceInstances.NAME.dependsOn[].toleranceMs')
})

it('is what the README prints', () => {
  const readme = readFileSync(new URL('../../../amf/model/README.md', import.meta.url), 'utf8')
  // Prettier pads the columns: cells are compared.
  const cells = (text: string): string[] =>
    text
      .split('\n')
      .filter((line) => line.startsWith('|'))
      .map((line) => line.replace(/ +\|/g, ' |').replace(/\|[-| ]+$/, '|'))
  const printed = cells(readme)
  for (const row of cells(schemaReferenceTable()).slice(2)) expect(printed).toContain(row)
})
