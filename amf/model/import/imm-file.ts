import type { ClassDefinition, RawObject } from './imm-objects.ts'
import type { Findings } from './findings.ts'
import type { XmlElement } from '../../../idl/internal.ts'

/** Reads the objects and class definitions of an IMM file (root `IMM-contents`). */
export function readImmFile(
  root: XmlElement,
  file: string,
  findings: Findings,
): { objects: RawObject[]; classes: ClassDefinition[] } {
  const objects: RawObject[] = []
  const classes: ClassDefinition[] = []
  for (const element of root.children) {
    const place = { file, line: element.line }
    if (element.name === 'object') {
      const className = element.attributes.get('class') ?? ''
      const [name, second] = element.children.filter((child) => child.name === 'dn')
      if (className === '') findings.fileError(place, '<object> has no class; give class="..."')
      else if (!name || second) {
        findings.fileError(place, `<object class="${className}"> needs one <dn>`)
      } else objects.push(objectOf(element, { className, name: name.text, ...place }, findings))
    } else if (element.name === 'class') {
      const name = element.attributes.get('name') ?? ''
      if (name === '') findings.fileError(place, '<class> has no name; give name="..."')
      else classes.push({ ...place, name, attributes: definedAttributes(element) })
    } else findings.fileError(place, `<${element.name}> is neither <object> nor <class>`)
  }
  return { objects, classes }
}

function objectOf(
  element: XmlElement,
  head: Omit<RawObject, 'attributes'>,
  findings: Findings,
): RawObject {
  const attributes = element.children.flatMap((child) => {
    const place = { file: head.file, line: child.line }
    if (child.name === 'dn') return []
    const names = child.children.filter(({ name }) => name === 'name')
    const attribute = names[0]?.text ?? ''
    const others = child.children.filter(({ name }) => name !== 'name' && name !== 'value')
    if (child.name !== 'attr' || attribute === '' || names.length > 1 || others.length > 0) {
      const wants = 'an <attr> has one <name> and any number of <value>'
      findings.fileError(place, `<${child.name}> in ${head.name} cannot be read: ${wants}`)
      return []
    }
    return child.children
      .filter(({ name }) => name === 'value')
      .map(({ text, line }) => ({ attribute, text, line }))
  })
  return { ...head, attributes }
}

function definedAttributes(element: XmlElement): ClassDefinition['attributes'] {
  const own = element.children.filter(({ name }) => name === 'attr' || name === 'rdn')
  return new Map(
    own.map((attribute) => [
      attribute.children.find(({ name }) => name === 'name')?.text ?? '',
      attribute.children
        .filter(({ name }) => name === 'default-value')
        .map(({ text, line }) => ({ text, line })),
    ]),
  )
}
