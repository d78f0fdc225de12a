import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type Server } from 'node:net'
import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { socketPath } from '../../../src/admin/socket-files.ts'
import { makeAuthority } from '../../helpers/certificates.ts'
import { diagnose, LISTING } from '../../helpers/diagnose.ts'
import { answering } from '../../helpers/http-fault.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'
import { freePort, serveGateway } from '../../helpers/served.ts'
import type { AddressInfo } from 'node:net'

/** Faults of the gateway itself, one test each. */

let scratch: Scratch
beforeEach(() => void (scratch = makeScratch()))
afterEach(async () => await scratch[Symbol.asyncDispose]())

const http = (settings: object, more: object = {}): object => ({
  mcpServers: { a: LISTING },
  gateway: { state: 'memory', http: settings },
  ...more,
})

async function listening(): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port }
}

/** The folder with the sockets of gateways, as a gateway makes it. */
function socketFolder(mode = 0o700): string {
  const path = `${scratch.path}/xdg/mcp-manifold/admin`
  mkdirSync(path, { recursive: true })
  chmodSync(path, mode)
  return path
}

describe('a gateway without a fault', () => {
  test('has no findings while it runs, and is not taken for another program at its port', async () => {
    const port = await freePort()
    const file = scratch.write('servers.json', http({ port }))
    await using served = await serveGateway(file, { env: { XDG_STATE_HOME: `${scratch.path}/xdg` } })
    expect(served.origin).toContain(String(port))
    const found = await diagnose(scratch, http({ port }))
    expect({ code: found.code, findings: found.findings }).toEqual({ code: 0, findings: [] })
  })
})

describe('doctor finds, at the gateway itself,', () => {
  test('that its port is in use, and by which process', async () => {
    const { server, port } = await listening()
    try {
      const found = await diagnose(scratch, http({ port }))
      const { layer, cause, set } = found.only('port_in_use')
      expect({ code: found.code, layer }).toEqual({ code: 21, layer: 'gateway' })
      if (process.platform === 'linux') expect(cause).toContain(`(pid ${process.pid})`)
      expect(set).toEqual({ key: 'gateway.http.port', value: port === 65_535 ? 3333 : port + 1 })
    } finally {
      server.close()
    }
  })

  test('that the port of its admin API is in use', async () => {
    const { server, port } = await listening()
    try {
      const admin = { listen: `127.0.0.1:${port}`, token: 'a-token-of-the-admin-api-for-tests' }
      const found = await diagnose(scratch, {
        mcpServers: { a: LISTING },
        gateway: { state: 'memory', admin },
      })
      expect(found.only('port_in_use').set?.key).toBe('gateway.admin.listen')
      expect(found.code).toBe(21)
    } finally {
      server.close()
    }
  })

  test('an address that is not of this machine', async () => {
    const clients = { clients: { ci: {} } }
    const found = await diagnose(scratch, http({ host: '192.0.2.1', port: 3333 }, clients))
    expect(found.only('address_unusable')).toMatchObject({
      layer: 'gateway',
      set: { key: 'gateway.http.host', value: '127.0.0.1' },
    })
    expect(found.code).toBe(21)
  })

  test('that every caller could use it', async () => {
    const found = await diagnose(scratch, http({ host: '0.0.0.0', port: 0 }))
    expect(found.only('exposed')).toMatchObject({
      layer: 'gateway',
      severity: 'error',
      set: { key: 'gateway.http.host', value: '127.0.0.1' },
    })
    expect(found.code).toBe(21)
  })

  test('a certificate that is not there', async () => {
    const tls = { cert: './gone.pem', key: './gone.key' }
    const found = await diagnose(scratch, http({ port: 0, tls }))
    expect(found.only('certificate_unusable')).toMatchObject({
      layer: 'gateway',
      set: { key: 'gateway.http.tls' },
    })
    expect(found.only('certificate_unusable').cause).toContain('gone.pem')
  })

  test('a certificate that has ended', async () => {
    const { certFile: cert, keyFile: key } = makeAuthority(scratch, 'ca').sign('gateway', { days: -1 })
    const found = await diagnose(scratch, http({ port: 0, tls: { cert, key } }))
    expect(found.only('certificate_expired')).toMatchObject({ layer: 'gateway' })
    expect(found.only('certificate_expired').command).toContain(cert)
    expect(found.code).toBe(21)
  })

  test('a socket that was left behind, and removes it with --fix', async () => {
    const socket = `${socketFolder()}/0123456789abcdef-4242.sock`
    // A process that is killed removes nothing.
    const left = `require('net').createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, 'SIGKILL'))`
    expect(() => execFileSync(process.execPath, ['-e', left], { stdio: 'ignore' })).toThrow()
    const found = await diagnose(scratch, http({ port: 0 }))
    expect(found.only('socket_stale')).toMatchObject({
      layer: 'gateway',
      severity: 'warning',
      command: `rm ${socket}`,
    })
    expect(existsSync(socket)).toBe(true)
    const mended = await diagnose(scratch, http({ port: 0 }), { args: ['--fix'] })
    expect(mended.mended).toMatchObject([{ code: 'socket_stale', done: `Removed ${socket}.` }])
    expect({ there: existsSync(socket), findings: mended.findings }).toEqual({ there: false, findings: [] })
  })

  test('a folder of sockets that others may use, and restricts it with --fix', async () => {
    const folder = socketFolder(0o755)
    const found = await diagnose(scratch, http({ port: 0 }))
    expect(found.only('socket_folder_exposed')).toMatchObject({
      layer: 'gateway',
      command: `chmod 700 ${folder}`,
    })
    const mended = await diagnose(scratch, http({ port: 0 }), { args: ['--fix'] })
    expect({ mode: statSync(folder).mode & 0o777, code: mended.code }).toEqual({ mode: 0o700, code: 0 })
  })

  test('a running gateway of another version', async () => {
    const file = scratch.write('servers.json', http({ port: 0 }))
    const older = createHttpServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"version":"0.0.9"}')
    })
    older.listen(socketPath(socketFolder(), file, process.pid))
    await once(older, 'listening')
    try {
      const found = await diagnose(scratch, http({ port: 0 }))
      const { layer, severity, cause } = found.only('other_version')
      expect({ layer, severity }).toEqual({ layer: 'gateway', severity: 'warning' })
      expect(cause).toContain(`The gateway ${process.pid} runs with version 0.0.9`)
    } finally {
      older.close()
    }
  })

  test('a newer version in the registry, only when it may ask', async () => {
    const asked: string[] = []
    await using registry = await answering((request, response) => {
      asked.push(String(request.url))
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"version":"99.1.0"}')
    })
    const env = { npm_config_registry: `http://127.0.0.1:${registry.port}/` }
    const silent = await diagnose(scratch, http({ port: 0 }), { env })
    expect({ findings: silent.findings, asked }).toEqual({ findings: [], asked: [] })
    const found = await diagnose(scratch, http({ port: 0 }), { env, args: ['--online'] })
    expect(found.only('version_outdated')).toMatchObject({
      layer: 'versions',
      severity: 'warning',
      command: 'npm install -g mcp-manifold@latest',
    })
    expect(asked).toEqual(['/mcp-manifold/latest'])
  })
})

test('what --fix cannot do is said, and stays a finding', async () => {
  const text = JSON.stringify({ mcpServers: { a: LISTING }, gateway: { state: 'memory', fail: 'open' } })
  const file = scratch.write('read-only.json', text)
  chmodSync(file, 0o444)
  const found = await diagnose(scratch, {}, { args: ['--fix', '--config', file] })
  expect(found.mended).toMatchObject([
    { code: 'config_old_key', failed: expect.stringContaining('read-only') as string },
  ])
  expect(found.findings.map(({ code }) => code)).toEqual(['config_old_key'])
  expect(readFileSync(file, 'utf8')).toBe(text)
})
