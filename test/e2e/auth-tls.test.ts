import { Agent, request } from 'node:https'
import type { RequestOptions } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createKey, keyDigestOf } from '../../src/auth/key-records.ts'
import { makeAuthority, type Authority, type KeyPair } from '../helpers/certificates.ts'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'
import { reload } from '../helpers/reload.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { scriptedHttp } from '../helpers/scripted-servers.ts'
import { JSON_HEADERS, requestText, withEnvelope } from '../helpers/wire-clients.ts'

/** TLS that the gateway serves itself, and clients that show certificates. */

const INITIALIZE = requestText('1', 'initialize', '{"protocolVersion":"2025-11-25","capabilities":{}}')
const KEY = createKey()

let scratch: Scratch
let authority: Authority
let stranger: Authority
let server: KeyPair
beforeAll(() => {
  scratch = makeScratch()
  authority = makeAuthority(scratch, 'authority')
  stranger = makeAuthority(scratch, 'stranger')
  server = authority.sign('gateway')
})
afterAll(async () => {
  await scratch[Symbol.asyncDispose]()
})

function gatewayFor(tls: object = {}): Promise<TestGateway> {
  const files = { cert: server.certFile, key: server.keyFile, ca: authority.certFile }
  return startGateway({
    mcpServers: {},
    clients: {
      ci: { certificates: ['ci.example'], keys: [`sha256:${keyDigestOf(KEY)}`] },
      cd: { certificates: ['cd.example'] },
    },
    gateway: { http: { port: 0, tls: { ...files, ...tls } } },
  })
}

function post(
  origin: string,
  shown: RequestOptions & { session?: Buffer | undefined } = {},
  text = INITIALIZE,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const options = {
      method: 'POST',
      agent: false,
      ca: authority.cert,
      ...shown,
      headers: { ...JSON_HEADERS, ...shown.headers },
    }
    const sent = request(`${origin}/mcp`, options, response => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (body += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
    sent.on('error', reject).end(text)
  })
}

const show = ({ cert, key }: KeyPair): RequestOptions => ({ cert, key })
const bearer = { headers: { authorization: `Bearer ${KEY}` } }

describe('a client certificate', () => {
  test('says which client it is', async () => {
    await using gateway = await gatewayFor()
    expect(gateway.origin).toMatch(/^https:/)
    expect((await post(gateway.origin, show(authority.sign('ci.example')))).status).toBe(200)
  })

  test('that no client has is refused, although it is valid', async () => {
    await using gateway = await gatewayFor()
    const { status, body } = await post(gateway.origin, show(authority.sign('unknown.example')))
    expect([status, body]).toEqual([403, expect.stringContaining('no client here has its common name')])
  })

  test.each([
    ['of another authority', () => stranger.sign('ci.example')],
    ['that signs itself', () => stranger],
    ['that is over', () => authority.sign('ci.example', { days: -1 })],
  ])('%s is refused, also beside a right key', async (_, make) => {
    await using gateway = await gatewayFor()
    for (const more of [{}, bearer]) {
      const { status, body } = await post(gateway.origin, { ...show(make()), ...more })
      expect([status, body]).toEqual([403, expect.stringContaining('not valid')])
    }
  })

  test('is held against a connection that continues an earlier one, too', async () => {
    await using gateway = await gatewayFor()
    const statuses: number[] = []
    for (const shown of [authority.sign('ci.example'), stranger.sign('ci.example')]) {
      const agent = new Agent({ maxSockets: 1, keepAlive: false })
      let session: Buffer | undefined
      agent.on('keylog', (_line, socket: TLSSocket) =>
        socket.on('session', (taken: Buffer) => (session = taken)),
      )
      statuses.push((await post(gateway.origin, { ...show(shown), agent })).status)
      expect(session).toBeDefined()
      statuses.push((await post(gateway.origin, { ...show(shown), session })).status)
      // Without a certificate of its own, the session brings the one it began with.
      statuses.push((await post(gateway.origin, { session })).status)
      agent.destroy()
    }
    expect(statuses.slice(0, 2)).toEqual([200, 200])
    expect(statuses.slice(3, 5)).toEqual([403, 403])
    expect(statuses[5]).toBeGreaterThanOrEqual(401)
  })

  test('of an authority that a reload removes is refused on a kept connection, which ends after the answer that is due', async () => {
    await using upstream = await scriptedHttp()
    const file = (ca: KeyPair): { gateway: Record<string, unknown> } & Record<string, unknown> => ({
      mcpServers: { a: upstream.entry },
      clients: { ci: { certificates: ['ci.example'], keys: [`sha256:${keyDigestOf(KEY)}`] } },
      gateway: { http: { port: 0, tls: { cert: server.certFile, key: server.keyFile, ca: ca.certFile } } },
    })
    await using running = await startGateway(file(authority))
    const { origin } = running
    const agents = [1, 2, 3].map(() => new Agent({ keepAlive: true, maxSockets: 1 }))
    const [idle, busy, keyed] = agents as [Agent, Agent, Agent]
    const shown = show(authority.sign('ci.example'))
    for (const agent of [idle, busy]) expect((await post(origin, { ...shown, agent })).status).toBe(200)
    expect((await post(origin, { ...bearer, agent: keyed })).status).toBe(200)
    const params = withEnvelope('{"name":"a__t"}')
    const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'a__t' }
    const calling = post(origin, { ...shown, agent: busy, headers }, requestText('2', 'tools/call', params))
    const call = await upstream.called('t')

    await reload(running.gateway, file(stranger))
    call.answer('"result":{"content":[]}')
    expect((await calling).body).toContain('"content":[]')
    for (const agent of [idle, busy]) {
      // A client meets the end of its connection, or has noticed it and connects again.
      const statuses: number[] = []
      const again = async (): Promise<number> => {
        const { status } = await post(origin, { ...shown, agent }).catch(() => ({ status: 0 }))
        statuses.push(status)
        return status
      }
      await expect.poll(again, { timeout: 10_000 }).toBe(403)
      expect(statuses).not.toContain(200)
    }
    expect((await post(origin, { ...bearer, agent: keyed })).status).toBe(200)
    for (const agent of agents) agent.destroy()
  })

  test('need not be there, unless it is required', async () => {
    await using asked = await gatewayFor()
    expect((await post(asked.origin)).status).toBe(401)
    expect((await post(asked.origin, bearer)).status).toBe(200)
    await using required = await gatewayFor({ clientCertificates: 'require' })
    await expect(post(required.origin, bearer)).rejects.toThrow()
    await expect(post(required.origin, show(stranger.sign('ci.example')))).rejects.toThrow()
    expect((await post(required.origin, show(authority.sign('ci.example')))).status).toBe(200)
  })

  test('and a key have to agree', async () => {
    await using gateway = await gatewayFor()
    expect((await post(gateway.origin, { ...show(authority.sign('ci.example')), ...bearer })).status).toBe(
      200,
    )
    const { status, body } = await post(gateway.origin, { ...show(authority.sign('cd.example')), ...bearer })
    expect([status, body]).toEqual([400, expect.stringContaining('two different identities')])
  })
})

describe('files of TLS', () => {
  test('that are missing are named', async () => {
    await expect(gatewayFor({ key: `${scratch.path}/none.key` })).rejects.toThrow(
      /none\.key.*gateway\.http\.tls\.key/,
    )
  })

  test('that do not belong together are said to be so', async () => {
    await expect(gatewayFor({ key: stranger.keyFile })).rejects.toThrow(/belong together/)
    await expect(gatewayFor({ cert: scratch.write('x.pem', 'x') })).rejects.toThrow(/belong together/)
  })
})
