import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { bearer, keyOf, withKeys } from '../helpers/callers.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { scriptedHttp } from '../helpers/scripted-servers.ts'
import { serveGateway } from '../helpers/served.ts'
import { ModernHttp } from '../helpers/wire-clients.ts'
import { runProgram } from '../unit/cli/program.ts'

/** The folder of the state is deleted while a gateway runs on it. */

const CALL = '{"name":"s__t","arguments":{}}'
const RAN = '"content":[]'
const LIMITED = ['used', 'begun', 'paced', 'placed']

/** A modern call with this key, as text. */
async function call(origin: string, key: string): Promise<string> {
  await using client = new ModernHttp(origin, '/mcp', { headers: bearer(key) })
  return await client.request('1', 'tools/call', CALL)
}

interface After {
  /** A call of a configured client. */
  readonly callOf: (client: string) => Promise<string>
  /** How many calls have reached the server. */
  readonly ran: () => number
  readonly said: () => string
}

/** A client has used up its quota and others have not; the folder is deleted, and a key that is made afterwards works. */
async function run(fail: 'open' | 'closed', check: (after: After) => Promise<void>): Promise<void> {
  await using scratch = makeScratch()
  await using server = await scriptedHttp()
  server.results.set('tools/call', '{"content":[]}')
  const state = join(scratch.path, 'state')
  const config = scratch.write('servers.json', {
    mcpServers: { s: server.entry },
    clients: withKeys({
      used: { budget: { calls: '3/month' } },
      begun: { budget: { calls: '1000/month' } },
      paced: { rate: '1000/minute' },
      placed: { concurrency: 2 },
      free: {},
    }),
    gateway: { http: { port: 0 }, state: `lmdb:${state}`, timeZone: 'UTC', log: 'warn', fail },
  })
  await using served = await serveGateway(config)
  const callOf = (client: string): Promise<string> => call(served.origin, keyOf(client))
  for (let at = 0; at < 3; at++) expect(await callOf('used')).toContain(RAN)
  expect(await callOf('used')).toContain('is used up')
  expect(await callOf('begun')).toContain(RAN)

  rmSync(state, { recursive: true })
  const { stdout } = await runProgram(['keys', 'create', 'free', '--config', config], { cwd: scratch.path })
  // The gateway looks once a second.
  await expect.poll(() => call(served.origin, stdout.trim()), { interval: 200 }).toContain(RAN)
  const ran = (): number => server.messages.all.filter(text => text.includes('"tools/call"')).length
  await check({ callOf, ran, said: () => served.said })
}

test('with "quotaFailureMode": "closed" no quota begins anew, and a key made afterwards works', async () => {
  await run('closed', async ({ callOf, ran, said }) => {
    const before = ran()
    for (const client of LIMITED) {
      const answer = await callOf(client)
      expect([client, answer]).toEqual([client, expect.stringContaining('quota_unavailable')])
      expect(answer).toContain('is not known, because the gateway has lost its state')
    }
    expect(ran()).toBe(before)
    expect(said()).toContain('was deleted or replaced')
    expect(said()).toContain('The state of quotas was lost')
    expect(await callOf('free')).toContain(RAN)
  })
})

test('with "quotaFailureMode": "open" quotas count anew, and calls go on', async () => {
  await run('open', async ({ callOf, said }) => {
    for (const client of LIMITED)
      expect([client, await callOf(client)]).toEqual([client, expect.stringContaining(RAN)])
    expect(said()).toContain('Counting begins anew')
  })
})
