import { constants, type X509Certificate } from 'node:crypto'
import type * as Tls from 'node:tls'
import type { SecureContext, TLSSocket, TlsOptions } from 'node:tls'
import { invalidParameter } from '../errors.ts'
import type { RefusalReason } from './transport.ts'

/** Keys of one node, PEM. Both ends of every connection show a certificate. */
export interface TcpTls {
  /** The authorities that sign this cluster's certificates: nobody else is believed. */
  readonly ca: string | Uint8Array
  /** This node's certificate. It names the node as a subject alternative name `DNS:node-2` for node 2. */
  readonly cert: string | Uint8Array
  readonly key: string | Uint8Array
}

/** Loaded with the first key: it takes 2 MiB of every process, and most have no use for it. */
export const nodeTls = (): typeof Tls => process.getBuiltinModule('node:tls')

/** The name under which a certificate knows a node. Exact: no wildcard, no common name. */
export const certificateName = (node: number): string => `node-${node}`

/** What both sides of a connection are made with: TLS 1.3 only, and no tickets that outlive a certificate. */
export function tlsBasis(tls: TcpTls): { readonly secureContext: SecureContext } & TlsOptions {
  const { ca, cert, key } = tls
  const pems = { ca: pem('ca', ca), cert: pem('cert', cert), key: pem('key', key) }
  const options = { minVersion: 'TLSv1.3', secureOptions: constants.SSL_OP_NO_TICKET } as const
  try {
    return {
      ...pems,
      ...options,
      secureContext: nodeTls().createSecureContext({ ...pems, ...options }),
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw invalidParameter(`tls: ca, cert and key are no matching PEM texts (${why})`, { cause })
  }
}

/** Without this check a key that was forgotten would be an error of Node.js's own, or be none. */
function pem(name: keyof TcpTls, text: string | Uint8Array): string | Buffer {
  if (typeof text === 'string' && text !== '') return text
  if (text instanceof Uint8Array) return Buffer.from(text)
  throw invalidParameter(`tls.${name} is missing: give a PEM text, or its bytes`)
}

/** Whether a certificate names a node. */
export const namesNode = (certificate: X509Certificate, node: number): boolean =>
  certificate.checkHost(certificateName(node), { subject: 'never', wildcards: false }) !== undefined

/** What the peer proved, for a link: 0, a program that listens nowhere, needs a certificate and no name. */
export function voucher(socket: TLSSocket): (node: number) => boolean {
  const certificate = socket.getPeerX509Certificate()
  return (node) => certificate !== undefined && (node === 0 || namesNode(certificate, node))
}

/** Why a client that finished its handshake is not believed; null when it is. */
export function refusalOf(socket: TLSSocket): RefusalReason | null {
  if (socket.getPeerX509Certificate() === undefined) return 'noCertificate'
  if (socket.authorized) return null
  const error: unknown = socket.authorizationError
  return reasonOf(error instanceof Error ? (error as NodeJS.ErrnoException).code : String(error))
}

/** The word for an error code of Node.js's TLS. */
export function reasonOf(code: string | undefined): RefusalReason {
  return REASONS[code ?? ''] ?? 'handshakeFailed'
}

/** Code of the error with which a dialing side ends a connection to a server of another node. */
export const WRONG_NODE = 'HOLDFAST_WRONG_NODE'

const REASONS: Readonly<Record<string, RefusalReason>> = {
  [WRONG_NODE]: 'wrongNode',
  CERT_HAS_EXPIRED: 'expiredCertificate',
  CERT_NOT_YET_VALID: 'expiredCertificate',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'unknownAuthority',
  SELF_SIGNED_CERT_IN_CHAIN: 'unknownAuthority',
  UNABLE_TO_GET_ISSUER_CERT: 'unknownAuthority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unknownAuthority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unknownAuthority',
  CERT_SIGNATURE_FAILURE: 'unknownAuthority',
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: 'noCertificate',
  ERR_SSL_WRONG_VERSION_NUMBER: 'plaintext',
  ERR_SSL_HTTP_REQUEST: 'plaintext',
  ERR_SSL_UNEXPECTED_MESSAGE: 'plaintext',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'plaintext',
  ERR_TLS_HANDSHAKE_TIMEOUT: 'handshakeTimeout',
}
