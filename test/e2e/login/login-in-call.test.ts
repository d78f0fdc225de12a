import { PassThrough } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { startAuthorizationServer } from '../../helpers/authorization-server.ts'
import { logInAtLink } from '../../helpers/hosted-login.ts'
import type { AuthorizationServer } from '../../helpers/authorization-server.ts'
import { keyOf, withKeys } from '../../helpers/callers.ts'
import { startGateway, type TestGateway } from '../../helpers/gateway.ts'
import { Inbox } from '../../helpers/inbox.ts'
import { startProtectedServer } from '../../helpers/protected-server.ts'
import { LegacySession, ModernHttp, requestText, withEnvelope } from '../../helpers/wire-clients.ts'

/** Logins in the middle of calls, at a real authorization server, for every kind of client. */

const URL_ELICITATION = '{"elicitation":{"url":{}}}'

interface World {
  readonly gateway: TestGateway
  readonly authorization: AuthorizationServer
}

async function setUp(per: 'gateway' | 'client'): Promise<World> {
  const authorization = await startAuthorizationServer()
  const server = await startProtectedServer({
    issuer: authorization.issuer,
    introspection: authorization.resourceServer,
    scopesSupported: ['mcp'],
  })
  const gateway = await startGateway({
    mcpServers: { mail: { url: server.url, oauth: { per } } },
    clients: withKeys({ ann: {}, bob: {} }),
  })
  onTestFinished(async () => {
    await gateway[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
    await authorization[Symbol.asyncDispose]()
  })
  return { gateway, authorization }
}

/** A client of any kind: it gets questions of the gateway and answers them. */
interface Client {
  /** Sends a request, and has `onLink` do with an address to open what a user would. Resolves with the last message. */
  call(method: string, params: string, onLink: (url: string) => Promise<string>): Promise<string>
  readonly notifications: Inbox<string>
}

interface Kind {
  readonly front: 'stdio' | 'http'
  readonly modern: boolean
  readonly capabilities: string
}

async function connect({ gateway }: World, kind: Kind, name: string): Promise<Client> {
  const { front, modern, capabilities } = kind
  const notifications = new Inbox<string>()
  let ids = 0
  /** Modern: the question is in the result, and the answer in another request. */
  const rounds = async (
    send: (params: string) => Promise<string>,
    params: string,
    onLink: (url: string) => Promise<string>,
  ): Promise<string> => {
    const enveloped = (text: string): string =>
      withEnvelope(text).replace('/clientCapabilities":{}', () => `/clientCapabilities":${capabilities}`)
    const text = await send(enveloped(params))
    const { result } = JSON.parse(text) as { result?: Record<string, unknown> }
    if (result?.resultType !== 'input_required') return text
    const [[key, asked]] = Object.entries(result.inputRequests as object) as [
      [string, { params: { url: string; elicitationId?: string } }],
    ]
    expect(asked.params.elicitationId).toBeUndefined()
    const responses = JSON.stringify({ [key]: JSON.parse(await onLink(asked.params.url)) as unknown })
    const again = params.replace(
      /\}$/,
      `,"inputResponses":${responses},"requestState":${JSON.stringify(result.requestState)}}`,
    )
    return await send(enveloped(again))
  }
  if (front === 'http' && modern) {
    const client = new ModernHttp(gateway.origin, '/mcp', {
      headers: { authorization: `Bearer ${keyOf(name)}` },
    })
    onTestFinished(() => client[Symbol.asyncDispose]())
    return {
      notifications,
      call: (method, params, onLink) =>
        rounds(
          async text => {
            const response = await client.post(String(++ids), method, text)
            const body = await response.body
            return response.events.all.at(-1)?.data ?? body
          },
          params,
          onLink,
        ),
    }
  }
  if (front === 'http') {
    const session = await LegacySession.open(gateway.origin, {
      capabilities,
      headers: { authorization: `Bearer ${keyOf(name)}` },
    })
    onTestFinished(() => session[Symbol.asyncDispose]())
    ;(await session.listen()).events.onItem(({ data }) => notifications.push(data))
    return {
      notifications,
      async call(method, params, onLink) {
        const response = await session.post(requestText(String(++ids), method, params))
        response.events.onItem(({ data }) => {
          notifications.push(data)
          const asked = JSON.parse(data) as { method?: string; id: unknown; params: { url: string } }
          if (asked.method === 'elicitation/create')
            void onLink(asked.params.url).then(answer =>
              session.post(`{"jsonrpc":"2.0","id":${JSON.stringify(asked.id)},"result":${answer}}`),
            )
        })
        const body = await response.body
        return response.events.all.at(-1)?.data ?? body
      },
    }
  }
  // One of the configured clients, over a pair of streams in this process.
  const [input, output] = [new PassThrough(), new PassThrough()]
  const served = gateway.gateway.serveStdio(input, output, { client: name })
  onTestFinished(async () => {
    input.end()
    await served
  })
  let open = async (_url: string): Promise<string> => '{"action":"cancel"}'
  let rest = ''
  output.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      notifications.push(line)
      const asked = JSON.parse(line) as { method?: string; id: unknown; params: { url: string } }
      if (asked.method === 'elicitation/create')
        void open(asked.params.url).then(answer =>
          input.write(`{"jsonrpc":"2.0","id":${JSON.stringify(asked.id)},"result":${answer}}\n`),
        )
    }
  })
  const send = (method: string, params: string): Promise<string> => {
    const id = ++ids
    const answer = notifications.take(
      text => text.includes(`"id":${id},"result"`) || text.includes(`"id":${id},"error"`),
    )
    input.write(`${requestText(String(id), method, params)}\n`)
    return answer
  }
  if (!modern) {
    await send(
      'initialize',
      `{"protocolVersion":"2025-11-25","capabilities":${capabilities},"clientInfo":{"name":"wire","version":"1"}}`,
    )
    input.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
  }
  return {
    notifications,
    call: (method, params, onLink) => {
      open = onLink
      return modern ? rounds(text => send(method, text), params, onLink) : send(method, params)
    },
  }
}

/** The user opens a link: the page of the gateway, then that of the authorization server, then the callback. */
async function logIn(link: string, user = 'ada'): Promise<string> {
  expect(link).toContain('/oauth/login/')
  const { done } = await logInAtLink(link, { user })
  expect(done).toContain('You are logged in to mail')
  return '{"action":"accept","content":{}}'
}

const never = (url: string): Promise<string> => Promise.reject(new Error(`asked to open ${url}`))
const NAMES = /"name":"(mail__[a-z_]+)"/g
const namesIn = (text: string): string[] => [...text.matchAll(NAMES)].map(([, name]) => name as string)
const textIn = (text: string): string =>
  (JSON.parse(text) as { result: { content: [{ text: string }] } }).result.content[0].text

const KINDS: readonly (Kind & { readonly shows: boolean; readonly per: 'gateway' | 'client' })[] = (
  ['http', 'stdio'] as const
).flatMap(front =>
  [
    { modern: false, shows: true },
    { modern: false, shows: false },
    { modern: true, shows: true },
  ].flatMap(({ modern, shows }) =>
    (['gateway', 'client'] as const).map(per => ({
      front,
      modern,
      shows,
      per,
      capabilities: shows ? URL_ELICITATION : '{}',
    })),
  ),
)

test.each(KINDS)(
  '$front, modern: $modern, shows addresses: $shows, per $per: log_in, its lists, and a call',
  async kind => {
    const world = await setUp(kind.per)
    const client = await connect(world, kind, 'ann')
    expect(namesIn(await client.call('tools/list', '{}', never))).toEqual(['mail__log_in'])
    const answer = await client.call('tools/call', '{"name":"mail__log_in","arguments":{}}', logIn)
    if (kind.shows) expect(textIn(answer)).toContain('is logged in to server "mail"')
    else {
      const text = textIn(answer)
      expect(text).toContain('Server "mail" needs a login')
      expect(answer).not.toContain('"isError"')
      await logIn(/http:\S+$/.exec(text)?.[0] ?? '')
      const again = await client.call('tools/call', '{"name":"mail__log_in","arguments":{}}', never)
      expect(textIn(again)).toContain('is logged in to server "mail"')
    }
    expect(namesIn(await client.call('tools/list', '{}', never)).sort()).toEqual([
      'mail__admin',
      'mail__whoami',
    ])
    expect(
      textIn(await client.call('tools/call', '{"name":"mail__whoami","arguments":{}}', never)),
    ).toContain('ada')
    expect(world.gateway.gateway.status()[0]?.error).toBeUndefined()
    // The login is lost: the next call asks again, and goes on.
    await world.authorization.revoke('AccessToken')
    await world.authorization.revoke('RefreshToken')
    const lost = await client.call('tools/call', '{"name":"mail__whoami","arguments":{}}', link =>
      logIn(link, 'grace'),
    )
    if (kind.shows) expect(textIn(lost)).toContain('grace')
    else {
      expect(lost).toContain('"isError":true')
      expect(lost).toMatch(/"code":"needs_login"/)
      expect(textIn(lost)).toMatch(/open the following link in a browser.*http:\S+$/)
    }
    if (kind.shows && !kind.modern)
      expect(client.notifications.all.filter(text => text.includes('elicitation/complete'))).toHaveLength(2)
  },
)
