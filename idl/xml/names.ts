/** Names of operations and ports without leading underscores: methods and interfaces begin with a letter. */
export function methodName(operation: string): string {
  return operation.replace(/^_+/, '')
}

/** What a module imports beside the elementary types. */
export const MODULE_IMPORTS: readonly string[] = ['clBytes', 'defineInterface', 'z']

/** Words that C lets programs use as names, and a TypeScript module does not. */
const RESERVED: ReadonlySet<string> = new Set(
  [
    'any arguments await bigint boolean break case catch class const continue debugger default',
    'delete do else enum eval export exports extends false finally for function globalThis if',
    'implements import in instanceof interface let never new null number object package private',
    'protected public require return static string super switch symbol this throw true try typeof',
    'undefined unknown var void while with yield',
    ...MODULE_IMPORTS,
  ].flatMap((line) => line.split(' ')),
)

/** Under which name a module exports a type or a port: reserved words get an underscore behind them. */
export function exportName(name: string): string {
  return RESERVED.has(name) ? `${name}_` : name
}
