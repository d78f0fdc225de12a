import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, onTestFinished, test } from 'vitest'
import { Subscriptions } from '../../src/relay/subscriptions.ts'
import { startGateway } from '../helpers/gateway.ts'
import { scriptedHttp, toolText } from '../helpers/scripted-servers.ts'
import { ModernHttp } from '../helpers/wire-clients.ts'

test('of the modern links that the gateway closes when they are idle none is kept', async () => {
  await using a = await scriptedHttp()
  const capabilities = '{"tools":{"listChanged":true}}'
  a.results.set(
    'server/discover',
    `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":${capabilities}}`,
  )
  a.results.set('tools/list', `{"resultType":"complete","tools":[${toolText('t')}]}`)
  a.results.set('tools/call', '{"resultType":"complete","content":[]}')
  const links: WeakRef<object>[] = []
  const { opened } = Subscriptions.prototype
  // A spy would keep its arguments.
  Subscriptions.prototype.opened = function (slot, link) {
    links.push(new WeakRef(link))
    opened.call(this, slot, link)
  }
  onTestFinished(() => void (Subscriptions.prototype.opened = opened))
  await using running = await startGateway({ mcpServers: { a: { ...a.entry, idle: '1s' } } })
  const { gateway, origin } = running
  let closed = 0
  gateway.on('link.closed', () => void closed++)
  const client = new ModernHttp(origin)
  for (let times = 1; times <= 3; times++) {
    const answer = await client.request(String(times), 'tools/call', '{"name":"a__t","arguments":{}}')
    expect(answer).toContain('complete')
    await expect.poll(() => closed, { timeout: 10_000 }).toBe(times)
  }
  expect(links).toHaveLength(3)
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const alive = (): number => {
    collect()
    return links.filter(link => link.deref()).length
  }
  // What was said of a server last may hold the link that it was said over.
  await expect.poll(alive, { timeout: 10_000, interval: 100 }).toBeLessThanOrEqual(1)
})
