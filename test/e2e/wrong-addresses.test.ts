import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import type { Logger, LogFields } from '../../src/core/logger.ts'
import { startGateway } from '../helpers/gateway.ts'
import { openSession } from '../helpers/http-client.ts'

/** What a person is told whose "url" leads to something else. */

async function listen(handler: RequestListener): Promise<AsyncDisposable & { readonly origin: string }> {
  const server = createServer(handler)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function answering(status: number, headers: Record<string, string>, body: string): RequestListener {
  return (_, response) => {
    response.writeHead(status, headers).end(body)
  }
}

/** Asks for a list twice, and returns why the server could not be listed, and what was logged above `info`. */
async function failureOf(entry: object): Promise<{ error: string; warned: string[] }> {
  const warned: string[] = []
  const warn = (message: string, fields?: LogFields): void =>
    void warned.push(`${message} ${String(fields?.['cause'] ?? '')}`)
  const logger: Logger = { error: warn, warn, info: () => {}, debug: () => {}, child: () => logger }
  await using served = await startGateway({ mcpServers: { bad: entry } }, { logger })
  for (let turn = 0; turn < 2; turn++) await (await openSession(served.origin)).request('tools/list')
  return { error: served.gateway.status()[0]?.error ?? '', warned }
}

test('a server whose JSON is no JSON-RPC is said once, with what to check', async () => {
  await using web = await listen(answering(200, { 'content-type': 'application/json' }, '{"hello":"world"}'))
  const { error, warned } = await failureOf({ url: `${web.origin}/mcp` })
  expect(error).toMatch(/JSON that holds no answer to the request\. .*Check the path of its "url"/)
  expect(warned).toEqual([expect.stringContaining('could not be listed')])
})

test('a redirection is written with its address in the log, and not to clients', async () => {
  await using web = await listen(
    answering(302, { location: 'https://user:pw@elsewhere.example/v2/mcp?token=abc' }, ''),
  )
  const { error, warned } = await failureOf({ url: `${web.origin}/mcp` })
  expect(error).toContain('answered with HTTP 302. Use the address it redirects to as "url"; the log has it.')
  expect(warned.join()).toContain('HTTP 302 to https://elsewhere.example/v2/mcp')
  expect(error + warned.join()).not.toMatch(/pw|abc/)
})

test('https towards a port without TLS says which scheme to write', async () => {
  await using web = await listen(answering(200, {}, ''))
  const { error } = await failureOf({ url: `${web.origin.replace('http:', 'https:')}/mcp` })
  expect(error).toContain('There is no TLS at this port. Write "http://" in its "url"')
})

test('a host name without an address is called so', async () => {
  const { error } = await failureOf({ url: 'http://no-such-host.invalid/mcp' })
  expect(error).toContain('Its host name is unknown here.')
})

test('a web page in place of an event stream is called so', async () => {
  await using web = await listen(answering(200, { 'content-type': 'text/html' }, '<!doctype html><p>hi'))
  const { error } = await failureOf({ type: 'sse', url: `${web.origin}/sse` })
  expect(error).toMatch(/answered with a web page \(HTTP 200\)\. .*Check the path of its "url"/)
})

test('a browser at the endpoint gets an explanation of it', async () => {
  await using served = await startGateway({ mcpServers: {} })
  const response = await fetch(`${served.origin}/mcp`, {
    headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' },
  })
  expect(response.status).toBe(400)
  expect(await response.text()).toContain('add its address to an MCP client')
})
