import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeAuthority, type Authority } from '../../helpers/certificates.ts'
import { diagnose } from '../../helpers/diagnose.ts'
import { answering, streamable } from '../../helpers/http-fault.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'
import { freePort } from '../../helpers/served.ts'
import type { AddressInfo } from 'node:net'

/** Faults of the way to a server, one test each. */

let scratch: Scratch
let authority: Authority
beforeAll(() => {
  scratch = makeScratch()
  authority = makeAuthority(scratch, 'doctor-ca')
})
afterAll(async () => await scratch[Symbol.asyncDispose]())

const at = (url: string): object => ({ mcpServers: { a: { url, oauth: false } } })

describe('a server that is reached', () => {
  test('has no findings', async () => {
    await using server = await answering(streamable)
    const found = await diagnose(scratch, at(server.url))
    expect({ code: found.code, findings: found.findings }).toEqual({ code: 0, findings: [] })
    expect(found.servers).toMatchObject([{ server: 'a', transport: 'http', era: 'legacy' }])
  })

  test('has none with a certificate of an authority that is known', async () => {
    await using server = await answering(streamable, authority.sign('localhost'))
    const env = { NODE_EXTRA_CA_CERTS: authority.certFile }
    expect((await diagnose(scratch, at(server.url), { env })).findings).toEqual([])
  })
})

describe('doctor finds, on the way to a server,', () => {
  test('a host name that is unknown', async () => {
    const found = await diagnose(scratch, at('http://no-such-host.invalid/mcp'))
    const { layer, server, command, set } = found.only('host_unknown')
    expect({ code: found.code, layer, server }).toEqual({ code: 15, layer: 'network', server: 'a' })
    expect(command).toBe('nslookup no-such-host.invalid')
    expect(set?.key).toBe('mcpServers.a.url')
    expect(found.skipped).toContainEqual(expect.objectContaining({ layer: 'start', server: 'a' }))
  })

  test('a port where nothing listens', async () => {
    const port = await freePort()
    const found = await diagnose(scratch, at(`http://127.0.0.1:${port}/mcp`))
    expect(found.only('connection_refused')).toMatchObject({
      layer: 'network',
      server: 'a',
      cause: `Nothing listens at 127.0.0.1:${port}.`,
      command: `curl -v http://127.0.0.1:${port}`,
    })
    expect(found.code).toBe(15)
  })

  test('a machine that does not answer', async () => {
    // It accepts the connection, and says nothing to the greeting of TLS.
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    try {
      const found = await diagnose(scratch, at(`https://127.0.0.1:${port}/mcp`))
      expect(found.only('host_silent')).toMatchObject({ layer: 'network', server: 'a' })
      expect(found.only('host_silent').fix).toContain('firewall')
    } finally {
      silent.close()
    }
  })

  test('a certificate of an unknown authority', async () => {
    await using server = await answering(streamable, authority.sign('localhost'))
    const found = await diagnose(scratch, at(server.url))
    const { layer, cause, set } = found.only('tls_untrusted')
    expect({ code: found.code, layer }).toEqual({ code: 15, layer: 'network' })
    expect(cause).toMatch(/UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED/)
    expect(set?.key).toBe('NODE_EXTRA_CA_CERTS')
  })

  test('a certificate that has ended', async () => {
    await using server = await answering(streamable, authority.sign('localhost', { days: -1 }))
    const env = { NODE_EXTRA_CA_CERTS: authority.certFile }
    const found = await diagnose(scratch, at(server.url), { env })
    expect(found.only('tls_expired')).toMatchObject({ layer: 'network', server: 'a' })
    expect(found.only('tls_expired').command).toContain(`-connect 127.0.0.1:${server.port}`)
  })

  test('a certificate for other names, and names them', async () => {
    const names = ['DNS:search.example', 'IP:127.0.0.2']
    await using server = await answering(streamable, authority.sign('search.example', { names }))
    const env = { NODE_EXTRA_CA_CERTS: authority.certFile }
    const found = await diagnose(scratch, at(server.url), { env })
    expect(found.only('tls_other_host').cause).toContain('DNS:search.example')
    expect(found.only('tls_other_host').set?.key).toBe('mcpServers.a.url')
  })

  test('https where there is no TLS', async () => {
    await using server = await answering(streamable)
    const found = await diagnose(scratch, at(server.url.replace('http:', 'https:')))
    expect(found.only('tls_missing')).toMatchObject({
      layer: 'network',
      set: { key: 'mcpServers.a.url', value: server.url },
    })
  })

  test('http where TLS is wanted', async () => {
    await using server = await answering(streamable, authority.sign('localhost'))
    const found = await diagnose(scratch, at(server.url.replace('https:', 'http:')))
    expect(found.only('tls_needed')).toMatchObject({
      layer: 'network',
      set: { key: 'mcpServers.a.url', value: server.url },
    })
    expect(found.code).toBe(15)
  })

  test('a proxy that the gateway does not use', async () => {
    const url = 'https://only-by-proxy.invalid/mcp'
    const proxied = await diagnose(scratch, at(url), { env: { HTTPS_PROXY: 'http://127.0.0.1:3128' } })
    expect(proxied.only('proxy_unused')).toMatchObject({ layer: 'network', severity: 'warning', server: 'a' })
    expect(proxied.only('proxy_unused').cause).toContain('HTTPS_PROXY')
    const env = { HTTPS_PROXY: 'http://127.0.0.1:3128', NO_PROXY: '.invalid' }
    const excluded = await diagnose(scratch, at(url), { env })
    expect(excluded.findings.map(({ code }) => code)).toEqual(['host_unknown'])
  })

  test('a clock that is wrong', async () => {
    await using server = await answering((request, response) => {
      response.setHeader('date', new Date(Date.now() + 10 * 60_000).toUTCString())
      streamable(request, response)
    })
    const found = await diagnose(scratch, at(server.url))
    const { layer, severity, cause, command } = found.only('clock_skew')
    expect({ layer, severity }).toEqual({ layer: 'network', severity: 'warning' })
    expect(cause).toMatch(/ (?:59\d|600) s behind /)
    expect(command).toBe('timedatectl set-ntp true')
  })
})
