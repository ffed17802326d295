/** Names of operations without leading underscores: methods begin with a letter. */
export function methodName(operation: string): string {
  return operation.replace(/^_+/, '')
}
