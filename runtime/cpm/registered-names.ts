import { z } from 'zod'
import type { IocAddress } from '../../ioc/index.ts'

const addressSchema = z.strictObject({ node: z.int(), port: z.int() })

/** News about names that components registered with the name service, in its default global context. */
export const registeredNamesSchema = z.strictObject({
  /** Place in the one order of changes, as one number: `term * 2^32 + sequence`. */
  revision: z.int(),
  /** True: these are all of them, and a name that is missing is registered no more. */
  whole: z.boolean(),
  /** Where calls to the name go; null: it is registered no more. */
  names: z.array(z.strictObject({ name: z.string(), address: addressSchema.nullable() })),
})
export type RegisteredNamesNews = z.infer<typeof registeredNamesSchema>

const GONE_COUNT_MAX = 1_024

interface Known {
  readonly address: IocAddress | null
  readonly revision: number
}

/**
 * Registered names as far as this process was told. A core.
 *
 * I1 News may come from several nodes, one behind the other: what is known of a name is never replaced by something
 * older. So names that went are remembered, the last 1,024 of them.
 */
export class RegisteredNames {
  readonly #known = new Map<string, Known>()
  #revision = 0
  #goneCount = 0

  get(name: string): IocAddress | undefined {
    return this.#known.get(name)?.address ?? undefined
  }

  /** Takes news in and returns the names that stand for something else by it. */
  apply({ revision, whole, names }: RegisteredNamesNews): string[] {
    const changed: string[] = []
    for (const { name, address } of names) {
      if (this.#set(name, { address, revision })) changed.push(name)
    }
    if (whole) {
      const present = new Set(names.map(({ name }) => name))
      for (const [name, { address }] of this.#known) {
        if (address === null || present.has(name)) continue
        if (this.#set(name, { address: null, revision })) changed.push(name)
      }
    }
    this.#revision = Math.max(this.#revision, revision)
    this.#forget()
    return changed
  }

  /** Everything that is registered; undefined when nothing ever was. */
  whole(): RegisteredNamesNews | undefined {
    if (this.#revision === 0) return undefined
    const names = [...this.#known].flatMap(([name, { address }]) =>
      address === null ? [] : [{ name, address }],
    )
    return { revision: this.#revision, whole: true, names }
  }

  #set(name: string, next: Known): boolean {
    const known = this.#known.get(name)
    if (known !== undefined && known.revision > next.revision) return false
    if (known === undefined && next.address === null) return false
    if (known?.address === null) this.#goneCount--
    if (next.address === null) this.#goneCount++
    // The ones that changed last stand last: those that went first are forgotten first.
    this.#known.delete(name)
    this.#known.set(name, next)
    return !isSame(known?.address ?? null, next.address)
  }

  #forget(): void {
    if (this.#goneCount <= GONE_COUNT_MAX) return
    for (const [name, { address }] of this.#known) {
      if (address !== null) continue
      this.#known.delete(name)
      if (--this.#goneCount <= GONE_COUNT_MAX) return
    }
  }
}

function isSame(a: IocAddress | null, b: IocAddress | null): boolean {
  return a?.node === b?.node && a?.port === b?.port
}
