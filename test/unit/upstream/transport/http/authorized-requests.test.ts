import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { GatewayError } from '../../../../../src/core/errors.ts'
import { SILENT } from '../../../../../src/core/logger.ts'
import type {
  CredentialRefusal,
  CredentialRequest,
  UpstreamCredentials,
} from '../../../../../src/core/upstream-credentials.ts'
import { AuthorizedRequests } from '../../../../../src/upstream/transport/http/authorized-requests.ts'
import { StreamableHttpTransport } from '../../../../../src/upstream/transport/http/streamable-http.ts'
import { SseTransport } from '../../../../../src/upstream/transport/sse/sse.ts'
import type { Transport } from '../../../../../src/upstream/transport/shared/transport.ts'
import { Conversation } from '../../../../contract/transport.ts'
import { deferred } from '../../../../helpers/deferred.ts'

/** Tokens in their order: each refusal leads to the next one, until there is none. */
class Tokens implements UpstreamCredentials {
  readonly refusals: CredentialRefusal[] = []
  readonly asked: CredentialRequest[] = []
  readonly heard: (string | string[] | undefined)[] = []
  late = false
  #lists: readonly (readonly string[])[]

  constructor(...tokens: string[]) {
    this.#lists = tokens.map(token => ['authorization', `Bearer ${token}`])
  }

  headers(request: CredentialRequest): readonly string[] | Promise<readonly string[]> {
    this.asked.push(request)
    const [list] = this.#lists
    if (!list) return Promise.reject(needsLogin())
    return this.late ? Promise.resolve(list) : list
  }

  refused(refusal: CredentialRefusal): Promise<true | GatewayError> {
    this.refusals.push(refusal)
    if (this.#lists[0] === refusal.sent) this.#lists = this.#lists.slice(1)
    return Promise.resolve(this.#lists.length > 0 ? true : needsLogin())
  }

  answered(headers: Readonly<Record<string, string | string[] | undefined>>): void {
    this.heard.push(headers['dpop-nonce'])
  }
}

const needsLogin = (): GatewayError =>
  new GatewayError('needs_login', 'Server "peer" needs a login.', { server: 'peer' })

interface Got {
  readonly method: string
  readonly authorization: string | undefined
  readonly body: string
}

describe('requests under credentials', () => {
  const closing: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0).toReversed()) await close()
  })

  /** A server that accepts one token. What it accepts it answers by `answer`, everything else with the challenge. */
  async function serverFor(
    token: string,
    answer: (request: IncomingMessage, response: ServerResponse, body: string) => void = answerAll,
    refuse: (response: ServerResponse, body: string) => void = challenge,
  ): Promise<{ url: string; got: Got[] }> {
    const got: Got[] = []
    const listen: RequestListener = (request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => (body += chunk.toString()))
      request.on('end', () => {
        const { authorization } = request.headers
        got.push({ method: request.method ?? '', authorization, body })
        if (authorization === `Bearer ${token}`) answer(request, response, body)
        else refuse(response, body)
      })
    }
    const listener = createServer(listen).listen(0, '127.0.0.1')
    await once(listener, 'listening')
    closing.push(async () => {
      listener.closeAllConnections()
      listener.close()
    })
    return { url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}/mcp`, got }
  }

  function challenge(response: ServerResponse): void {
    response
      .writeHead(401, { 'www-authenticate': ['Bearer error="invalid_token"', 'Basic'], 'dpop-nonce': 'n' })
      .end('not with this')
  }

  function answerAll(request: IncomingMessage, response: ServerResponse, body: string): void {
    if (request.method !== 'POST') return void response.writeHead(request.method === 'GET' ? 405 : 200).end()
    const { id } = JSON.parse(body) as { id?: number }
    if (id === undefined) return void response.writeHead(202).end()
    response
      .writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 's' })
      .end(JSON.stringify({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: 'well' }] } }))
  }

  function peerAt(url: string, credentials: UpstreamCredentials, headers = {}): Conversation {
    const options = { server: 'peer', endpoint: { url, headers }, maxMessageBytes: 1e6, logger: SILENT }
    return peerOver(new StreamableHttpTransport({ ...options, credentials }))
  }

  function peerOver(transport: Transport): Conversation {
    const peer = new Conversation(transport)
    closing.push(() => transport.close())
    return peer
  }

  const failure = async (peer: Conversation): Promise<GatewayError> => {
    const { error } = await peer.heard.next()
    if (!error) throw new Error('it was answered')
    return error
  }

  for (const late of [false, true])
    describe(late ? 'that take a while' : 'that are at hand', () => {
      const tokens = (...list: string[]): Tokens => Object.assign(new Tokens(...list), { late })

      it('a refused request is sent once more with the next ones', async () => {
        const { url, got } = await serverFor('new')
        const credentials = tokens('old', 'new')
        const peer = peerAt(url, credentials, { authorization: 'Bearer static' })
        await peer.transport.open(peer.heard)
        await peer.answer(peer.call('t'))
        await peer.answer(peer.call('t'))
        expect(got.map(({ authorization }) => authorization)).toEqual([
          'Bearer old',
          'Bearer new',
          'Bearer new',
        ])
        expect(credentials.refusals).toEqual([
          {
            status: 401,
            wwwAuthenticate: 'Bearer error="invalid_token", Basic',
            sent: ['authorization', 'Bearer old'],
          },
        ])
        expect(credentials.heard).toEqual(['n', undefined, undefined])
        expect(credentials.asked[0]).toEqual({ method: 'POST', url })
      })

      it('a request that is refused twice fails, and is not sent a third time', async () => {
        const { url, got } = await serverFor('never')
        const peer = peerAt(url, tokens('one', 'two', 'three'))
        await peer.transport.open(peer.heard)
        peer.call('t')
        const error = await failure(peer)
        expect(error.code).toBe('upstream_unauthorized')
        expect(JSON.stringify([error.message, String(error.cause)])).not.toMatch(/one|two|three|not with/)
        expect(got).toHaveLength(2)
      })

      it('without others it fails with their error', async () => {
        const { url, got } = await serverFor('never')
        const peer = peerAt(url, tokens('only'))
        await peer.transport.open(peer.heard)
        peer.call('t')
        expect(await failure(peer)).toMatchObject({ code: 'needs_login', delivery: 'not_sent' })
        peer.call('t')
        expect(await failure(peer)).toMatchObject({ code: 'needs_login' })
        expect(got).toHaveLength(1)
      })

      it('a refused message without an answer is sent once more, too', async () => {
        const { url, got } = await serverFor('new')
        const peer = peerAt(url, tokens('old', 'new'))
        await peer.transport.open(peer.heard)
        peer.notify('notifications/initialized')
        await expect.poll(() => got.length).toBe(2)
        expect(got.map(({ authorization }) => authorization)).toEqual(['Bearer old', 'Bearer new'])
      })

      it('the stream for messages of no request, and the end of a session, are sent once more', async () => {
        const { url, got } = await serverFor('new')
        const credentials = tokens('new')
        const peer = peerAt(url, credentials)
        await peer.transport.open(peer.heard)
        await peer.answer(peer.send('initialize'))
        peer.transport.use('2025-11-25')
        const other = tokens('old', 'new')
        credentials.headers = request => other.headers(request)
        credentials.refused = refusal => other.refused(refusal)
        peer.transport.listen()
        await expect.poll(() => got.filter(({ method }) => method === 'GET').length).toBe(2)
        const third = tokens('old', 'new')
        credentials.headers = request => third.headers(request)
        credentials.refused = refusal => third.refused(refusal)
        await peer.transport.close()
        const tried = (method: string): unknown[] =>
          got.filter(one => one.method === method).map(({ authorization }) => authorization)
        expect(tried('GET')).toEqual(['Bearer old', 'Bearer new'])
        expect(tried('DELETE')).toEqual(['Bearer old', 'Bearer new'])
      })

      it('the deprecated transport does the same with its stream and its messages', async () => {
        const { url, got } = await serverFor('new', (request, response) => {
          if (request.method === 'POST') return void response.writeHead(202).end()
          response.writeHead(200, { 'content-type': 'text/event-stream' })
          response.write('event: endpoint\ndata: /post\n\n')
        })
        const credentials = tokens('old', 'new')
        const options = {
          server: 'peer',
          endpoint: { url, headers: {} },
          maxMessageBytes: 1e6,
          logger: SILENT,
        }
        const peer = peerOver(new SseTransport({ ...options, credentials }))
        await peer.transport.open(peer.heard)
        expect(got.map(({ authorization }) => authorization)).toEqual(['Bearer old', 'Bearer new'])
        const other = tokens('gone')
        credentials.headers = request => other.headers(request)
        credentials.refused = refusal => other.refused(refusal)
        peer.call('t')
        expect(await failure(peer)).toMatchObject({ code: 'needs_login' })
      })
    })

  it('a request that was answered is never sent again, whatever the answer says', async () => {
    const { url, got } = await serverFor(
      'never',
      answerAll,
      (response, body) =>
        void response
          .writeHead(403, { 'content-type': 'application/json' })
          .end(
            `{"jsonrpc":"2.0","id":${(JSON.parse(body) as { id: number }).id},"error":{"code":-1,"message":"no"}}`,
          ),
    )
    const credentials = new Tokens('one', 'two')
    const peer = peerAt(url, credentials)
    await peer.transport.open(peer.heard)
    peer.call('t')
    expect((await peer.heard.next()).text).toContain('"message":"no"')
    expect(got).toHaveLength(1)
    expect(credentials.refusals).toEqual([])
  })

  it('a connection that breaks is no refusal', async () => {
    const { url, got } = await serverFor('never', answerAll, response => void response.destroy())
    const peer = peerAt(url, new Tokens('one', 'two'))
    await peer.transport.open(peer.heard)
    peer.call('t')
    expect(await failure(peer)).toMatchObject({ code: 'upstream_unreachable' })
    expect(got).toHaveLength(1)
  })

  it('a refusal whose body breaks off, or is endless, is one all the same', async () => {
    for (const body of ['begun', undefined]) {
      const { url, got } = await serverFor('new', answerAll, response => {
        response.writeHead(401, { 'content-length': '100' }).write(body ?? '')
        response.socket?.destroySoon()
      })
      const peer = peerAt(url, new Tokens('old', 'new'))
      await peer.transport.open(peer.heard)
      await peer.answer(peer.call('t'))
      expect(got).toHaveLength(2)
    }
  })

  it('a request that was cancelled while its credentials are renewed is not sent again', async () => {
    const { url, got } = await serverFor('new')
    const credentials = new Tokens('old', 'new')
    const peer = peerAt(url, credentials)
    const renewed = deferred()
    const refused = credentials.refused.bind(credentials)
    credentials.refused = async refusal => {
      const outcome = await refused(refusal)
      await renewed.promise
      return outcome
    }
    await peer.transport.open(peer.heard)
    const id = peer.call('t')
    await expect.poll(() => credentials.refusals.length).toBe(1)
    peer.heard.waiting.delete(id)
    peer.transport.abandon(id)
    renewed.resolve()
    await peer.answer(peer.call('t'))
    expect(got).toHaveLength(2)
  })

  it('all requests share one list of headers until something changes', () => {
    let list: readonly string[] = ['authorization', 'Bearer t', 'x-own', '1', 'content-type', 'text/plain']
    const authorized = new AuthorizedRequests('peer', {
      headers: () => list,
      refused: () => Promise.resolve(true),
    })
    const base = ['accept', 'a', 'content-type', 'application/json', 'authorization', 'Bearer static']
    const present = (other = base): readonly string[] =>
      (authorized.present('POST', 'http://peer/', other) as { headers: readonly string[] }).headers
    const first = present()
    expect(first).toEqual([
      'accept',
      'a',
      'content-type',
      'application/json',
      'authorization',
      'Bearer t',
      'x-own',
      '1',
    ])
    expect(present()).toBe(first)
    list = [...list]
    expect(present()).not.toBe(first)
    expect(present([...base])).not.toBe(first)
  })

  it('a challenge is bounded in length', async () => {
    const { url } = await serverFor('new', answerAll, response =>
      response.writeHead(401, { 'www-authenticate': 'x'.repeat(12_000) }).end(),
    )
    const credentials = new Tokens('old', 'new')
    const peer = peerAt(url, credentials)
    await peer.transport.open(peer.heard)
    await peer.answer(peer.call('t'))
    expect(credentials.refusals[0]?.wwwAuthenticate).toHaveLength(8192)
  })
})
