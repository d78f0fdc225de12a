import { expect, test } from 'vitest'
import { SILENT } from '../../../src/core/logger.ts'
import { openStore } from '../../../src/state/open.ts'
import { startGateway } from '../../helpers/gateway.ts'
import { reload } from '../../helpers/reload.ts'
import { makeScratch } from '../../helpers/scratch.ts'
import { scriptedHttp } from '../../helpers/scripted-servers.ts'
import { LegacySession } from '../../helpers/wire-clients.ts'

test('cached results in a shared store stay when another cached server is added', async () => {
  await using scratch = makeScratch()
  await using a = await scriptedHttp({ sessions: true })
  const server = { ...a.entry, tools: { t: { cache: { ttl: '10m', scope: 'shared' } } } }
  const store = await openStore(`lmdb:${scratch.path}/state`, SILENT)
  await using running = await startGateway({ mcpServers: { a: server } }, { store })
  const { gateway, origin } = running
  await gateway.warmUp()
  const answer = (text: string): void =>
    void a.results.set('tools/call', `{"content":[{"type":"text","text":"${text}"}]}`)
  await using session = await LegacySession.open(origin)
  let id = 0
  const call = (): Promise<string> =>
    session.request(String(++id), 'tools/call', '{"name":"a__t","arguments":{}}')
  answer('first')
  const hits = (): number => gateway.cacheCounts().reduce((sum, counts) => sum + counts.hits, 0)
  await expect.poll(async () => (await call()) && hits(), { timeout: 10_000 }).toBeGreaterThan(0)
  answer('second')
  await reload(gateway, { mcpServers: { a: server, b: server } })
  // Longer than the pause between two readings of what other processes have changed.
  await new Promise(resolve => setTimeout(resolve, 1500))
  expect(await call()).toContain('first')
})
