import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { callAs } from '../../helpers/callers.ts'
import { startGateway } from '../../helpers/gateway.ts'
import { RecordedEvents } from '../../helpers/recorded-events.ts'
import { makeScratch } from '../../helpers/scratch.ts'

/** A header with what a program prints, at a server that stops taking it. */

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

/** A gateway whose header is what a program prints, and what a test needs to follow it. */
async function scene() {
  const server = await tokenServer()
  const scratch = makeScratch()
  const [tokenFile, runsFile] = [join(scratch.path, 'token'), join(scratch.path, 'runs')]
  const print = (text: string): void => writeFileSync(tokenFile, text)
  print('first')
  const program = `const fs=require('fs');fs.appendFileSync(${JSON.stringify(runsFile)},'x');process.stdout.write(fs.readFileSync(${JSON.stringify(tokenFile)},'utf8'));process.exit(fs.existsSync(${JSON.stringify(`${tokenFile}.broken`)})?3:0)`
  const exec = `\${exec:${JSON.stringify([process.execPath, '-e', program])}}`
  const headers = { Authorization: `Bearer ${exec}` }
  const started = await startGateway({
    mcpServers: { a: { type: 'streamable-http', url: server.url, headers } },
  })
  const heard = new RecordedEvents(started.gateway)
  await started.gateway.warmUp()
  const caller = await callAs(started.origin, undefined, { modern: true })
  return {
    server,
    print,
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

test('the program runs once more for all calls that are refused, and they go on with what it prints then', async () => {
  await using at = await scene()
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
  await using at = await scene()
  at.server.token = 'second'
  const answer = await at.call()
  expect(answer).toContain('upstream_unauthorized')
  expect(answer).toMatch(/Server \\?"a\\?" .*the program of authorization prints no others\. Fix: /)
  expect(answer).not.toContain('first')
  await at.call()
  await at.call()
  expect(at.runs()).toBe(2)
  expect(at.heard.of('credential.refused')[0]).toMatchObject({ server: 'a', owner: 'gateway', status: 401 })
})

test('a program that fails then is named in the error with its cause', async () => {
  await using at = await scene()
  at.server.token = 'second'
  at.breakProgram()
  const answer = await at.call()
  expect(answer).toContain('it exited with code 3')
  expect(answer).toContain('by hand')
})
