import type { Findings, Place } from './findings.ts'
import { IMM_CLASSES, isMiddleware } from './imm-classes.ts'
import { parseImmName, type ImmName } from './imm-name.ts'
import { SourceObject, type SourceValue } from './source-object.ts'

/** An object as a file spells it, before anything is checked. */
export interface RawObject extends Place {
  readonly className: string
  readonly name: string
  readonly attributes: readonly (SourceValue & { readonly attribute: string })[]
}

/** A class that a file defines: its attributes, with the value of those that have a default. */
export interface ClassDefinition extends Place {
  readonly name: string
  readonly attributes: ReadonlyMap<string, readonly SourceValue[]>
}

export interface ImmObject {
  readonly className: string
  readonly name: ImmName
  readonly source: SourceObject
}

/** All objects of an import that can have a counterpart, by name and by class. */
export class ImmObjects {
  readonly #byName = new Map<string, ImmObject>()
  readonly #byClass = new Map<string, ImmObject[]>()
  readonly #children = new Map<string, ImmObject[]>()

  add(object: ImmObject): void {
    this.#byName.set(object.name.text, object)
    push(this.#byClass, object.className, object)
    push(this.#children, object.name.parent, object)
  }

  get(name: string, className?: string): ImmObject | undefined {
    const found = this.#byName.get(parseImmName(name)?.text ?? name)
    return className === undefined || found?.className === className ? found : undefined
  }

  ofClass(className: string): readonly ImmObject[] {
    return this.#byClass.get(className) ?? []
  }

  children(name: string, className: string): readonly ImmObject[] {
    const found = this.#children.get(name) ?? []
    return found.filter((child) => child.className === className)
  }

  all(): readonly ImmObject[] {
    return [...this.#byName.values()]
  }
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key)
  if (list) list.push(value)
  else map.set(key, [value])
}

/**
 * Checks objects against each other: names, duplicates, classes, parents. Objects of classes without counterpart and
 * those of the middleware itself are noted and left out.
 */
export function collectImmObjects(
  raw: readonly RawObject[],
  classes: readonly ClassDefinition[],
  findings: Findings,
): ImmObjects {
  const definitions = mergeClasses(classes, findings)
  const objects = new ImmObjects()
  const firsts = new Map<string, RawObject>()
  for (const each of raw) {
    const label = `${each.className} ${each.name}`
    const definition = definitions.get(each.className)
    const context = { findings, ...(definition && { defaults: definition.attributes }) }
    const source = new SourceObject(label, each, context)
    for (const { attribute, text, line } of each.attributes) {
      source.put(attribute, { text, line })
      if (definition && !definition.attributes.has(attribute)) {
        const where = `${definition.file}:${String(definition.line)}`
        source.error(attribute, `is no attribute of ${each.className} as defined in ${where}`)
      }
    }
    const name = parseImmName(each.name)
    if (!name) {
      source.error(null, `"${each.name}" is no distinguished name; write type=value,type=value`)
      continue
    }
    if (isMiddleware(name.text) && each.className !== 'SaAmfCompGlobalAttributes') {
      source.note(null, 'part of the middleware, whose place Holdfast takes; left out')
      continue
    }
    const first = firsts.get(name.text)
    if (first) {
      source.error(null, `is there twice: first in ${first.file}:${String(first.line)}`)
      continue
    }
    firsts.set(name.text, each)
    if (isCounted(each.className, name, source)) {
      objects.add({ className: each.className, name, source })
    }
  }
  for (const object of objects.all()) checkParent(object, firsts)
  return objects
}

function isCounted(className: string, name: ImmName, source: SourceObject): boolean {
  const known = IMM_CLASSES[className]
  if (!known) {
    source.note(null, 'no object of this class has a counterpart; left out')
    return false
  }
  if (name.type !== known.rdn) {
    source.error(null, `a ${className} is named ${known.rdn}=..., not ${name.type}=...`)
  }
  return true
}

function checkParent(
  { className, name, source }: ImmObject,
  objects: ReadonlyMap<string, RawObject>,
): void {
  const known = IMM_CLASSES[className]
  if (!known) return
  const parent = objects.get(name.parent)
  if (known.parent === null) {
    if (name.parent !== '') source.error(null, `a ${className} has no parent, not ${name.parent}`)
  } else if (name.parent === '') {
    source.error(null, `has no parent; a ${className} belongs to a ${known.parent}`)
  } else if (!parent) {
    const type = IMM_CLASSES[known.parent]?.rdn ?? ''
    if (!name.parent.startsWith(`${type}=`)) {
      source.error(null, `its parent ${name.parent} is no ${known.parent}`)
    } else if (known.orphan === 'note') {
      source.note(null, `its parent ${name.parent} is in none of the files; left out`)
    } else if (known.orphan === 'error') {
      source.error(null, `its parent ${name.parent} is in none of the files`)
    }
  } else if (parent.className !== known.parent) {
    const is = `${name.parent} is a ${parent.className}`
    source.error(null, `${is}; the parent of a ${className} is a ${known.parent}`)
  }
}

function mergeClasses(
  classes: readonly ClassDefinition[],
  findings: Findings,
): ReadonlyMap<string, ClassDefinition> {
  const merged = new Map<string, ClassDefinition>()
  for (const definition of classes) {
    const other = merged.get(definition.name)
    if (!other) merged.set(definition.name, definition)
    else {
      const where = `${other.file}:${String(other.line)}`
      findings.fileError(definition, `class ${definition.name} is defined twice: first in ${where}`)
    }
  }
  return merged
}
