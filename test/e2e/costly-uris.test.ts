import { expect, test } from 'vitest'
import { callAs, keyOf, withKeys, type Caller } from '../helpers/callers.ts'
import { startGateway } from '../helpers/gateway.ts'
import { scriptedHttp } from '../helpers/scripted-servers.ts'
import { cpuMs } from '../helpers/running-time.ts'

test('a server that lists URIs which can be read in very many ways holds up no client with rules, and no other server', async () => {
  const hostile = await scriptedHttp()
  const good = await scriptedHttp()
  const uris = Array.from({ length: 100 }, (_, at) => `db://u@[h]:1/${'%ff/'.repeat(2030)} .\\;?#${at}`)
  hostile.results.set('resources/list', JSON.stringify({ resources: uris.map(uri => ({ uri, name: 'r' })) }))
  good.results.set('resources/list', '{"resources":[{"uri":"x:good","name":"r"}]}')
  await using running = await startGateway({
    mcpServers: { hostile: hostile.entry, good: good.entry },
    clients: withKeys({ ci: { deny: ['good/delete_all'] } }),
  })
  await running.gateway.warmUp()
  const begun = cpuMs()
  // It is greeted first.
  await using client = (await callAs(running.origin, keyOf('ci'), { modern: false })) as Caller
  const answer = await client.request('resources/list')
  // It took more than a minute.
  expect(cpuMs() - begun).toBeLessThan(10_000)
  expect(answer).toContain('x:good')
  expect(answer).not.toContain('db://')
})
