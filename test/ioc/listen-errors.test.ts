import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  openPort,
  type PortOptions,
  tcpTransport,
  type TcpTransportOptions,
  unixTransport,
} from '../../ioc/index.ts'
import { listenError } from '../../ioc/transport/socket-link.ts'
import { loopbackNodes } from './transports.ts'

const AT = { node: 1, port: 64 }
const error = (code: string): Error => Object.assign(new Error(`listen ${code}`), { code })

describe('what the operating system says about listening', () => {
  it.each([
    ['EADDRINUSE', 'ALREADY_EXIST', /another program already listens at 1:64/],
    ['EACCES', 'OP_NOT_PERMITTED', /check the rights/],
    ['EPERM', 'OP_NOT_PERMITTED', /check the rights/],
    ['EROFS', 'OP_NOT_PERMITTED', /check the rights/],
    ['EADDRNOTAVAIL', 'INVALID_PARAMETER', /no address of this machine/],
    ['EMFILE', 'NO_RESOURCE', /raise the limit of open files/],
    ['ENOSPC', 'NO_RESOURCE', /make room/],
    ['EIO', 'LIBRARY', /cannot listen at 1:64: listen EIO/],
  ])('%s becomes %s with a remedy', (code, expected, message) => {
    expect(listenError(error(code), AT)).toMatchObject({ code: expected, message })
  })

  it.each([
    [{ nodes: undefined }, /nodes: give a Map/],
    [{ nodes: loopbackNodes(), tls: {} }, /tls.ca is missing: give a PEM text/],
    [{ nodes: loopbackNodes(), tls: { ca: 'x', cert: '', key: 'x' } }, /tls.cert is missing/],
  ])('refuses %j as settings of tcp', (options, message) => {
    expect(() => tcpTransport(options as object as TcpTransportOptions)).toThrow(message)
  })

  it('refuses a port without a transport', async () => {
    const options = { ...AT, name: 'a' } as object as PortOptions
    await expect(openPort(options)).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
      message: /give one, such as unixTransport/,
    })
  })

  it('tells the second program at a tcp port that it is taken', async () => {
    const options = { transport: tcpTransport({ nodes: loopbackNodes() }), ...AT, name: 'a' }
    const first = await openPort(options)
    await expect(openPort(options)).rejects.toMatchObject({ code: 'ALREADY_EXIST' })
    await first.close()
    await (await openPort(options)).close()
  })

  it('replaces a stale socket, refuses a file that is none and a directory open to others', async () => {
    const runDir = mkdtempSync(join(tmpdir(), 'hf-'))
    try {
      const transport = unixTransport({ runDir })
      // What a killed program leaves: a name that nobody answers at.
      writeFileSync(join(runDir, 'ioc', '1.64.sock'), '')
      await (await openPort({ transport, ...AT, name: 'a' })).close()
      chmodSync(join(runDir, 'ioc'), 0o755)
      expect(() => unixTransport({ runDir })).toThrow(/others can enter it: run `chmod 700`/)
    } finally {
      rmSync(runDir, { recursive: true })
    }
  })
})
