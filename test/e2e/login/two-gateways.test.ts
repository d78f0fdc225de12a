import { expect, onTestFinished, test } from 'vitest'
import { askAdmin, envOf, folderForTest, socketsIn, type AdminAnswer } from '../../helpers/admin-client.ts'
import { startAuthorizationServer } from '../../helpers/authorization-server.ts'
import { logInAtLink } from '../../helpers/hosted-login.ts'
import { startProtectedServer } from '../../helpers/protected-server.ts'
import { BIN, serve, type Served } from '../../helpers/served.ts'
import { ModernHttp, withEnvelope } from '../../helpers/wire-clients.ts'

/** Gateways that share a state store share its logins, and the admin API of each begins and ends them. */

async function call(served: Served): Promise<string> {
  await using client = new ModernHttp(served.origin)
  return await client.request('1', 'tools/call', withEnvelope('{"name":"mail__whoami","arguments":{}}'))
}

test('a login by the admin API of one gateway serves the other one, whose logout ends it in both', async () => {
  const folder = folderForTest()
  await using authorization = await startAuthorizationServer()
  const { issuer, resourceServer: introspection } = authorization
  await using server = await startProtectedServer({ issuer, introspection, scopesSupported: ['mcp'] })
  const file = folder.write('servers.json', {
    mcpServers: { mail: { url: server.url } },
    gateway: {
      http: { port: 0 },
      state: `lmdb:${folder.path}/shared`,
      vault: { keySource: 'file' },
      watch: false,
    },
  })
  const start = async (): Promise<Served> => {
    const served = await serve([BIN, 'serve', '--config', file], { env: envOf(folder) })
    onTestFinished(async () => void (await served.stop()))
    return served
  }
  const one = await start()
  await expect.poll(() => socketsIn(folder.path).length).toBe(1)
  const [first = ''] = socketsIn(folder.path)
  const other = await start()
  await expect.poll(() => socketsIn(folder.path).length).toBe(2)
  const second = socketsIn(folder.path).find(socket => socket !== first) ?? ''
  const post = async (socket: string, what: string): Promise<AdminAnswer> =>
    await askAdmin(socket, { method: 'POST', path: `/admin/servers/mail/${what}`, body: {} })

  const begun = await post(first, 'login')
  expect(begun).toMatchObject({ status: 200, body: { server: 'mail', owner: 'gateway' } })
  const { done } = await logInAtLink(begun.body.url as string)
  expect(done).toContain('You are logged in to mail')
  for (const served of [one, other])
    await expect.poll(() => call(served), { timeout: 20_000 }).toContain('"text":"ada"')
  const listed = await askAdmin(second, { path: '/admin/credentials' })
  expect(listed.body).toMatchObject({ credentials: [{ server: 'mail', owner: 'gateway', usable: true }] })
  expect(listed.text).not.toMatch(/token/i)

  expect(await post(second, 'logout')).toMatchObject({ status: 200, body: { found: true, revoked: true } })
  for (const served of [one, other])
    await expect.poll(() => call(served), { timeout: 20_000 }).toContain('needs a login')
  expect((await post(first, 'logout')).body).toMatchObject({ found: false })
  expect((await post(first, 'nothing')).status).toBe(404)
})
