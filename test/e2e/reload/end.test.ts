import { setTimeout as later } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { askAdmin, folderForTest, servingWithSocket } from '../../helpers/admin-client.ts'
import { scriptedHttp } from '../../helpers/scripted-servers.ts'
import { ModernHttp } from '../../helpers/wire-clients.ts'

const FAST_TIMERS = new URL('../../fixtures/programs/fast-timers.js', import.meta.url).href

test('a call in flight at the end may take the shutdownTimeout that a reload has raised', async () => {
  await using a = await scriptedHttp({ sessions: true })
  const folder = folderForTest()
  const write = (shutdownTimeout: string): string =>
    folder.write('servers.json', {
      mcpServers: { a: a.entry },
      gateway: { http: { port: 0 }, state: 'memory', watch: false, shutdownTimeout },
    })
  const env = { NODE_OPTIONS: `--import ${FAST_TIMERS}` }
  const { served, socket } = await servingWithSocket(folder, write('1s'), { env })
  write('100s')
  const reloaded = await askAdmin(socket, { method: 'POST', path: '/admin/reload', body: {} })
  expect(reloaded.body).toMatchObject({ applied: true })
  const client = new ModernHttp(served.origin)
  const answer = client.request('1', 'tools/call', '{"name":"a__t","arguments":{}}')
  const call = await a.called('t')
  process.kill(served.pid, 'SIGTERM')
  // The end would come after (1 s + 15 s) / 10 with the former value.
  await later(3000)
  call.answer('"result":{"content":[{"type":"text","text":"done"}]}')
  expect(await answer).toContain('done')
  expect(await served.exited).toBe(0)
})
