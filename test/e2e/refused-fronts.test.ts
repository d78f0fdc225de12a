import { readFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import { setTimeout as later } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { bearer, keyOf, withKeys } from '../helpers/callers.ts'
import { startGateway } from '../helpers/gateway.ts'
import { Inbox } from '../helpers/inbox.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { http, requestText } from '../helpers/wire-clients.ts'

/** What stdio and the deprecated HTTP+SSE refuse has its line in the audit log, and counts for rates. */

const BAD: [what: string, body: string, code: string][] = [
  ['no JSON', '{', 'parse_error'],
  ['no message', '{"jsonrpc":"1.0"}', 'invalid_request'],
  ['a member twice', '{"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"}', 'invalid_request'],
  ['no greeting before it', requestText('1', 'tools/list', undefined), 'invalid_request'],
]

async function refused(file: string, code: string, count: number): Promise<unknown[]> {
  const read = (): unknown[] =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as { code?: string })
      .filter(line => line.code === code)
  for (let round = 0; round < 100; round++) {
    try {
      if (read().length >= count) break
    } catch {
      // It is made with its first line.
    }
    await later(50)
  }
  return read()
}

describe.each(BAD)('a message with %s', (_, body, code) => {
  test('on stdio has its line and counts for the rate', async () => {
    await using scratch = makeScratch()
    const file = `${scratch.path}/audit.jsonl`
    await using running = await startGateway({
      clients: withKeys({ ci: { rate: '2/h' } }),
      gateway: { audit: { file } },
    })
    const [input, output, said] = [new PassThrough(), new PassThrough(), new Inbox<string>()]
    output.setEncoding('utf8').on('data', (chunk: string) =>
      chunk
        .trim()
        .split('\n')
        .forEach(l => said.push(l)),
    )
    const served = running.gateway.serveStdio(input, output, { client: 'ci' })
    for (let n = 0; n < 2; n++) {
      input.write(`${body}\n`)
      expect(await said.take()).not.toContain('The limit of')
    }
    expect(await refused(file, code, 2)).toMatchObject([
      { event: 'error', client: 'ci' },
      { event: 'error', client: 'ci' },
    ])
    input.write(`${body}\n`)
    expect(await said.take()).toContain('The limit of')
    input.end()
    await served
  })

  test('on /messages has its line and counts for the rate', async () => {
    await using scratch = makeScratch()
    const file = `${scratch.path}/audit.jsonl`
    await using running = await startGateway({
      clients: withKeys({ ci: { rate: '3/h' } }),
      gateway: { audit: { file } },
    })
    const headers = bearer(keyOf('ci'))
    // The opening of the stream counts, too.
    const stream = await http(`${running.origin}/sse`, { method: 'GET', headers })
    const address = `${running.origin}${(await stream.events.take()).data}`
    const post = async (): Promise<string> => {
      const posted = await http(address, {
        headers: { ...headers, 'content-type': 'application/json' },
        body,
      })
      const text = await posted.body
      return posted.status === 202 ? (await stream.events.take()).data : text
    }
    for (let n = 0; n < 2; n++) expect(await post()).not.toContain('The limit of')
    expect(await refused(file, code, 2)).toMatchObject([
      { event: 'error', client: 'ci' },
      { event: 'error', client: 'ci' },
    ])
    expect(await post()).toContain('The limit of')
    stream.destroy()
    await stream.body
  })
})
