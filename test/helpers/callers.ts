import { createHash } from 'node:crypto'
import { Agent, type OutgoingHttpHeaders } from 'node:http'
import { keyDigestOf, API_KEY_PREFIX } from '../../src/auth/key-records.ts'
import { Inbox } from './inbox.ts'
import {
  http,
  LegacySession,
  ModernHttp,
  requestText,
  withEnvelope,
  type WireResponse,
} from './wire-clients.ts'

/** Clients as a test defines them, and as they call: over HTTP, with credentials. */

/** The key of a client in tests: the same one for the same name. */
export function keyOf(client: string): string {
  return API_KEY_PREFIX + createHash('sha256').update(`key of ${client}`).digest('base64url')
}

/** Clients with their keys, as `clients` in a configuration. */
export function withKeys(clients: Readonly<Record<string, object>>): Record<string, object> {
  return Object.fromEntries(
    Object.entries(clients).map(([name, entry]) => [
      name,
      { keys: [`sha256:${keyDigestOf(keyOf(name))}`], ...entry },
    ]),
  )
}

/** The headers of a client with a key or a token; none for `undefined`. */
export function bearer(credential: string | undefined): OutgoingHttpHeaders {
  return credential === undefined ? {} : { authorization: `Bearer ${credential}` }
}

export interface Caller extends AsyncDisposable {
  readonly modern: boolean
  /** Everything that was sent apart from answers, as text. */
  readonly notifications: Inbox<string>
  /** Result of `initialize` or of `server/discover`, as text. */
  readonly greeting: string
  /** Sends a request and resolves with the answering message. `params` is text. */
  request(method: string, params?: string): Promise<string>
  /** The same with everything that is told of it over HTTP. */
  post(method: string, params?: string): Promise<WireResponse>
  /** Legacy: sends a message that gets no answer, such as the answer to a question. */
  say(text: string): Promise<void>
  /** Modern: opens a listen stream with these notifications and resolves with the acknowledgement. */
  listen(filter: string): Promise<string>
}

export interface CallerOptions {
  readonly modern: boolean
  /** Name of a profile or a server; default: everything. */
  readonly endpoint?: string
  readonly capabilities?: string
}

/** The caller with these credentials. `undefined` where the endpoint does not exist for them. */
export async function callAs(
  origin: string,
  credential: string | undefined,
  { modern, endpoint = '', capabilities = '{}' }: CallerOptions,
): Promise<Caller | undefined> {
  const path = endpoint === '' ? '/mcp' : `/mcp/${endpoint}`
  const agent = new Agent({ keepAlive: true })
  const options = { headers: bearer(credential), agent }
  // Nothing to end: what is answered tells only whether the endpoint is there, and counts for no limit.
  const probe = await http(origin + path, { method: 'DELETE', headers: options.headers, agent })
  await probe.body
  if (probe.status === 404) {
    agent.destroy()
    return undefined
  }
  const notifications = new Inbox<string>()
  let ids = 0
  const hear = (response: WireResponse): void =>
    response.events.onItem(({ data }) => notifications.push(data))
  /** The last message of a response; what came before it goes where notifications go. */
  const answer = async (response: WireResponse): Promise<string> => {
    const body = await response.body
    if (!String(response.headers['content-type']).startsWith('text/event-stream')) return body
    const events = response.events.all.map(({ data }) => data)
    for (const text of events.slice(0, -1)) notifications.push(text)
    return events.at(-1) ?? ''
  }
  if (modern) {
    const client = new ModernHttp(origin, path, options)
    const post = (method: string, params?: string): Promise<WireResponse> =>
      client.post(
        String(++ids),
        method,
        withEnvelope(params).replace('/clientCapabilities":{}', () => `/clientCapabilities":${capabilities}`),
      )
    const request = async (method: string, params?: string): Promise<string> =>
      await answer(await post(method, params))
    return {
      modern,
      notifications,
      greeting: await request('server/discover'),
      request,
      post,
      say: () => Promise.reject(new Error('A modern client answers by a retry.')),
      async listen(filter) {
        const stream = await post('subscriptions/listen', `{"notifications":${filter}}`)
        hear(stream)
        return await notifications.take(text => text.includes('/acknowledged"'), 'the acknowledgement')
      },
      async [Symbol.asyncDispose]() {
        await client[Symbol.asyncDispose]()
        agent.destroy()
      },
    }
  }
  const session = await LegacySession.open(origin, { path, capabilities, ...options })
  hear(await session.listen())
  const post = (method: string, params?: string): Promise<WireResponse> =>
    session.post(requestText(String(++ids), method, params))
  return {
    modern,
    notifications,
    greeting: session.greeting,
    request: async (method, params) => await answer(await post(method, params)),
    post,
    async say(text) {
      await (
        await session.post(text)
      ).body
    },
    listen: () => Promise.reject(new Error('A legacy client subscribes by request.')),
    async [Symbol.asyncDispose]() {
      await session[Symbol.asyncDispose]()
      agent.destroy()
    },
  }
}
