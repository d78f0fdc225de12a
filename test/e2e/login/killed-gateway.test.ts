import { expect, onTestFinished, test } from 'vitest'
import { folderForTest, envOf } from '../../helpers/admin-client.ts'
import { Browser, startAuthorizationServer } from '../../helpers/authorization-server.ts'
import { agreeAtLink } from '../../helpers/hosted-login.ts'
import { startProtectedServer } from '../../helpers/protected-server.ts'
import { freePort } from '../../helpers/served.ts'
import { BIN, serve, type Served } from '../../helpers/served.ts'
import { ModernHttp, withEnvelope } from '../../helpers/wire-clients.ts'

/** A gateway is killed while people log in, and another one starts at its address. */

const LINK = /http:\/\/127\.0\.0\.1:\d+\/oauth\/login\/[\w-]+/

async function call({ origin }: Served, server: string): Promise<string> {
  await using client = new ModernHttp(origin)
  return await client.request('1', 'tools/call', withEnvelope(`{"name":"${server}__whoami","arguments":{}}`))
}

/** What a call that needs a login gets the link from: the tool of a server that was never listed, or any other. */
async function linkOf(served: Served, server: string): Promise<string> {
  await using client = new ModernHttp(served.origin)
  const tool = withEnvelope(`{"name":"${server}__log_in","arguments":{}}`)
  await expect.poll(() => client.request('1', 'tools/call', tool), { timeout: 20_000 }).toMatch(LINK)
  return LINK.exec(await client.request('2', 'tools/call', tool))?.[0] ?? ''
}

test.each(['memory', 'lmdb'] as const)('with state in %s', async kind => {
  const folder = folderForTest()
  await using authorization = await startAuthorizationServer()
  const { issuer, resourceServer: introspection } = authorization
  await using server = await startProtectedServer({ issuer, introspection, scopesSupported: ['mcp'] })
  const file = folder.write('servers.json', {
    mcpServers: { mail: { url: server.url }, notes: { url: server.url } },
    gateway: {
      http: { port: await freePort() },
      state: kind === 'memory' ? kind : `lmdb:${folder.path}/state`,
      vault: { keySource: 'file' },
    },
  })
  const start = async (): Promise<Served> => {
    const served = await serve([BIN, 'serve', '--config', file], { env: envOf(folder) })
    onTestFinished(async () => void (await served.stop()))
    return served
  }
  const first = await start()
  // One login waits for its callback, and another one for its person.
  const [browser, other] = [new Browser(), new Browser()]
  const { back } = await agreeAtLink(await linkOf(first, 'mail'), { browser })
  const unopened = await linkOf(first, 'notes')
  process.kill(first.pid, 'SIGKILL')
  expect(await first.exited).toBe(null)

  const second = await start()
  expect(second.origin).toBe(first.origin)
  const callback = await browser.ask(back)
  const page = await callback.text()
  const opened = await other.ask(unopened)
  const link = await opened.text()
  if (kind === 'lmdb') {
    // The logins go on.
    expect(page).toContain('You are logged in to mail')
    expect(link).toContain('Log in to notes?')
  } else {
    expect([callback.status, page]).toEqual([
      404,
      expect.stringContaining('No login of this gateway waits for it'),
    ])
    expect(page).toContain('Make the call in your MCP client again')
    expect([opened.status, link]).toEqual([404, expect.stringContaining('of a gateway that has ended')])
    expect((await authorization.happened()).redemptions['authorization_code']).toBeUndefined()
    const again = await linkOf(second, 'mail')
    const done = await browser.go((await agreeAtLink(again, { browser })).back)
    expect(done.page).toContain('You are logged in to mail')
  }
  await expect.poll(() => call(second, 'mail'), { timeout: 20_000 }).toContain('"text":"ada"')
})
