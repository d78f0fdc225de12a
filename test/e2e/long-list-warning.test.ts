import { expect, test } from 'vitest'
import { MAX_ENTRIES } from '../../src/catalog/ingest.ts'
import { SILENT, type LogFields, type Logger } from '../../src/core/logger.ts'
import { callAs } from '../helpers/callers.ts'
import { startGateway } from '../helpers/gateway.ts'
import { scriptedStdio, toolText } from '../helpers/scripted-servers.ts'

test('of a list that is too long the log says once what is left out, of which server, by which limit, and what to do', async () => {
  await using server = await scriptedStdio()
  const list = (first: string): string => {
    const more = Array.from({ length: MAX_ENTRIES }, (_, at) => toolText(`t${at}`))
    return `{"tools":[${[toolText(first), ...more].join(',')}]}`
  }
  server.results.set('tools/list', list('a'))
  const warned: LogFields[] = []
  const recorder = (own: LogFields): Logger => ({
    ...SILENT,
    warn: (message, fields) => void warned.push({ message, ...own, ...fields }),
    child: fields => recorder({ ...own, ...fields }),
  })
  await using gateway = await startGateway({ mcpServers: { s: server.entry } }, { logger: recorder({}) })
  await gateway.gateway.warmUp()
  const listed = async (capabilities: string): Promise<string> => {
    await using client = await callAs(gateway.origin, undefined, { modern: true, capabilities })
    return (await client?.request('tools/list')) ?? ''
  }
  const clients = ['{}', '{"elicitation":{}}']
  for (const capabilities of clients) expect((await listed(capabilities)).includes('"s__a"')).toBe(true)
  // Listed anew twice, for all of them.
  for (const first of ['b', 'c']) {
    server.results.set('tools/list', list(first))
    server.say('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}')
    for (const capabilities of clients)
      await expect.poll(async () => (await listed(capabilities)).includes(`"s__${first}"`)).toBe(true)
  }
  const cut = warned.filter(({ message }) => String(message).includes('the rest is left out'))
  expect(cut).toEqual([
    expect.objectContaining({
      server: 's',
      list: 'tools',
      exceeded: `more than ${MAX_ENTRIES} entries`,
      entries: MAX_ENTRIES,
      fix: expect.stringContaining('have the server list less'),
    }),
  ])
})
