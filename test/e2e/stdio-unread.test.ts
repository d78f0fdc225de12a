import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { makeScratch } from '../helpers/scratch.ts'
import { BIN } from '../helpers/served.ts'
import { requestText } from '../helpers/wire-clients.ts'

const IGNORE_CANCELLATION = fileURLToPath(
  new URL('../fixtures/servers/ignore-cancellation.js', import.meta.url),
)

test('a client over stdio that stops reading gets the newest progress and its answer when it reads again', async () => {
  await using scratch = makeScratch()
  const config = scratch.write('servers.json', {
    mcpServers: { s: { command: process.execPath, args: [IGNORE_CANCELLATION, 'stdio'] } },
    gateway: { state: 'memory' },
  })
  const gateway = spawn(process.execPath, [BIN, '--config', config], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  try {
    let text = ''
    gateway.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    const hello = {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 't', version: '1' },
    }
    gateway.stdin.write(`${requestText('1', 'initialize', JSON.stringify(hello))}\n`)
    gateway.stdin.write(`{"jsonrpc":"2.0","method":"notifications/initialized"}\n`)
    gateway.stdin.write(`${requestText('2', 'tools/call', '{"name":"s__ok","arguments":{}}')}\n`)
    while (!text.includes('"id":2')) await sleep(20)
    gateway.stdout.pause()
    const count = 20_000
    const params = `{"name":"s__progress","arguments":{"count":${count},"bytes":500},"_meta":{"progressToken":"p"}}`
    gateway.stdin.write(`${requestText('3', 'tools/call', params)}\n`)
    await sleep(3000)
    text = ''
    gateway.stdout.resume()
    while (!text.includes('"id":3')) await sleep(20)
    const progress = [...text.matchAll(/"progress":(\d+)/g)].map(([, number]) => Number(number))
    expect(progress.at(-1)).toBe(count)
    expect(progress.length).toBeLessThan(count)
    expect([...progress].sort((one, other) => one - other)).toEqual(progress)
    expect(text.indexOf('"id":3')).toBeGreaterThan(text.lastIndexOf('"progress"'))
  } finally {
    const gone = once(gateway, 'exit')
    gateway.stdin.end()
    await gone
  }
})
