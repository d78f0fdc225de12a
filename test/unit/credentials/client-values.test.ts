import { describe, expect, test } from 'vitest'
import { configFrom } from '../../../src/config/load/load.ts'
import type { Endpoint } from '../../../src/config/replica-types.ts'
import type { ServerConfig } from '../../../src/config/types.ts'
import { clientPrincipal, LOCAL } from '../../../src/core/principal.ts'
import type { UpstreamCredentials } from '../../../src/core/upstream-credentials.ts'
import { ClientValues } from '../../../src/credentials/client-values.ts'
import { linkCredentials, type CredentialSource } from '../../../src/credentials/upstream-credentials.ts'
import { describeUpstreamCredentials, type CredentialsSetup } from '../../contract/upstream-credentials.ts'

const URL_ENTRY = {
  url: 'https://peer.example/mcp/${client.team}?key=${client.token}',
  headers: { Authorization: 'Bearer ${client.token}', 'x-fixed': 'f' },
}
const CLIENTS = {
  poor: { values: { team: 'poor' } },
  ci: { values: { token: 'secret-of-ci', team: 'a/b?' } },
  cd: { values: { token: 'secret-of-cd', team: 'cd' } },
}
const [CI, CD, POOR] = ['ci', 'cd', 'poor'].map(clientPrincipal)

async function read(
  entry: object = URL_ENTRY,
  clients: object = CLIENTS,
): Promise<{ server: ServerConfig; endpoint: Endpoint; values: ClientValues }> {
  const { servers, clients: resolved } = await configFrom(
    { mcpServers: { peer: entry }, clients },
    { env: {} },
  )
  const [server] = servers
  if (!server || server.problem !== undefined) throw new Error(server?.problem)
  const endpoint = server.replicas[0]?.endpoint as Endpoint
  return { server, endpoint, values: new ClientValues(resolved) }
}

async function ready(others?: CredentialSource): Promise<CredentialsSetup> {
  const { server, endpoint, values } = await read()
  const { credentials } = linkCredentials(values, others)
  const change = async (): Promise<void> => {
    const other = await configFrom(
      { clients: { ci: { values: { token: 'second', team: 't' } } } },
      { env: {} },
    )
    values.reconfigure(other.clients)
  }
  return { credentials: credentials(server, CI, endpoint) as UpstreamCredentials, change }
}

async function lacking(): Promise<CredentialsSetup> {
  const { server, endpoint, values } = await read()
  return { credentials: linkCredentials(values).credentials(server, POOR, endpoint) as UpstreamCredentials }
}

const secrets = ['secret-of-ci', 'secret-of-cd', 'second', 'of-other']
describeUpstreamCredentials('values of a client', { server: 'peer', ready, lacking, secrets })

const fixed: UpstreamCredentials = {
  headers: () => FIXED,
  refused: () => Promise.reject(new Error('not asked')),
}
const FIXED = ['x-other', 'of-other']
const asked: UpstreamCredentials = {
  ...fixed,
  refused: async refusal => (await lacking()).credentials.refused(refusal),
}
describeUpstreamCredentials('values of a client beside a login', {
  server: 'peer',
  ready: () => ready(() => asked),
  lacking,
  secrets,
})

test('a login wins over a header of the same name with a value of the client', async () => {
  const login = { ...fixed, headers: () => ['authorization', 'Bearer of-other'] }
  const { credentials } = await ready(() => login)
  expect(credentials.headers({ method: 'POST', url: '' })).toEqual(['authorization', 'Bearer of-other'])
})

describe('values of clients', () => {
  test('are in the headers, the address and the program of the links of their client alone', async () => {
    const { server, endpoint, values } = await read()
    const { credentials, endpointFor } = linkCredentials(values)
    expect(server).toMatchObject({ perClient: true, clientValues: ['team', 'token'] })
    expect(endpointFor(endpoint, server, CI)).toMatchObject({
      url: 'https://peer.example/mcp/a%2Fb%3F?key=secret-of-ci',
      headers: { 'x-fixed': 'f' },
    })
    expect(credentials(server, CD, endpoint)?.headers({ method: 'POST', url: '' })).toEqual([
      'authorization',
      'Bearer secret-of-cd',
    ])
    const program = await read({
      command: 'x',
      args: ['--as=${client.team}'],
      env: { KEY: 'k ${client.token}' },
    })
    expect(program.values.endpoint(program.endpoint, program.server, CD)).toMatchObject({
      args: ['--as=cd'],
      env: { KEY: 'k secret-of-cd' },
    })
  })

  test('of the first client that has all of them are lent to the gateway itself', async () => {
    const { server, endpoint, values } = await read()
    expect(values.endpoint(endpoint, server, undefined)).toMatchObject({
      url: 'https://peer.example/mcp/a%2Fb%3F?key=secret-of-ci',
    })
    const none = await read(URL_ENTRY, {})
    expect(() => none.values.endpoint(none.endpoint, none.server, undefined)).toThrow(
      'Server "peer" needs values of each client, and no client has all of them. Fix: add "team" to "clients.<name>.values".',
    )
  })

  test('that are missing are named together with the client and the fix', async () => {
    const { server, endpoint, values } = await read()
    expect(() => values.endpoint(endpoint, server, POOR)).toThrow(
      'Server "peer" needs the value "token" of each client, and the client "poor" has none. Fix: add "token" to "clients.poor.values".',
    )
    expect(() => values.endpoint(endpoint, server, LOCAL)).toThrow(
      'and the caller "local" is no configured client',
    )
  })

  test('make no placeholder of a text that contains one', async () => {
    const { server, endpoint, values } = await read(
      { command: 'x', args: ['${client.a}'] },
      { ci: { values: { a: '$${client.b}', b: 'b' } } },
    )
    expect(values.endpoint(endpoint, server, CI)).toMatchObject({ args: ['${client.b}'] })
  })

  test.each([
    [{ command: '${client.a}' }, 'which is no variable'],
    [{ command: 'x', cwd: '${client.a}' }, 'which is no variable'],
    [{ url: 'https://h', headers: { a: '${client.9}' } }, 'which is no variable'],
    [{ url: 'https://h', headers: { a: '$${client.a}' } }, 'which is no variable'],
    [{ url: 'https://${client.a}.example/' }, 'has a value of the client in its host'],
    [{ url: 'https://h/${client.a}', isolation: 'shared' }, 'lets all clients share one link'],
  ])('cannot be used in %j', async (entry, what) => {
    await expect(read(entry, { ci: { values: { a: 'a' } } }).then(({ server }) => server)).rejects.toThrow(
      what,
    )
  })

  test('that no client has are a warning', async () => {
    const { warnings } = await configFrom({ mcpServers: { peer: URL_ENTRY } }, { env: {} })
    expect(warnings).toContain(
      'The server "peer" uses ${client.token}, which no client has. Add it to "clients.<name>.values".',
    )
  })
})
