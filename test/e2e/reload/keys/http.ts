import { request } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { afterAll, expect } from 'vitest'
import { rawAt } from '../../../../src/protocol/json-text.ts'
import { makeAuthority, type KeyPair } from '../../../helpers/certificates.ts'
import { startGateway } from '../../../helpers/gateway.ts'
import { makeScratch } from '../../../helpers/scratch.ts'
import { JSON_HEADERS, LegacySession, requestText, type WireResponse } from '../../../helpers/wire-clients.ts'
import { reload, scene, shared, type File, type KeyTest, type KeyTests } from './change.ts'

/** What a change of each key of the HTTP front does to sessions, streams and connections. */

const SCRATCH = makeScratch()
afterAll(async () => await SCRATCH[Symbol.asyncDispose]())

const POLL = { timeout: 10_000, interval: 100 }
const INITIALIZE = requestText('0', 'initialize', '{"protocolVersion":"2025-11-25","capabilities":{}}')

const front = (settings: object): File => ({ http: { port: 0, ...settings } })

/** The address for which tokens are asked, as clients read it. */
const publicUrl: KeyTest = async () => {
  const file = (address: string): File & { gateway: File } => ({
    mcpServers: {},
    clients: { people: {} },
    gateway: {
      ...front({ publicUrl: address }),
      auth: { jwt: [{ issuer: 'https://issuer.example', client: 'people' }] },
    },
  })
  await using running = await startGateway(file('https://one.example'))
  const resource = async (): Promise<unknown> => {
    const read = await fetch(`${running.origin}/.well-known/oauth-protected-resource/mcp`)
    return ((await read.json()) as { resource: unknown }).resource
  }
  expect(await resource()).toBe('https://one.example/mcp')
  await reload(running.gateway, file('https://two.example'))
  expect(await resource()).toBe('https://two.example/mcp')
}

/** A session that is open before the change ends by it. */
const sessionIdle = scene({ gateway: front({ sessionIdle: 'never' }) }, async ({ gateway, origin, turn }) => {
  const session = await LegacySession.open(origin)
  await turn(front({ sessionIdle: '1s' }))
  await expect.poll(() => gateway.sessions, POLL).toBe(0)
  expect((await session.post(requestText('1', 'ping', undefined))).status).toBe(404)
})

/** Streams of both transports that are open before the change. */
const keepAlive = scene({ gateway: front({ keepAlive: 'never' }) }, async ({ origin, turn }) => {
  const session = await LegacySession.open(origin)
  const leaving = new AbortController()
  const { signal } = leaving
  const headers = { accept: 'text/event-stream' }
  const standalone = await fetch(session.url, {
    headers: { ...(session.headers as Record<string, string>), ...headers },
    signal,
  })
  const deprecated = await fetch(`${origin}/sse`, { headers, signal })
  await turn(front({ keepAlive: '1s' }))
  for (const { body } of [standalone, deprecated]) {
    const reader = (body as ReadableStream<Uint8Array>).getReader()
    let text = ''
    while (!text.includes(': keepalive')) text += new TextDecoder().decode((await reader.read()).value)
  }
  leaving.abort()
  await session[Symbol.asyncDispose]()
})

const progress = (token: string | undefined, text: string): string =>
  `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":1,"message":"${text}"}}`

/** How many events a stream that broke still has, of a session that was opened before the change. */
const kept = (before: object, after: object, text: string): KeyTest =>
  scene({ gateway: front(before) }, async ({ origin, server, turn }) => {
    const session = await LegacySession.open(origin)
    const missed = async (): Promise<number> => {
      const params = '{"name":"a__t","_meta":{"progressToken":1}}'
      const posted = session.post(requestText('1', 'tools/call', params))
      const call = await server.called('t')
      const token = rawAt(call.params, '_meta', 'progressToken')
      for (let at = 1; at <= 3; at++) call.say(progress(token, text.replace('#', String(at))))
      const broken = await posted
      await broken.events.take(({ data }) => data.includes(text.replace('#', '3')), 'the last of them')
      const first = broken.events.all[0]?.id ?? ''
      broken.destroy()
      const again: WireResponse = await session.listen(
        first.replace(/\d+$/, last => String(Number(last) - 1)),
      )
      call.answer('"result":{"content":[]}')
      await again.body
      return again.events.all.filter(({ data }) => data.includes('notifications/progress')).length
    }
    expect(await missed()).toBe(3)
    await turn(front(after))
    expect(await missed()).toBe(1)
    await session[Symbol.asyncDispose]()
  })

const AUTHORITY = makeAuthority(SCRATCH, 'authority')
const OTHER = makeAuthority(SCRATCH, 'other')
const [ONE, TWO] = [AUTHORITY.sign('one'), AUTHORITY.sign('two')]

/** The name in the certificate of the gateway, and the status that a client with a certificate of its own gets. */
function connected(origin: string, shown?: KeyPair): Promise<{ name: string; status: number }> {
  return new Promise((resolve, reject) => {
    const identity = shown && { cert: shown.cert, key: shown.key }
    const options = { method: 'POST', agent: false, ca: AUTHORITY.cert, headers: JSON_HEADERS, ...identity }
    const sent = request(`${origin}/mcp`, options, response => {
      const name = (response.socket as TLSSocket).getPeerCertificate().subject.CN
      response.resume().on('end', () => resolve({ name: String(name), status: response.statusCode ?? 0 }))
    })
    sent.on('error', reject).end(INITIALIZE)
  })
}

/** A certificate and its key change together; one alone is refused, and the gateway goes on. */
const certificate: KeyTest = async () => {
  const file = (cert: KeyPair, key: KeyPair): File & { gateway: File } => ({
    mcpServers: {},
    gateway: front({ tls: { cert: cert.certFile, key: key.keyFile } }),
  })
  await using running = await startGateway(file(ONE, ONE))
  for (const [cert, key] of [
    [TWO, ONE],
    [ONE, TWO],
  ] as const) {
    await expect(reload(running.gateway, file(cert, key))).rejects.toThrow('that belong together')
    expect((await connected(running.origin)).name).toBe('one')
  }
  await reload(running.gateway, file(TWO, TWO))
  expect((await connected(running.origin)).name).toBe('two')
}

const withCertificates = (ca: KeyPair, names: readonly string[]): File & { gateway: File } => ({
  mcpServers: {},
  clients: { ci: { certificates: names } },
  gateway: front({ tls: { cert: ONE.certFile, key: ONE.keyFile, ca: ca.certFile } }),
})

/** The status of a client with a certificate of `AUTHORITY` before and after. */
const shown = (before: File & { gateway: File }, after: File): KeyTest => {
  const own = AUTHORITY.sign('ci.example')
  return async () => {
    await using running = await startGateway(before)
    expect((await connected(running.origin, own)).status).not.toBe(200)
    await reload(running.gateway, after)
    expect((await connected(running.origin, own)).status).toBe(200)
  }
}
const CI = ['ci.example']

export const HTTP_KEYS: KeyTests = {
  'gateway.http.publicUrl': publicUrl,
  'gateway.http.sessionIdle': sessionIdle,
  'gateway.http.keepAlive': keepAlive,
  'gateway.http.maxEvents': kept({ maxEvents: 1000 }, { maxEvents: 1 }, 'text #'),
  'gateway.http.maxEventBytes': kept(
    { maxEventBytes: '1MiB' },
    { maxEventBytes: '1KiB' },
    `${'x'.repeat(700)} #`,
  ),
  ...shared(['gateway.http.tls.cert', 'gateway.http.tls.key'], certificate),
  'gateway.http.tls.ca': shown(withCertificates(OTHER, CI), withCertificates(AUTHORITY, CI)),
  'clients.*.certificates': shown(
    withCertificates(AUTHORITY, ['other.example']),
    withCertificates(AUTHORITY, CI),
  ),
}
