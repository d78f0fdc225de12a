import { writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { makeScratch } from '../helpers/scratch.ts'
import { BIN, serve, type Served } from '../helpers/served.ts'
import { RunningTime } from '../helpers/running-time.ts'

/** A change of this many clients and rules takes a thread more than a second. */
const CLIENTS = 1000
const RULES = 100
/** Part of the time of a reload: more than a request takes beside a busy thread, less than it would wait for that work. */
const MOST = 0.5

function fileOf(url: string, effect = 'allow'): string {
  const rule = { effect: 'allow', match: ['up/read_*'] }
  const rules = (client: number): unknown[] =>
    Array.from({ length: RULES }, (_, at) =>
      at % 2 === 0 ? rule : { effect: 'deny', match: [`tool:up/write_${at}_${client}_*`] },
    )
  const clients = Array.from({ length: CLIENTS }, (_, at) => [
    `client-${at}`,
    { rules: [...rules(at), { effect: at === 8 ? effect : 'deny', match: ['up/delete_*'] }] },
  ])
  return JSON.stringify({
    mcpServers: { up: { url } },
    clients: Object.fromEntries(clients),
    gateway: { http: { port: 0 }, state: 'memory', log: 'info' },
  })
}

/** Asks again and again until the gateway says `word`. Resolves with the part of that time that the slowest answer took. */
async function slowestUntil(gateway: Served, word: string): Promise<number> {
  const from = gateway.said.length
  let slowest = 0
  using time = new RunningTime()
  while (!gateway.said.slice(from).includes(word)) {
    const asked = time.ms
    const response = await fetch(`${gateway.origin}/healthz`)
    await response.text()
    expect(response.status).toBe(200)
    slowest = Math.max(slowest, time.ms - asked)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  return slowest / time.ms
}

test('requests are answered while a large changed file is loaded, whether it is sound or not', async () => {
  await using scratch = makeScratch()
  const file = scratch.write('servers.json', fileOf('http://127.0.0.1:9/mcp'))
  const env = { HOME: scratch.path, XDG_STATE_HOME: scratch.path }
  await using gateway = await serve([BIN, 'serve', '--config', file], { env })
  while (!gateway.said.includes('Ctrl+C')) await new Promise(resolve => setTimeout(resolve, 20))

  writeFileSync(file, fileOf('http://127.0.0.1:10/mcp', 'deny'))
  expect(await slowestUntil(gateway, 'has changed and is in effect')).toBeLessThan(MOST)
  expect(gateway.said).toContain('"added":"127.0.0.1:10"')
  expect(gateway.said).toContain(
    'Server \\"up\\" is changed: url. It gets new links. Client \\"client-8\\" is changed: rules.',
  )

  writeFileSync(file, fileOf('http://127.0.0.1:11/mcp', 'maybe'))
  expect(await slowestUntil(gateway, 'is not used')).toBeLessThan(MOST)
  expect(gateway.said).toContain('clients.client-8.rules[100].effect (line 1, column')
  expect(gateway.said).not.toContain('127.0.0.1:11')

  // Taken back: what is in effect is what was there before it was wrong, and a change is noticed again.
  writeFileSync(file, fileOf('http://127.0.0.1:9/mcp'))
  expect(await slowestUntil(gateway, '"gone":"127.0.0.1:10"')).toBeLessThan(MOST)
  expect(await gateway.stop()).toBe(0)
})

test('a key is added for the second time, with the value that it has: the reload says so, and again after it was mended', async () => {
  await using scratch = makeScratch()
  const [url, rest] = ['"url":"http://127.0.0.1:9/mcp"', `"gateway":{"http":{"port":0},"state":"memory"}`]
  const fileWith = (entry: string): string => `{"mcpServers":{"up":{${entry}}},${rest}}`
  const file = scratch.write('servers.json', fileWith(url))
  const env = { HOME: scratch.path, XDG_STATE_HOME: scratch.path }
  await using gateway = await serve([BIN, 'serve', '--config', file], { env })
  const said = async (word: string, times: number): Promise<void> =>
    expect.poll(() => gateway.said.split(word).length - 1).toBe(times)
  await said('Ctrl+C', 1)

  for (const times of [1, 2]) {
    writeFileSync(file, fileWith(`${url},${url}`))
    await said('mcpServers.up.url (line 1, column 22) is there twice, the second time at', times)
    writeFileSync(file, fileWith(url))
    await said('can be used as a whole again', times)
  }
  writeFileSync(file, fileWith(url).replace('"gateway":', '"gateway":{},"gateway":'))
  await said('gateway (line 1, column 55) is there twice', 1)
  expect(await gateway.stop()).toBe(0)
})
