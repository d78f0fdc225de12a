import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import {
  accountFaults,
  type AccountCall,
  type AccountTool,
  type RequestsOfServers,
} from '../../helpers/account-check.ts'
import { spawnAuthorizationServer } from '../../helpers/authorization-server.ts'
import { logInAtLink } from '../../helpers/hosted-login.ts'
import { callAs, keyOf, withKeys } from '../../helpers/callers.ts'
import { startGateway, type TestGateway } from '../../helpers/gateway.ts'
import { spawnProtectedServer } from '../../helpers/protected-server.ts'
import { rng } from '../../helpers/rng.ts'
import { StdioClient } from '../../helpers/wire-clients.ts'

/**
 * Many clients with an account of their own at each server, over one gateway: both eras, HTTP and stdio, calls that are
 * equal for all of them, and tokens that end every few seconds.
 */

const CALLS = Number(process.env['CREDENTIAL_CALLS'] ?? 600)
const CLIENTS = ['ann', 'bea', 'cleo', 'dora', 'elsa', 'fay'] as const
const SERVERS = ['sessions', 'both'] as const
const TOKEN_SECONDS = 6
/** The calls take at least as long as this many tokens live. */
const LIVES = 1.5
const SEED = 20260728

interface Connection extends AsyncDisposable {
  readonly client: string
  request(method: string, params: string): Promise<string>
}

interface Run {
  readonly calls: readonly AccountCall[]
  readonly requests: RequestsOfServers
  /** Of the tool `known` of both servers. */
  readonly counts: { readonly hits: number; readonly coalesced: number; readonly misses: number }
  readonly renewals: number
}

/** Each client four times: over HTTP and stdio, in both eras. */
async function connections({ gateway, origin }: TestGateway): Promise<Connection[]> {
  const all = CLIENTS.flatMap(client =>
    [false, true].flatMap(modern => [
      async (): Promise<Connection> => {
        const caller = await callAs(origin, keyOf(client), { modern })
        if (!caller) throw new Error(`there is no endpoint for ${client}`)
        return {
          client,
          request: (method, params) => caller.request(method, params),
          [Symbol.asyncDispose]: () => caller[Symbol.asyncDispose](),
        }
      },
      async (): Promise<Connection> => {
        const stdio = modern
          ? new StdioClient(gateway, true, client)
          : await StdioClient.legacy(gateway, { client })
        let ids = 0
        return {
          client,
          request: (method, params) => stdio.request(String(++ids), method, params),
          [Symbol.asyncDispose]: () => stdio[Symbol.asyncDispose](),
        }
      },
    ]),
  )
  return await Promise.all(all.map(connect => connect()))
}

async function callTool({ request }: Connection, name: string, args: object): Promise<string> {
  const answer = await request('tools/call', JSON.stringify({ name, arguments: args }))
  const { result } = JSON.parse(answer) as { result?: { content?: readonly { text?: string }[] } }
  return result?.content?.[0]?.text ?? answer
}

/** A person opens the link that a call without a login gets, and logs in as `user`. */
async function logIn(text: string, user: string): Promise<void> {
  const link = /http:\S+$/.exec(text)?.[0]
  if (link === undefined) throw new Error(`no link: ${text}`)
  await logInAtLink(link, { user })
}

/** Every client logs in at a server under its own name, until its calls are answered. */
async function logInAll(open: readonly Connection[], server: string): Promise<void> {
  const first = (client: string): Connection => open.find(one => one.client === client) as Connection
  for (const client of CLIENTS) {
    const names = await first(client).request('tools/list', '{}')
    const tool = names.includes(`${server}__log_in`) ? 'log_in' : 'whoami'
    const text = await callTool(first(client), `${server}__${tool}`, {})
    if (text === 'ann') continue
    await logIn(text, client)
    await callTool(first(client), `${server}__${tool}`, {})
    await expect.poll(() => first(client).request('tools/list', '{}')).toContain(`${server}__known`)
  }
}

async function run(count: number, per: 'client' | 'gateway', lives: number): Promise<Run> {
  await using authorization = await spawnAuthorizationServer({
    tokens: 'jwt',
    accessTokenSeconds: TOKEN_SECONDS,
  })
  const options = { issuer: authorization.issuer, scopesSupported: ['mcp'], echo: ['own', 'known'] }
  await using sessions = await spawnProtectedServer({ ...options, sdk: 'v1' })
  await using both = await spawnProtectedServer({ ...options, sdk: 'v2' })
  const entry = (url: string): object => ({
    url,
    oauth: { per },
    tools: {
      // A tool that may change something would make what is kept of its server out of date with each call.
      own: { readOnly: true },
      whoami: { readOnly: true },
      known: { cache: { ttl: '1h', scope: 'shared' } },
    },
  })
  await using running = await startGateway({
    mcpServers: { sessions: entry(sessions.url), both: entry(both.url) },
    clients: withKeys(Object.fromEntries(CLIENTS.map(name => [name, {}]))),
  })
  const open = await connections(running)
  try {
    for (const server of SERVERS) await logInAll(open, server)
    const calls = await interleaved(open, count, lives)
    const of = running.gateway.cacheCounts().filter(({ tool }) => tool === 'known')
    const sum = (member: 'hits' | 'coalesced' | 'misses'): number =>
      of.reduce((total, counts) => total + counts[member], 0)
    return {
      calls,
      requests: new Map([
        ['sessions', await sessions.requests()],
        ['both', await both.requests()],
      ]),
      counts: { hits: sum('hits'), coalesced: sum('coalesced'), misses: sum('misses') },
      renewals: (await authorization.happened()).redemptions['refresh_token'] ?? 0,
    }
  } finally {
    for (const one of open) await one[Symbol.asyncDispose]()
  }
}

/** Rounds in which each connection calls both servers at once. Half of the calls are equal to those of other clients. */
async function interleaved(
  open: readonly Connection[],
  count: number,
  lives: number,
): Promise<AccountCall[]> {
  const random = rng(SEED)
  const calls: AccountCall[] = []
  const call = async (connection: Connection, server: string, round: number): Promise<void> => {
    const { client } = connection
    const tool: AccountTool = random() < 0.5 ? 'own' : 'known'
    const args =
      tool === 'own'
        ? { at: Math.floor(random() * 1e9), client }
        : { at: Math.max(0, round - Math.floor(random() * 3)) }
    calls.push({ client, server, tool, args, answer: await callTool(connection, `${server}__${tool}`, args) })
  }
  const rounds = Math.ceil(count / (open.length * SERVERS.length))
  const began = performance.now()
  for (let round = 0; round < rounds; round++) {
    await Promise.all(open.flatMap(one => SERVERS.map(server => call(one, server, round))))
    const due = (lives * TOKEN_SECONDS * 1000 * (round + 1)) / rounds
    await pause(Math.max(0, began + due - performance.now()))
  }
  return calls
}

const known = (calls: readonly AccountCall[]): readonly AccountCall[] =>
  calls.filter(({ tool }) => tool === 'known')

test(`${CALLS} interleaved calls of ${CLIENTS.length} clients use the account of their own client alone`, async () => {
  const { calls, requests, counts, renewals } = await run(CALLS, 'client', LIVES)
  expect(calls.length).toBeGreaterThanOrEqual(CALLS)
  expect(accountFaults(calls, requests)).toEqual([])

  // Equal calls of one client: one of them reached the server, the others got its answer.
  const keys = new Set(known(calls).map(({ client, server, args }) => `${client} ${server} ${args.at}`))
  expect(counts.misses - counts.coalesced).toBe(keys.size)
  expect(counts.hits + counts.misses).toBe(known(calls).length)
  expect(counts.hits).toBeGreaterThan(0)
  expect(counts.coalesced).toBeGreaterThan(0)

  const tokens = [...requests].flatMap(([server, all]) =>
    CLIENTS.map(client => {
      const used = all.filter(({ subject }) => subject === client).map(({ authorization }) => authorization)
      return [`${client} at ${server}`, new Set(used).size] as const
    }),
  )
  for (const [who, count] of tokens) expect(count, `tokens of ${who}`).toBeGreaterThan(1)
  console.log(
    `${calls.length} calls, ${known(calls).length} of them cacheable: ${keys.size} reached a server, ${counts.hits} ` +
      `were known, ${counts.coalesced} shared a call. ${renewals} renewals, ` +
      `${tokens.reduce((total, [, count]) => total + count, 0)} tokens.`,
  )
  expect(seededFaults(calls, requests)).toEqual([])
}, 900_000)

/** Faults that are put into a good run one at a time. Returns those that are not found. */
function seededFaults(calls: readonly AccountCall[], requests: RequestsOfServers): string[] {
  const [first] = calls.filter(({ tool }) => tool === 'own') as [AccountCall]
  const other = (tool: AccountTool): AccountCall =>
    calls.find(call => call.tool === tool && call.client !== first.client) as AccountCall
  const twin = known(calls).find(
    ({ client, server, args }) =>
      server === other('known').server &&
      client !== other('known').client &&
      args.at === other('known').args.at,
  ) as AccountCall
  const withAnswer = (call: AccountCall, answer: string): readonly AccountCall[] =>
    calls.map(one => (one === call ? { ...one, answer } : one))
  const withRequests = (change: (all: RequestsOfServers) => void): RequestsOfServers => {
    const copy = new Map([...requests].map(([server, all]) => [server, structuredClone(all)] as const))
    change(copy)
    return copy
  }
  const served = (all: RequestsOfServers, server: string, tool: AccountTool) =>
    (all.get(server) ?? []).filter(request => request.tool === tool && request.status === 200)
  const seeded: readonly (readonly [string, readonly AccountCall[], RequestsOfServers])[] = [
    ['the answer of another call', withAnswer(first, other('own').answer), requests],
    ['a kept answer of another client', withAnswer(twin, other('known').answer), requests],
    ['an error', withAnswer(first, 'Server "both" needs a login.'), requests],
    ['a call without an answer', calls.filter(call => call !== first), requests],
    ...SERVERS.map(
      server =>
        [
          `a token of another client at ${server}`,
          calls,
          withRequests(all => {
            const [one, ...others] = served(all, server, 'own')
            const theirs = others.find(({ subject }) => subject !== one?.subject)
            Object.assign(one ?? {}, { subject: theirs?.subject, authorization: theirs?.authorization })
          }),
        ] as const,
    ),
    [
      'a session of two clients',
      calls,
      withRequests(all => {
        const [one, ...others] = served(all, 'sessions', 'own')
        Object.assign(one ?? {}, { session: others.find(({ subject }) => subject !== one?.subject)?.session })
      }),
    ],
    [
      'a cacheable call that reached its server twice',
      calls,
      new Map(
        [...requests].map(([server, all]) => [
          server,
          [...all, ...served(requests, server, 'known').slice(0, 1)],
        ]),
      ),
    ],
  ]
  return seeded.flatMap(([what, made, seen]) => (accountFaults(made, seen).length > 0 ? [] : [what]))
}

test('with one account for all clients, the same check finds answers, tokens and sessions of others', async () => {
  const { calls, requests } = await run(144, 'gateway', 0)
  const faults = accountFaults(calls, requests).join('\n')
  expect(faults).toContain('bea asked for own {')
  expect(faults).toMatch(/asked for known \{"at":\d+\} and got the answer for ann/)
  expect(faults).toMatch(/a call of bea came with the token of ann/)
  expect(faults).toMatch(/one call answered \w+ known \{"at":\d+\} and \w+ known/)
})
