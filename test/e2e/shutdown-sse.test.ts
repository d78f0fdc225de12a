import { readFileSync } from 'node:fs'
import { setTimeout as later } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { serveGateway, type Served } from '../helpers/served.ts'
import { failureOf, textOf, type Answer } from '../helpers/stdio-client.ts'
import { DeprecatedSession, http, requestText } from '../helpers/wire-clients.ts'

/** A gateway that is told to stop answers what it was asked over the deprecated HTTP+SSE. */

const SLOW = fileURLToPath(new URL('../fixtures/servers/slow.js', import.meta.url))
const CALLS = 20
const numbers = Array.from({ length: CALLS }, (_, n) => n)

function serve(scratch: Scratch, more: object = {}): Promise<Served> {
  const config = scratch.write('servers.json', {
    mcpServers: { slow: { command: process.execPath, args: [SLOW], maxConcurrentCalls: 1000 } },
    gateway: { http: { port: 0 }, state: 'memory', audit: { file: 'audit.jsonl' }, ...more },
  })
  return serveGateway(config, { env: { HOME: scratch.path, XDG_STATE_HOME: scratch.path } })
}

const wait = (n: number, ms: number): string => `{"name":"slow__wait","arguments":{"n":${n},"ms":${ms}}}`

/** Lines about calls that came to `code`, or were answered where there is none. */
function audited(scratch: Scratch, code?: string): number {
  const lines = readFileSync(`${scratch.path}/audit.jsonl`, 'utf8').trimEnd().split('\n')
  return lines
    .map(line => JSON.parse(line) as { method?: string; code?: string })
    .filter(line => line.method === 'tools/call' && line.code === code).length
}

const draining = async (served: Served): Promise<void> => {
  for (;;) {
    const { status } = await http(`${served.origin}/readyz`, { method: 'GET' })
    if (status === 503) return
    await later(5)
  }
}

test('SIGTERM: calls in flight on an /sse stream are answered, and the stream ends after the last one', async () => {
  await using scratch = makeScratch()
  await using served = await serve(scratch)
  await using client = await DeprecatedSession.open(served.origin)
  await using idle = await DeprecatedSession.open(served.origin)
  await client.request('"first"', 'tools/call', wait(0, 0))
  const sent = numbers.map(n => client.request(String(n), 'tools/call', wait(n, 2000 + 20 * n)))
  await later(500)
  process.kill(served.pid, 'SIGTERM')
  await draining(served)
  // Nothing is due on it.
  expect(await idle.body).toMatch(/retry: 1000\n\n$/)
  await expect(client.post(requestText('99', 'tools/call', wait(9, 0)))).rejects.toThrow(
    /not taken: 503 .*"id":99.*shutting_down/,
  )
  await expect(idle.post(requestText('98', 'tools/call', wait(9, 0)))).rejects.toThrow(
    /not taken: 503 .*shutting_down/,
  )
  const opened = await http(`${served.origin}/sse`, {
    method: 'GET',
    headers: { accept: 'text/event-stream' },
  })
  expect(opened.status).toBe(503)
  expect(opened.headers['retry-after']).toBe('1')
  const answers = (await Promise.all(sent)).map(text => textOf(JSON.parse(text) as Answer))
  expect(answers).toEqual(numbers.map(String))
  expect(await client.body).toMatch(/"text":"19".*\n\nretry: 1000\n\n$/)
  expect(await served.exited).toBe(0)
  expect(audited(scratch)).toBe(CALLS + 1)
})

test('SIGTERM with calls that do not end: each gets one error on its /sse stream when the time is over', async () => {
  await using scratch = makeScratch()
  await using served = await serve(scratch, { shutdownTimeout: '500ms' })
  await using client = await DeprecatedSession.open(served.origin)
  await client.request('"first"', 'tools/call', wait(0, 0))
  const sent = numbers.map(n => client.request(String(n), 'tools/call', '{"name":"slow__hang"}'))
  await later(500)
  process.kill(served.pid, 'SIGTERM')
  for (const text of await Promise.all(sent)) {
    const answer = JSON.parse(text) as Answer
    expect(failureOf(answer)).toMatchObject({ code: 'shutting_down', delivery: 'unknown' })
  }
  expect((await client.body).match(/"code":"shutting_down"/g)).toHaveLength(CALLS)
  expect(await client.body).toMatch(/retry: 1000\n\n$/)
  expect(await served.exited).toBe(0)
  expect(audited(scratch, 'shutting_down')).toBe(CALLS)
})

test('SIGTERM while a large answer is being written: an /sse client that reads slowly gets all of it', async () => {
  await using scratch = makeScratch()
  await using served = await serve(scratch)
  await using client = await DeprecatedSession.open(served.origin)
  const text = 'x'.repeat(3_000_000)
  const sent = client.request(
    '1',
    'tools/call',
    `{"name":"slow__wait","arguments":{"n":"${text}","ms":1000}}`,
  )
  await later(500)
  client.pause()
  process.kill(served.pid, 'SIGTERM')
  await later(1500)
  client.resume()
  expect(textOf(JSON.parse(await sent) as Answer)).toHaveLength(text.length)
  expect(await served.exited).toBe(0)
})
