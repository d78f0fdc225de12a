import { expect, test } from 'vitest'
import { configFrom } from '../../../src/config/load/load.ts'
import { askAdmin, folderForTest, servingWithSocket } from '../../helpers/admin-client.ts'
import { startGateway } from '../../helpers/gateway.ts'
import { reload } from '../../helpers/reload.ts'
import { scriptedHttp, toolText } from '../../helpers/scripted-servers.ts'
import { LegacySession } from '../../helpers/wire-clients.ts'

/** Reloads beside each other, beside the end of the gateway, and beside the first lists of its servers. */

const CALL = '{"name":"a__t","arguments":{}}'
const DONE = '"result":{"content":[{"type":"text","text":"done"}]}'

test('a reload while the gateway ends keeps the calls in flight, and one after the end changes nothing', async () => {
  await using a = await scriptedHttp({ sessions: true })
  await using running = await startGateway({ mcpServers: { a: a.entry } })
  const { gateway, origin } = running
  const session = await LegacySession.open(origin)
  const answer = session.request('1', 'tools/call', CALL)
  const call = await a.called('t')
  const stopped = gateway.stop()
  const report = await reload(gateway, { mcpServers: { a: a.entry, b: a.entry } })
  expect(report.applied).toBe(true)
  call.answer(DONE)
  expect(await answer).toContain('done')
  await stopped
  const after = await reload(gateway, { mcpServers: {} })
  expect(after).toMatchObject({ applied: false, superseded: false })
  expect(gateway.status()).toHaveLength(2)
})

test('a reload while servers are listed for the first time leaves the lists and their clients alone', async () => {
  await using a = await scriptedHttp({ sessions: true })
  a.results.delete('tools/list')
  await using running = await startGateway({ mcpServers: {} })
  const { gateway, origin } = running
  await using session = await LegacySession.open(origin)
  await reload(gateway, { mcpServers: { a: a.entry } })
  await a.requests.take(({ method }) => method === 'tools/list', 'the list')
  const list = session.request('1', 'tools/list')
  for (const log of ['warn', 'error', 'info'])
    await reload(gateway, { mcpServers: { a: { ...a.entry, timeout: '9s' } }, gateway: { log } })
  const tools = `"result":{"tools":[${toolText('t')}]}`
  // Also that of the client, which may be over another link.
  a.requests.onItem(({ method, answer }) => void (method === 'tools/list' && answer(tools)))
  expect(await list).toContain('a__t')
})

test('of ten reloads at once the last one wins, and each of the others gets that as its answer', async () => {
  await using a = await scriptedHttp({ sessions: true })
  await using running = await startGateway({ mcpServers: { a: a.entry } })
  const { gateway } = running
  const configs = await Promise.all(
    Array.from({ length: 10 }, (_, at) =>
      configFrom({ mcpServers: { [`s${at}`]: a.entry }, gateway: { state: 'memory' } }, { env: {} }),
    ),
  )
  const reports = await Promise.all(configs.map(config => gateway.reload(config)))
  expect(reports.map(({ applied }) => applied)).toEqual([...Array<boolean>(9).fill(false), true])
  expect(reports.filter(({ superseded }) => superseded)).toHaveLength(9)
  expect(gateway.status()).toMatchObject([{ name: 's9' }])
})

const fileOf = (at: number | string): object => ({
  mcpServers: { [`s${at}`]: { url: 'http://127.0.0.1:9/mcp' } },
  gateway: { http: { port: 0 }, state: 'memory', log: 'info' },
})

test('ten commands, a signal and writes at once: all commands are answered, and the last file is in effect', async () => {
  const folder = folderForTest()
  const { served, socket } = await servingWithSocket(folder, folder.write('servers.json', fileOf('first')))
  const answers = []
  for (let at = 0; at < 10; at++) {
    folder.write('servers.json', fileOf(at))
    if (at % 3 === 0) process.kill(served.pid, 'SIGHUP')
    answers.push(askAdmin(socket, { method: 'POST', path: '/admin/reload', body: {} }))
  }
  for (const { status } of await Promise.all(answers)) expect(status).toBe(200)
  const names = async (): Promise<string[]> => {
    const { body } = await askAdmin(socket, { path: '/admin/status' })
    return (body as { servers: { name: string }[] }).servers.map(({ name }) => name)
  }
  await expect.poll(names, { timeout: 15_000 }).toEqual(['s9'])
}, 60_000)

test('two hundred writes in two seconds are few reloads, and the last one is in effect', async () => {
  const folder = folderForTest()
  const { served, socket } = await servingWithSocket(folder, folder.write('servers.json', fileOf('first')))
  for (let at = 0; at < 200; at++) {
    folder.write('servers.json', fileOf(at))
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  await expect
    .poll(async () => (await askAdmin(socket, { path: '/admin/status' })).text, { timeout: 20_000 })
    .toContain('"s199"')
  const reloads = served.said.split('has changed and is in effect').length - 1
  expect(reloads).toBeGreaterThan(0)
  // A file that is written without end is read once a second.
  expect(reloads).toBeLessThanOrEqual(10)
}, 60_000)
