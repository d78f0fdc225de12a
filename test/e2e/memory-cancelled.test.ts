import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { makeScratch } from '../helpers/scratch.ts'
import { serve, type Served } from '../helpers/served.ts'
import { serveMeasured } from '../helpers/measured-gateway.ts'
import { LegacySession, ModernHttp, requestText, withEnvelope } from '../helpers/wire-clients.ts'

/** What calls leave behind that no client waits for any more, at servers that go on as if nothing had happened. */

const IGNORE_CANCELLATION = fileURLToPath(
  new URL('../fixtures/servers/ignore-cancellation.js', import.meta.url),
)
const ARGUMENT_BYTES = 4 * 1024 * 1024 - 2000
const CALLS = 40
const ABREAST = 8
const MAX_GROWTH_MB = 100

const params = (tool: string, filler = ''): string => `{"name":"s__${tool}","arguments":{"x":"${filler}"}}`

/** Runs `count` of them, some at once. */
async function abreast(count: number, run: (number: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) await run(next++)
  }
  await Promise.all(Array.from({ length: ABREAST }, worker))
}

type Cancel = (number: number) => Promise<void>

async function legacyCanceller(origin: string): Promise<{ client: LegacySession; cancel: Cancel }> {
  const client = await LegacySession.open(origin)
  const filler = 'x'.repeat(ARGUMENT_BYTES)
  const cancel = async (number: number): Promise<void> => {
    const id = String(number + 100)
    const response = client
      .post(requestText(id, 'tools/call', params('hold', filler)))
      .then(sent => sent.body)
    const cancelled = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`
    // Until the call is there to be cancelled.
    while ((await Promise.race([response, sleep(40, 'pending')])) === 'pending')
      await (
        await client.post(cancelled)
      ).body
    await response
  }
  return { client, cancel }
}

describe.each([
  ['stdio', 'legacy'],
  ['legacy', 'legacy'],
  ['legacy', 'modern'],
  ['modern', 'modern'],
] as const)('a server over %s', (mode, era) => {
  test(
    `${CALLS} cancelled calls of a ${era} client with 4 MB of arguments hold nothing a second later`,
    { timeout: 120_000 },
    async () => {
      await using scratch = makeScratch()
      let upstream: Served | undefined
      if (mode !== 'stdio') upstream = await serve([IGNORE_CANCELLATION, mode], { ready: /listening (\S+)/ })
      const s = upstream
        ? { url: upstream.origin }
        : { command: process.execPath, args: [IGNORE_CANCELLATION, 'stdio'] }
      const config = scratch.write('servers.json', {
        mcpServers: { s },
        gateway: { http: { port: 0 }, state: 'memory', maxConcurrentCalls: 10_000 },
      })
      try {
        await using gateway = await serveMeasured(config)
        await using modern = new ModernHttp(gateway.origin)
        expect(await modern.request('1', 'tools/call', params('ok'))).toContain('"ok"')
        const legacy = era === 'legacy' ? await legacyCanceller(gateway.origin) : undefined
        const filler = 'x'.repeat(ARGUMENT_BYTES)
        const cancel =
          legacy?.cancel ??
          (async (number: number): Promise<void> => {
            const text = withEnvelope(params('hold', filler))
            await modern.leave(String(number), 'tools/call', text, 100)
          })
        const [before, heldBefore] = [gateway.rss, await gateway.held()]
        await abreast(CALLS, cancel)
        await sleep(1000)
        const grown = gateway.rss - before
        // A collection each time, while a busy machine still works on the last of them.
        await expect.poll(async () => (await gateway.held()) - heldBefore, { interval: 500 }).toBeLessThan(16)
        expect(grown).toBeLessThan(MAX_GROWTH_MB)
        expect(await modern.request('2', 'tools/call', params('ok'))).toContain('"ok"')
        await legacy?.client[Symbol.asyncDispose]()
      } finally {
        await upstream?.stop()
      }
    },
  )
})
