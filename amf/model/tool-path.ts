import { fileURLToPath } from 'node:url'

/** The `holdfast` program as it is built: what node processes, supervisors and components are started with. */
export function toolPath(): string {
  return fileURLToPath(import.meta.resolve('#dist/amf/cli/main.js'))
}
