import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { configFrom } from '../../../src/config/load/load.ts'
import { callAs } from '../../helpers/callers.ts'
import { startGateway } from '../../helpers/gateway.ts'
import { RecordedEvents } from '../../helpers/recorded-events.ts'
import { makeScratch } from '../../helpers/scratch.ts'

/** Headers that a program prints, at a server that stops taking them. */

const CALLS = 8

interface TokenServer extends AsyncDisposable {
  readonly url: string
  /** The one token that is taken. */
  token: string
  readonly refused: string[]
  readonly answered: string[]
}

/** A server without sessions, which takes one token. */
async function tokenServer(): Promise<TokenServer> {
  const listener = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      const { authorization = '' } = request.headers
      if (authorization !== `Bearer ${server.token}`) {
        server.refused.push(authorization)
        return void response.writeHead(401).end()
      }
      if (request.method !== 'POST') return void response.writeHead(405).end()
      const { id, method } = JSON.parse(body) as { id?: number; method: string }
      if (id === undefined) return void response.writeHead(202).end()
      const answer = (member: object): void =>
        void response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(JSON.stringify({ jsonrpc: '2.0', id, ...member }))
      if (method === 'initialize')
        return answer({
          result: {
            protocolVersion: '2025-11-25',
            capabilities: { tools: {} },
            serverInfo: { name: 's', version: '1' },
          },
        })
      if (method === 'tools/list')
        return answer({ result: { tools: [{ name: 't', inputSchema: { type: 'object' } }] } })
      if (method === 'tools/call') {
        server.answered.push(authorization)
        return answer({ result: { content: [{ type: 'text', text: 'done' }] } })
      }
      answer({ error: { code: -32601, message: 'no such method' } })
    })
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const server: TokenServer = {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}/mcp`,
    token: 'first',
    refused: [],
    answered: [],
    async [Symbol.asyncDispose]() {
      listener.closeAllConnections()
      listener.close()
      await once(listener, 'close')
    },
  }
  return server
}

const WAYS = ['${exec:…}', 'headersHelper'] as const

/** A gateway whose `Authorization` is what a program prints, and what a test needs to follow it. */
async function scene(way: (typeof WAYS)[number], entry: object = {}) {
  const server = await tokenServer()
  const scratch = makeScratch()
  const [tokenFile, runsFile] = [join(scratch.path, 'token'), join(scratch.path, 'runs')]
  const print = (text: string): void =>
    writeFileSync(
      tokenFile,
      way === 'headersHelper' ? JSON.stringify({ Authorization: `Bearer ${text}` }) : text,
    )
  print('first')
  const program = `const fs=require('fs');fs.appendFileSync(${JSON.stringify(runsFile)},'x');process.stdout.write(fs.readFileSync(${JSON.stringify(tokenFile)},'utf8'));process.exit(fs.existsSync(${JSON.stringify(`${tokenFile}.broken`)})?3:0)`
  const command = JSON.stringify([process.execPath, '-e', program])
  const credentials =
    way === 'headersHelper'
      ? { headersHelper: command }
      : { headers: { Authorization: `Bearer \${exec:${command}}` } }
  const started = await startGateway({
    mcpServers: { a: { type: 'streamable-http', url: server.url, ...credentials, ...entry } },
  })
  const heard = new RecordedEvents(started.gateway)
  await started.gateway.warmUp()
  const caller = await callAs(started.origin, undefined, { modern: true })
  return {
    server,
    print,
    /** What the program prints, as it is. */
    printText: (text: string): void => writeFileSync(tokenFile, text),
    heard,
    breakProgram: (): void => writeFileSync(`${tokenFile}.broken`, ''),
    runs: (): number => (existsSync(runsFile) ? readFileSync(runsFile, 'utf8').length : 0),
    call: async (): Promise<string> =>
      (await caller?.request('tools/call', '{"name":"a__t","arguments":{}}')) ?? '',
    async [Symbol.asyncDispose]() {
      await caller?.[Symbol.asyncDispose]()
      await started[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
      await scratch[Symbol.asyncDispose]()
    },
  }
}

describe.each(WAYS)('%s', way => {
  test('the program runs once more for all calls that are refused, and they go on with what it prints then', async () => {
    await using at = await scene(way)
    expect(await at.call()).toContain('done')
    expect(at.runs()).toBe(1)
    at.server.token = 'second'
    at.print('second')
    const answers = await Promise.all(Array.from({ length: CALLS }, () => at.call()))
    for (const answer of answers) expect(answer).toContain('done')
    expect(at.runs()).toBe(2)
    expect(at.server.answered).toEqual(['Bearer first', ...Array<string>(CALLS).fill('Bearer second')])
    const refusedSoFar = at.server.refused.length
    expect(await at.call()).toContain('done')
    expect(at.server.refused).toHaveLength(refusedSoFar)
    expect(at.runs()).toBe(2)
  })

  test('the same output again is no reason to repeat a request, and further refusals run no program for a while', async () => {
    await using at = await scene(way)
    at.server.token = 'second'
    const answer = await at.call()
    expect(answer).toContain('upstream_unauthorized')
    expect(answer).toMatch(
      /Server \\\\?"a\\\\?" .*(?:the program of authorization prints no others|"headersHelper\\\\?" printed).* Fix: /,
    )
    expect(answer).not.toContain('first')
    await at.call()
    await at.call()
    expect(at.runs()).toBe(2)
    expect(at.heard.of('credential.refused')[0]).toMatchObject({ server: 'a', owner: 'gateway', status: 401 })
  })

  test('a program that fails then is named in the error with its cause', async () => {
    await using at = await scene(way)
    at.server.token = 'second'
    at.breakProgram()
    const answer = await at.call()
    expect(answer).toContain('it exited with code 3')
    expect(answer).toContain('by hand')
  })
})

test.each([
  ['no JSON', 'it printed no JSON'],
  ['["a"]', 'it printed no JSON object'],
  ['{"a":1}', 'it printed a value that is no string'],
  ['{"a b":"c"}', 'it printed a name that no header can have'],
  ['{"a":"b\\nc"}', 'it printed a value that cannot be sent as a header'],
])(
  'a helper that prints %s from then on is named in the error, and what it printed is not',
  async (text, why) => {
    await using at = await scene('headersHelper')
    at.server.token = 'second'
    at.printText(text)
    const answer = await at.call()
    expect(answer).toContain('gets no headers from its')
    expect(answer).toContain(`: ${why}. Fix: run ${process.execPath} by hand`)
  },
)

test('a helper wins over a header of the file, and gives none that frames a message', async () => {
  await using at = await scene('headersHelper', { headers: { authorization: 'Bearer of-the-file' } })
  at.server.token = 'second'
  at.printText('{"authorization":"Bearer second","Content-Type":"text/plain","mcp-session-id":"x"}')
  expect(await at.call()).toContain('done')
  expect(at.server.refused).not.toContain('Bearer of-the-file')
})

test('a helper that names no program is a problem of its server', async () => {
  const { servers } = await configFrom({
    mcpServers: { a: { url: 'https://a.example/mcp', headersHelper: '"unfinished' } },
  })
  expect(servers[0]?.problem).toContain('headersHelper')
  expect(servers[0]?.problem).toContain('names no program')
})

test('a helper knows for which server it prints', async () => {
  await using server = await tokenServer()
  const program = `const{CLAUDE_CODE_MCP_SERVER_NAME:name,CLAUDE_CODE_MCP_SERVER_URL:url}=process.env;console.log(JSON.stringify({Authorization:'Bearer '+name+' at '+url}))`
  const helper = JSON.stringify([process.execPath, '-e', program])
  server.token = `b at ${server.url}`
  await using started = await startGateway({
    mcpServers: {
      a: { type: 'streamable-http', url: server.url, headersHelper: helper },
      b: { type: 'streamable-http', url: server.url, headersHelper: helper },
    },
  })
  await started.gateway.warmUp()
  await using caller = await callAs(started.origin, undefined, { modern: true })
  const call = async (name: string): Promise<string> =>
    (await caller?.request('tools/call', `{"name":"${name}__t","arguments":{}}`)) ?? ''
  expect(await call('b')).toContain('done')
  expect(server.refused.length).toBeGreaterThan(0)
  expect(new Set(server.refused)).toEqual(new Set([`Bearer a at ${server.url}`]))
})

test('a header of the file that a server no longer takes is told as well, and the key to renew is named', async () => {
  await using server = await tokenServer()
  await using started = await startGateway({
    mcpServers: {
      a: {
        type: 'streamable-http',
        url: server.url,
        headers: { Authorization: 'Bearer first', 'X-Team': 'b' },
      },
    },
  })
  const heard = new RecordedEvents(started.gateway)
  await started.gateway.warmUp()
  await using caller = await callAs(started.origin, undefined, { modern: true })
  const call = async (): Promise<string> =>
    (await caller?.request('tools/call', '{"name":"a__t","arguments":{}}')) ?? ''
  expect(await call()).toContain('done')
  server.token = 'second'
  const answer = await call()
  expect(answer).toContain('headers.Authorization')
  expect(answer).not.toContain('Bearer first')
  expect(heard.of('credential.refused')[0]).toMatchObject({ server: 'a', owner: 'gateway', status: 401 })
})
