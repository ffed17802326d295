import {
  SdkError,
  SERVICE_ID_MAX,
  USER_CLIENT_ID_MIN,
  type Interface,
  type Method,
} from '../../idl/index.ts'

/** A function as tables keep it: its types were checked where it was installed. */
export type AnyFunction = (input: unknown, call: unknown) => unknown

/** Where and under which role the functions of a table run. */
export type Placement =
  /** A platform table: runs on arrival, on the receive path, in every role and state. */
  | { readonly kind: 'platform' }
  /** On the EO's own thread. */
  | { readonly kind: 'eo'; readonly csi: CsiBinding }
  /** On worker threads, by the functions that the module exports. */
  | { readonly kind: 'worker'; readonly csi: CsiBinding; readonly module: string }

/** A CSI by name; `any`: whatever the component holds; `none`: the functions answer in every role. */
export type CsiBinding =
  | { readonly kind: 'csi'; readonly csi: string }
  | { readonly kind: 'any' }
  | { readonly kind: 'none' }

/** One installed function. */
export interface Service {
  readonly face: Interface
  readonly method: Method
  readonly placement: Placement
  /** Null when the placement is a worker. */
  readonly run: AnyFunction | null
}

interface Table {
  readonly face: Interface
  /** By service id, 0 to 63. */
  readonly services: readonly (Service | undefined)[]
}

/** Client ids have 26 bits. SAFplus EO, section 3.7. */
const CLIENT_ID_MAX = 2 ** 26 - 1

/** The client table of an EO: function tables of up to 64 functions by client id. */
export class ClientTable {
  readonly #tables = new Map<number, Table>()
  readonly #userTableCountMax: number
  #userTableCount = 0

  constructor(userTableCountMax: number) {
    this.#userTableCountMax = userTableCountMax
  }

  /**
   * Installs the functions of an interface.
   * @throws SdkError ALREADY_EXIST when the client id is taken; INVALID_CLIENTID for one outside the user's range;
   * NO_SPACE beyond `userClients`; INVALID_PARAMETER when a method has no function, or a function no method.
   */
  install(
    face: Interface,
    functions: Readonly<Record<string, unknown>> | null,
    placement: Placement,
  ): void {
    const user = placement.kind !== 'platform'
    if (user) this.#checkUserTable(face)
    const present = this.#tables.get(face.clientId)
    if (present !== undefined) {
      throw new SdkError(
        'ALREADY_EXIST',
        `client ${face.clientId} is taken by ${present.face.name}: ${face.name} needs another client id`,
      )
    }
    checkFunctions(face, functions, placement)
    const services: (Service | undefined)[] = Array.from({ length: SERVICE_ID_MAX + 1 })
    for (const [name, method] of Object.entries(face.methods)) {
      const run = (functions?.[name] as AnyFunction | undefined) ?? null
      services[method.serviceId] = { face, method, placement, run }
    }
    this.#tables.set(face.clientId, { face, services })
    if (user) this.#userTableCount++
  }

  /** @throws SdkError NOT_EXIST when the interface is not installed. */
  uninstall(face: Interface): void {
    if (this.#tables.get(face.clientId)?.face.name !== face.name) {
      throw new SdkError('NOT_EXIST', `${face.name} (client ${face.clientId}) is not installed`)
    }
    this.#tables.delete(face.clientId)
    this.#userTableCount--
  }

  /** The function behind a number, or the error that its caller gets. */
  lookup(functionNumber: number): Service | SdkError {
    const clientId = Math.floor(functionNumber / (SERVICE_ID_MAX + 1))
    const serviceId = functionNumber % (SERVICE_ID_MAX + 1)
    const table = this.#tables.get(clientId)
    if (table === undefined) {
      return new SdkError('INVALID_CLIENTID', `no table of client ${clientId} is installed here`, {
        mayHaveRun: false,
      })
    }
    return (
      table.services[serviceId] ??
      new SdkError(
        'FUNC_NOT_REGISTERED',
        `${table.face.name} ${table.face.version} has no function ${clientId}.${serviceId}`,
        { mayHaveRun: false },
      )
    )
  }

  /** Every installed function that is not the platform's, and the platform's when asked for. */
  services(withPlatform: boolean): Service[] {
    return [...this.#tables.values()]
      .flatMap((table) => table.services)
      .filter(
        (service): service is Service =>
          service !== undefined && (withPlatform || service.placement.kind !== 'platform'),
      )
  }

  #checkUserTable(face: Interface): void {
    const { clientId, name } = face
    if (clientId !== 0 && (clientId < USER_CLIENT_ID_MIN || clientId > CLIENT_ID_MAX)) {
      throw new SdkError(
        'INVALID_CLIENTID',
        `${name}: client id ${clientId} belongs to the platform: choose 0 or ${USER_CLIENT_ID_MIN} and above`,
      )
    }
    if (this.#userTableCount >= this.#userTableCountMax) {
      throw new SdkError(
        'NO_SPACE',
        `${name}: ${this.#userTableCountMax} tables are installed already: raise clEoConfig.userClients`,
      )
    }
  }
}

function checkFunctions(
  face: Interface,
  functions: Readonly<Record<string, unknown>> | null,
  placement: Placement,
): void {
  if (placement.kind === 'worker') {
    if (functions === null) return
    throw new SdkError(
      'INVALID_PARAMETER',
      `${face.name}: functions must be null when a worker module is given: it exports them`,
    )
  }
  for (const name of Object.keys(face.methods)) {
    if (typeof functions?.[name] === 'function') continue
    throw new SdkError('INVALID_PARAMETER', `${face.name}.${name}: no function is given for it`)
  }
  for (const name of Object.keys(functions ?? {})) {
    if (name in face.methods) continue
    throw new SdkError('INVALID_PARAMETER', `${face.name} has no method ${name}`)
  }
}
