import { expect, test } from 'vitest'
import { createGateway } from '../../../src/index.ts'
import { loadWithSource } from '../../../src/config/load/load.ts'
import { FileSource } from '../../../src/config/source/file-source.ts'
import { readConfig, type ReadRequest } from '../../../src/config/source/reading.ts'
import { Reloader } from '../../../src/config/source/reloader.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { startGateway } from '../../helpers/gateway.ts'
import { RecordedEvents } from '../../helpers/recorded-events.ts'
import { reload } from '../../helpers/reload.ts'
import { makeScratch } from '../../helpers/scratch.ts'

/** What reloads tell, whichever way a configuration comes. */

const URL_OF = (port: number): object => ({ url: `http://127.0.0.1:${port}/mcp` })
const FILE = { mcpServers: { a: URL_OF(9) }, gateway: { http: { port: 0 }, state: 'memory' } }

test(
  'a file that cannot be used is reported once, and the next valid one is applied',
  { timeout: 20_000 },
  async () => {
    await using scratch = makeScratch()
    const file = scratch.write('servers.json', FILE)
    const { config } = await loadWithSource({ file, env: {} })
    await using running = await startGateway(FILE)
    const heard = new RecordedEvents(running.gateway)
    const load = (request: ReadRequest) => ({ reading: readConfig(request), stop: () => undefined })
    const source = new FileSource({ file, logger: SILENT, load })
    const reloader = new Reloader({ source, target: running.gateway, config, logger: SILENT })
    scratch.write('servers.json', '{ "mcpServers": { "a": { "url": 7 } }')
    expect(await reloader.reload()).toMatchObject({ outcome: 'invalid' })
    expect(await reloader.check()).toMatchObject({ outcome: 'invalid' })
    scratch.write('servers.json', { ...FILE, mcpServers: { a: URL_OF(10), b: URL_OF(9) } })
    expect(await reloader.check()).toMatchObject({ outcome: 'checked' })
    expect(await reloader.reload()).toMatchObject({ outcome: 'applied' })
    expect(await reloader.reload()).toMatchObject({ outcome: 'unchanged' })
    await reloader.close()
    expect(heard.all.map(({ type }) => type).filter(type => type.startsWith('reload.'))).toEqual([
      'reload.refused',
      'reload.applied',
    ])
    expect(heard.of('reload.refused')[0]?.error.message).toContain('servers.json')
    expect(heard.of('reload.applied')).toMatchObject([
      { servers: { added: ['b'], removed: [], changed: ['a'] }, notReloadable: [] },
    ])
  },
)

test('of reloads that overlap, only the one that takes effect has an event', async () => {
  await using running = await startGateway(FILE)
  const heard = new RecordedEvents(running.gateway)
  const reports = await Promise.all(
    [10, 11, 12].map(port => reload(running.gateway, { mcpServers: { a: URL_OF(port) } })),
  )
  expect(reports.map(({ applied }) => applied)).toEqual([false, false, true])
  expect(heard.of('reload.applied')).toHaveLength(1)
  expect(heard.of('reload.refused')).toEqual([])
})

test('an embedded gateway tells of a configuration that it cannot load', async () => {
  const gateway = await createGateway(FILE)
  const heard = new RecordedEvents(gateway)
  await expect(gateway.reload({ mcpServers: 7 } as never)).rejects.toThrow()
  expect(heard.of('reload.refused')).toMatchObject([{ error: { code: 'config' } }])
  await gateway.close()
})
