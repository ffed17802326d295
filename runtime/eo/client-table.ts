import {
  SdkError,
  SERVICE_ID_MAX,
  servesVersion,
  USER_CLIENT_ID_MIN,
  versionDistance,
  versionNumber,
  versionText,
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
  /** `method.since` as a number, 0 for none. */
  readonly since: number
  /** What every function of its table finds in its call context. */
  readonly cookie: Cookie
}

/** The client's data of one installed table, the original's first argument of every function. */
export interface Cookie {
  data: unknown
}

interface Table {
  readonly face: Interface
  /** The interface's version as a number. */
  readonly version: number
  /** By service id, 0 to 63. */
  readonly services: readonly (Service | undefined)[]
  readonly cookie: Cookie
}

/** Client ids have 26 bits. SAFplus EO, section 3.7. */
const CLIENT_ID_MAX = 2 ** 26 - 1

/**
 * The client table of an EO: function tables of up to 64 functions by client id, several versions of an interface side
 * by side. One version installed again stacks: the later table answers, and its uninstall restores the earlier.
 * SAFplus EO, section 3.8.
 */
export class ClientTable {
  /** Of one client id, the latest first. */
  readonly #tables = new Map<number, readonly Table[]>()
  readonly #userTableCountMax: number
  #userTableCount = 0

  constructor(userTableCountMax: number) {
    this.#userTableCountMax = userTableCountMax
  }

  /**
   * Installs the functions of one version of an interface.
   * @throws SdkError ALREADY_EXIST when the client id belongs to another interface; INVALID_CLIENTID
   * for one outside the user's range; NO_SPACE beyond `userClients`; INVALID_PARAMETER when a method has no function,
   * or a function no method. With a worker module, the methods without a function are the module's.
   */
  install(
    face: Interface,
    functions: Readonly<Record<string, unknown>> | null,
    placement: Placement,
    data?: unknown,
  ): void {
    const user = placement.kind !== 'platform'
    if (user) this.#checkUserTable(face)
    const present = this.#tables.get(face.clientId) ?? []
    checkFree(face, present)
    checkFunctions(face, functions, placement)
    const cookie: Cookie = { data }
    const services: (Service | undefined)[] = Array.from({ length: SERVICE_ID_MAX + 1 })
    for (const [name, method] of Object.entries(face.methods)) {
      const run = (functions?.[name] as AnyFunction | undefined) ?? null
      const since = versionNumber(method.since ?? '')
      const place = run === null ? placement : onEo(placement)
      services[method.serviceId] = { face, method, placement: place, run, since, cookie }
    }
    const version = versionNumber(face.version)
    this.#tables.set(face.clientId, [{ face, version, services, cookie }, ...present])
    if (user) this.#userTableCount++
  }

  /** Removes the latest table of the interface. @throws SdkError NOT_EXIST when it is not installed. */
  uninstall(face: Interface): void {
    const { clientId } = face
    const latest = this.#latest(face)
    const left = (this.#tables.get(clientId) ?? []).filter((table) => table !== latest)
    if (left.length > 0) this.#tables.set(clientId, left)
    else this.#tables.delete(clientId)
    this.#userTableCount--
  }

  /** The data of the latest table of the interface. @throws SdkError NOT_EXIST when it is not installed. */
  cookie(face: Interface): Cookie {
    return this.#latest(face).cookie
  }

  /** Every installed function of one method, the latest first; those on workers left out. */
  chain(face: Interface, method: string): AnyFunction[] {
    const serviceId = face.methods[method]?.serviceId ?? -1
    return (this.#tables.get(face.clientId) ?? [])
      .filter((table) => isSame(table.face, face))
      .flatMap((table) => table.services[serviceId]?.run ?? [])
  }

  /**
   * The function behind a number in the version that serves `requested` best (0: the highest), or the error that its
   * caller gets.
   */
  lookup(functionNumber: number, requested: number): Service | SdkError {
    const clientId = Math.floor(functionNumber / (SERVICE_ID_MAX + 1))
    const tables = this.#tables.get(clientId)
    if (tables === undefined) {
      return new SdkError('INVALID_CLIENTID', `no table of client ${clientId} is installed here`, {
        mayHaveRun: false,
      })
    }
    const serviceId = functionNumber % (SERVICE_ID_MAX + 1)
    let best: Service | undefined
    let least = Number.POSITIVE_INFINITY
    for (const { version, services } of tables) {
      const service = services[serviceId]
      if (service === undefined || !servesVersion(version, service.since, requested)) continue
      const distance = versionDistance(version, requested)
      if (distance < least) best = service
      least = Math.min(least, distance)
    }
    return best ?? missing(tables, functionNumber, requested)
  }

  /** Every function that answers and is not the platform's, and the platform's when asked for. */
  services(withPlatform: boolean): Service[] {
    return [...this.#tables.values()]
      .flatMap((tables) =>
        tables.filter(({ face }, i) => i === tables.findIndex((one) => isSame(one.face, face))),
      )
      .flatMap((table) => table.services)
      .filter(
        (service): service is Service =>
          service !== undefined && (withPlatform || service.placement.kind !== 'platform'),
      )
  }

  #latest(face: Interface): Table {
    const { clientId, name, version } = face
    const latest = this.#tables.get(clientId)?.find((table) => isSame(table.face, face))
    if (latest !== undefined) return latest
    throw new SdkError('NOT_EXIST', `${name} ${version} (client ${clientId}) is not installed`)
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

/** Where a function runs that is given beside a worker module. */
function onEo(placement: Placement): Placement {
  return placement.kind === 'worker' ? { kind: 'eo', csi: placement.csi } : placement
}

const isSame = (a: Interface, b: Interface): boolean => a.name === b.name && a.version === b.version

function checkFree(face: Interface, present: readonly Table[]): void {
  const { clientId, name } = face
  const other = present.find((table) => table.face.name !== name)
  if (other === undefined) return
  const taken = `client ${clientId} is taken by ${other.face.name} ${other.face.version}`
  throw new SdkError('ALREADY_EXIST', `${taken}: ${name} needs another client id`)
}

/** What the caller is told of a function that no installed version serves. It did not run. */
function missing(tables: readonly Table[], functionNumber: number, requested: number): SdkError {
  const serviceId = functionNumber % (SERVICE_ID_MAX + 1)
  const having = tables.filter((table) => table.services[serviceId] !== undefined)
  const texts = (having.length > 0 ? having : tables).map(({ face, services }) => {
    const since = services[serviceId]?.method.since
    return since == null || since === face.version ? face.version : `${since} to ${face.version}`
  })
  const supported = [...new Set(texts.reverse())]
  const { name } = tables[0]!.face
  const number = `${Math.floor(functionNumber / (SERVICE_ID_MAX + 1))}.${serviceId}`
  const newest = Math.max(...tables.map((table) => table.version))
  if (having.length > 0 || requested > newest) {
    const asked = versionText(requested)
    return new SdkError(
      'VERSION_MISMATCH',
      `${name} has no function ${number} that serves version ${asked}: supported ${supported.join(', ')}`,
      { context: { function: number, requested: asked, supported }, mayHaveRun: false },
    )
  }
  const message = `${name} ${supported.join(', ')} has no function ${number}`
  return new SdkError('FUNC_NOT_REGISTERED', message, { mayHaveRun: false })
}

function checkFunctions(
  face: Interface,
  functions: Readonly<Record<string, unknown>> | null,
  placement: Placement,
): void {
  const isGiven = (name: string): boolean => functions?.[name] !== undefined
  const names = Object.keys(face.methods)
  if (placement.kind === 'worker') {
    const stream = Object.values(face.methods).find(({ name, stream: is }) => is && !isGiven(name))
    if (stream !== undefined) {
      throw new SdkError(
        'NOT_SUPPORTED',
        `${face.name}.${stream.name}: streams run on the EO's own thread: give its function here`,
      )
    }
    if (names.every(isGiven)) {
      throw new SdkError(
        'INVALID_PARAMETER',
        `${face.name}: every method has a function here, none is left for the worker module: ` +
          'leave out those that it exports, or the worker',
      )
    }
  }
  for (const name of names) {
    if (typeof functions?.[name] === 'function') continue
    if (placement.kind === 'worker' && !isGiven(name)) continue
    throw new SdkError('INVALID_PARAMETER', `${face.name}.${name}: no function is given for it`)
  }
  for (const name of Object.keys(functions ?? {})) {
    if (name in face.methods) continue
    throw new SdkError('INVALID_PARAMETER', `${face.name} has no method ${name}`)
  }
}
