import { isSdkError } from '../../idl/index.ts'
import type { NamedCheckpointHandle } from '../../runtime/index.ts'
import type { CheckpointCreation } from '../../runtime/services/named-checkpoint/client.ts'
import { type Component, ServiceWorld } from './service-world.ts'

export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))
const ATTRIBUTES = { maxSections: 100, retentionDurationMs: Infinity } as const

/** A world with what tests of named checkpoints do again and again; all in virtual time. */
export class CheckpointWorld extends ServiceWorld {
  /** Starts node processes in this order; the first one leads unless somebody does. */
  async start(...ids: readonly number[]): Promise<void> {
    for (const id of ids) {
      await this.steps.wait(this.node(id))
      if (this.leader === 0) this.lead(id)
    }
    await this.steps.pass(500)
  }

  /** SIGKILL of these at once; another one leads then. */
  killNodes(...ids: readonly number[]): void {
    for (const id of ids) this.killNode(id)
    const [heir] = this.nodes.keys()
    if (this.leader === 0 && heir !== undefined) this.lead(heir)
  }

  at(node: number): Promise<Component> {
    return this.steps.wait(this.component(node, `component${node}`))
  }

  open(
    of: Component,
    name = 'c',
    attributes: Partial<CheckpointCreation> = {},
    timeoutMs = 10_000,
  ): Promise<NamedCheckpointHandle> {
    return this.steps.wait(
      of.checkpoint.initialize().open({
        name,
        flags: ['CREATE', 'READ', 'WRITE'],
        attributes: { ...ATTRIBUTES, ...attributes },
        timeoutMs,
      }),
    )
  }

  write(handle: NamedCheckpointHandle, id: string, text: string): Promise<void> {
    return this.steps.wait(put(handle, id, text))
  }

  async contentOf(handle: NamedCheckpointHandle): Promise<Record<string, string>> {
    const content: Record<string, string> = {}
    const all = async (): Promise<void> => {
      for await (const { id } of handle.sections()) {
        const [data] = await handle.read([{ id }])
        content[id] = Buffer.from(data ?? []).toString()
      }
    }
    await this.steps.wait(all())
    return content
  }

  /** What it ends with: its value, or the code and message of its error. */
  async outcome<T>(promise: Promise<T>): Promise<T | string> {
    try {
      return await this.steps.wait(promise)
    } catch (error) {
      if (isSdkError(error)) return `${error.code}: ${error.message}`
      throw error
    }
  }
}

/** Overwrites a section, made when it is missing. */
export async function put(handle: NamedCheckpointHandle, id: string, text: string): Promise<void> {
  try {
    await handle.sectionOverwrite(id, bytes(text))
  } catch (error) {
    if (!isSdkError(error, 'NOT_EXIST')) throw error
    await handle.sectionCreate({ id, data: bytes(text) }).catch((again: unknown) => {
      // Asked for at another active replica meanwhile.
      if (!isSdkError(again, 'ALREADY_EXIST')) throw again
    })
  }
}
