import { describe, expect, it, onTestFinished } from 'vitest'
import type { GatewayError } from '../../src/core/errors.ts'
import type { Receiver, Transport } from '../../src/upstream/transport/shared/transport.ts'
import type { TransportTraits } from '../../src/upstream/transport/shared/traits.ts'
import type { ReceivedRequest } from '../fixtures/servers/raw.js'
import { assertNothingLeft, takeStock } from '../helpers/leftovers.ts'

/** A transport to a fresh raw server, not opened yet. */
export interface Setup {
  readonly transport: Transport
  /** The HTTP requests that the server has had; absent where there are none. */
  readonly requests?: readonly ReceivedRequest[]
  /** Ends the server. */
  stop(): Promise<void>
}

export interface TransportSubject {
  /** `server` of its errors is `peer`. */
  create(options: { readonly maxMessageBytes: number }): Promise<Setup>
  /** A transport whose server does not exist. */
  unreachable(): Promise<Transport>
  /** What the transport claims to do. */
  readonly traits: TransportTraits
  /** What this server sends during a request does not arrive, for want of a stream. */
  readonly drops?: boolean
}

export interface Event {
  readonly text?: string
  readonly stream?: number | undefined
  readonly id?: number
  readonly closed?: boolean
  readonly sessionLost?: boolean
  readonly gap?: boolean
  readonly error?: GatewayError
}

/** Records what a transport reports, and knows which requests wait, as a link does. */
export class Recorder implements Receiver {
  readonly events: Event[] = []
  readonly waiting = new Set<number>()
  #taken = 0
  #wake = (): void => {}

  onMessage(text: string, stream: number | undefined): void {
    const id = answered(text)
    if (id !== undefined) this.waiting.delete(id)
    this.#add({ text, stream })
  }
  onFailure(id: number, error: GatewayError): void {
    if (this.waiting.delete(id)) this.#add({ id, error })
  }
  ownerOf(): undefined {}

  waits(id: number): boolean {
    return this.waiting.has(id)
  }
  onSessionLost(): void {
    this.#add({ sessionLost: true })
  }
  onGap(): void {
    this.#add({ gap: true })
  }
  onMemoryLimitExceeded(): void {}
  onClose(error: GatewayError): void {
    this.waiting.clear()
    this.#add({ closed: true, error })
  }

  /** The next event that was not taken yet. */
  async next(): Promise<Event> {
    for (;;) {
      const event = this.events[this.#taken]
      if (event) {
        this.#taken++
        return event
      }
      await new Promise<void>(resolve => (this.#wake = resolve))
    }
  }

  #add(event: Event): void {
    this.events.push(event)
    this.#wake()
  }
}

/** The request that a text answers; a text that breaks off answers none. */
function answered(text: string): number | undefined {
  try {
    const { id, method } = JSON.parse(text) as { id?: unknown; method?: unknown }
    return typeof id === 'number' && method === undefined ? id : undefined
  } catch {
    return undefined
  }
}

/** One conversation over a transport. */
export class Conversation {
  readonly transport: Transport
  readonly heard = new Recorder()
  #lastId = 0

  constructor(transport: Transport) {
    this.transport = transport
  }

  send(method: string, params: object = {}): number {
    const id = ++this.#lastId
    this.heard.waiting.add(id)
    this.transport.send({ id, method, text: JSON.stringify({ jsonrpc: '2.0', id, method, params }) })
    return id
  }

  call(name: string, args: object = {}): number {
    return this.send('tools/call', { name, arguments: args })
  }

  notify(method: string, params: object = {}): void {
    this.transport.send({ id: undefined, method, text: JSON.stringify({ jsonrpc: '2.0', method, params }) })
  }

  /** The next event, which has to be the answer to `id`; parsed. */
  async answer(id: number): Promise<{ result: { content: { text: string }[] } }> {
    const event = await this.heard.next()
    if (event.text === undefined) throw new Error('no answer', { cause: event.error })
    const value = JSON.parse(event.text) as { id: number; result: { content: { text: string }[] } }
    expect(value.id).toBe(id)
    return value
  }

  /** Opens it and greets the server. */
  async begin(): Promise<void> {
    await this.transport.open(this.heard)
    await this.greet()
  }

  /** Greets the server as one of the legacy era. */
  async greet(): Promise<void> {
    const clientInfo = { name: 'test', version: '1' }
    const id = this.send('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo })
    await this.answer(id)
    this.transport.use('2025-11-25')
    this.notify('notifications/initialized')
  }
}

/** What a transport must do, whatever carries the messages. The server behind it is `raw.js` of the legacy era. */
export function describeTransport(name: string, subject: TransportSubject): void {
  const { traits } = subject
  const create = async (maxMessageBytes = 1_000_000): Promise<Conversation & Omit<Setup, 'transport'>> => {
    const { transport, ...setup } = await subject.create({ maxMessageBytes })
    onTestFinished(async () => {
      await transport.close()
      await setup.stop()
    })
    return Object.assign(new Conversation(transport), setup)
  }
  const start = async (maxMessageBytes?: number): Promise<Conversation & Omit<Setup, 'transport'>> => {
    const conversation = await create(maxMessageBytes)
    await conversation.begin()
    return conversation
  }

  describe(`transport contract: ${name}`, () => {
    it('carries requests and brings their answers', async () => {
      const peer = await start()
      const id = peer.call('echo_raw', { text: 'é 🙂 \n "', nested: { list: [1, null] } })
      const answer = await peer.answer(id)
      expect(answer.result).toMatchObject({
        structuredContent: { text: 'é 🙂 \n "', nested: { list: [1, null] } },
      })
    })

    it('keeps every byte of an answer', async () => {
      const peer = await start()
      const id = ++idOfExact
      peer.heard.waiting.add(id)
      const text = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"echo_raw","arguments":{"2":1.0,"1":12345678901234567890}}}`
      peer.transport.send({ id, method: 'tools/call', text })
      expect((await peer.heard.next()).text).toContain(
        '"structuredContent":{"2":1.0,"1":12345678901234567890}',
      )
    })

    it('answers many requests at once, each its own', async () => {
      const peer = await start()
      const ids = Array.from({ length: 100 }, (_, n) => peer.call('echo_raw', { n }))
      const found = new Map<number, number>()
      for (const _ of ids) {
        const { text } = await peer.heard.next()
        const { id, result } = JSON.parse(text ?? '{}') as {
          id: number
          result: { structuredContent: { n: number } }
        }
        found.set(id, result.structuredContent.n)
      }
      expect([...found].sort(([a], [b]) => a - b)).toEqual(ids.map((id, n) => [id, n]))
    })

    it('carries notifications to the server', async () => {
      const peer = await start()
      peer.notify('notifications/example', { mark: 'here' })
      // Over HTTP two messages may overtake each other; the second look is a request later.
      let seen: string[] = []
      for (let tries = 0; tries < 20 && !seen.some(text => text.includes('"mark":"here"')); tries++) {
        const { result } = await peer.answer(peer.call('received'))
        seen = JSON.parse(result.content[0]?.text ?? '[]') as string[]
      }
      expect(seen.map(text => (JSON.parse(text) as { method?: string }).method)).toContain(
        'notifications/example',
      )
    })

    it('brings what the server sends during a request, before its answer', async () => {
      const peer = await start()
      const id = peer.call('log', { level: 'warning', data: 'now' })
      if (!subject.drops) {
        const { text, stream } = await peer.heard.next()
        expect(JSON.parse(text ?? '{}')).toMatchObject({
          method: 'notifications/message',
          params: { data: 'now' },
        })
        expect(stream).toBe(traits.attribution === 'stream' ? id : undefined)
      }
      await peer.answer(id)
    })

    it('claims what its kind claims', async () => {
      expect((await create()).transport.traits).toBe(traits)
    })

    it.runIf(traits.ordered)('keeps the order of what it sends', async () => {
      const peer = await start()
      const marks = Array.from({ length: 15 }, (_, mark) => mark)
      for (const mark of marks)
        peer.notify('notifications/example', { mark, text: 'x'.repeat((15 - mark) * 1000) })
      const { result } = await peer.answer(peer.call('received'))
      const messages = JSON.parse(result.content[0]?.text ?? '[]') as string[]
      const seen = messages.map(text => JSON.parse(text) as { method?: string; params: { mark: number } })
      expect(
        seen.filter(({ method }) => method === 'notifications/example').map(({ params }) => params.mark),
      ).toEqual(marks)
    })

    it.runIf(process.platform === 'linux')('starts a process only where it claims to', async () => {
      const before = takeStock()
      await start()
      const started = [...takeStock().children].filter(pid => !before.children.has(pid))
      expect(started.length > 0).toBe(traits.process)
    })

    it('sends headers with a request only where it claims to', async () => {
      const peer = await start()
      const id = ++idOfExact
      peer.heard.waiting.add(id)
      const text = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"echo_raw","arguments":{}}}`
      peer.transport.send({ id, method: 'tools/call', text, headers: { 'mcp-param-region': 'eu' } })
      await peer.answer(id)
      const carried = peer.requests?.some(({ headers }) => headers['mcp-param-region'] === 'eu') ?? false
      expect(carried).toBe(traits.headers)
    })

    it.runIf(traits.eras.includes('modern'))('can still be initialized after a refused probe', async () => {
      const peer = await create()
      await peer.transport.open(peer.heard)
      peer.transport.use('2026-07-28')
      const id = peer.send('server/discover', { _meta: {} })
      const event = await peer.heard.next()
      expect(event.id ?? (JSON.parse(event.text ?? '{}') as { id?: number }).id).toBe(id)
      peer.transport.use(undefined)
      await peer.greet()
      await peer.answer(peer.call('echo_raw'))
    })

    it('says that nothing was sent when the server cannot be reached, and why', async () => {
      const before = takeStock()
      const transport = await subject.unreachable()
      const conversation = new Conversation(transport)
      const error = await transport.open(conversation.heard).then(
        async () => {
          conversation.send('ping')
          return (await conversation.heard.next()).error
        },
        (reason: GatewayError) => reason,
      )
      expect(error?.code).toMatch(/^upstream_(start_failed|unreachable)$/)
      expect(error).toMatchObject({ delivery: 'not_sent', server: 'peer' })
      expect(error?.message).toMatch(/"peer".*(Check|Fix)/)
      await transport.close()
      expect(conversation.heard.events.filter(({ closed }) => closed)).toEqual([])
      await assertNothingLeft(before)
    })

    it('reports an unknown delivery when the connection breaks after sending', async () => {
      const peer = await start()
      const id = peer.call('drop')
      // The half of an answer that arrived is no message, but a transport of lines cannot know.
      let event = await peer.heard.next()
      while (event.text !== undefined) event = await peer.heard.next()
      expect(event.closed === true || event.id === id).toBe(true)
      expect(event.error).toMatchObject({ delivery: 'unknown', server: 'peer' })
      expect(event.error?.message).toContain('"peer"')
    })

    it('reports nothing of a request that was abandoned', async () => {
      const peer = await start()
      const id = peer.call('hang')
      peer.heard.waiting.delete(id)
      peer.transport.abandon(id)
      peer.transport.abandon(id)
      await peer.answer(peer.call('echo_raw'))
      expect(peer.heard.events.filter(event => event.id === id)).toEqual([])
    })

    it('refuses a message that is too large, and goes on', async () => {
      const peer = await start(100_000)
      const id = peer.call('big', { bytes: 300_000 })
      const event = await peer.heard.next()
      expect(event).toMatchObject({ id, error: { code: 'too_large', delivery: 'answered', server: 'peer' } })
      expect(event.error?.message).toMatch(/"peer".*"maxMessage"/)
      await peer.answer(peer.call('echo_raw'))
    })

    it('closes once, however often it is asked to, and leaves nothing', async () => {
      const before = takeStock()
      const { transport, stop } = await subject.create({ maxMessageBytes: 1_000_000 })
      const conversation = new Conversation(transport)
      await conversation.begin()
      const id = conversation.call('hang')
      // The request is on its way before the next one is answered.
      await conversation.answer(conversation.call('echo_raw'))
      const { length } = conversation.heard.events
      let first = false
      const closing = transport.close().then(() => (first = true))
      await transport.close()
      // A later caller gets the same end, not a promise of it.
      expect(first).toBe(true)
      await closing
      await transport.close()
      expect(conversation.heard.events.slice(length).filter(event => event.id !== id)).toEqual([])
      await stop()
      await assertNothingLeft(before)
    })

    it('sends nothing once it is closed', async () => {
      const peer = await start()
      await peer.transport.close()
      const id = peer.call('echo_raw')
      const event = await peer.heard.next()
      expect(event).toMatchObject({
        id,
        error: { code: 'upstream_closed', delivery: 'not_sent', server: 'peer' },
      })
      peer.notify('notifications/example')
    })

    it('can be closed without ever having been opened', async () => {
      const before = takeStock()
      const { transport, stop } = await subject.create({ maxMessageBytes: 1_000_000 })
      await transport.close()
      await stop()
      await assertNothingLeft(before)
    })
  })
}

let idOfExact = 1000
