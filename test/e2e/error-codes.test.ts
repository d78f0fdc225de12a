import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'
import { openSession, post, type HttpClient } from '../helpers/http-client.ts'
import { listing } from '../helpers/diagnose.ts'

/** Every error of a gateway names its code, where a program looks for it and where a person reads. */

const inputSchema = { type: 'object' }
let gateway: TestGateway
let client: HttpClient
beforeAll(async () => {
  gateway = await startGateway({
    mcpServers: {
      files: listing({ tools: [{ name: 'read', inputSchema }] }),
      crashes: listing({ tools: [{ name: 'run', inputSchema }], exitsAt: 'tools/call' }),
    },
  })
  client = await openSession(gateway.origin)
  await client.names('tools')
})
afterAll(async () => await gateway[Symbol.asyncDispose]())

interface Failure {
  readonly error?: {
    readonly code: number
    readonly message: string
    readonly data?: { readonly code?: string }
  }
  readonly result?: {
    readonly isError?: boolean
    readonly content: readonly { readonly text: string }[]
    readonly _meta: Readonly<Record<string, { readonly code?: string }>>
  }
}

describe('the code of an error', () => {
  test('is in "data" of a JSON-RPC error, whose message is as it was', async () => {
    const { error } = (await client.request('prompts/get', { name: 'nothing' })) as unknown as Failure
    expect(error).toMatchObject({ code: -32602, data: { code: 'unknown_name' } })
    expect(error?.message).not.toContain('mcp-manifold help')
  })

  test('is in "_meta" of a result, and its text ends with the command for its page', async () => {
    const { result } = (await client.request('tools/call', {
      name: 'crashes__run',
      arguments: {},
    })) as unknown as Failure
    expect(result?.isError).toBe(true)
    const code = result?._meta['io.github.mcp-manifold/error']?.code
    expect(code).toBe('upstream_closed')
    expect(result?.content[0]?.text).toMatch(/\(mcp-manifold help upstream_closed\)$/)
  })

  test('is not in the error of a server, which is relayed as it is', async () => {
    const { error } = (await client.request('tools/call', {
      name: 'files__read',
      arguments: {},
    })) as unknown as Failure
    expect(error).toEqual({ code: -32601, message: 'cannot do tools/call' })
  })

  test.each([
    [
      'of an unknown session',
      404,
      'session_lost',
      { 'mcp-session-id': 'unknown' },
      '{"jsonrpc":"2.0","id":1,"method":"ping"}',
    ],
    ['of a body that is no JSON', 400, 'parse_error', {}, '{'],
    ['of another kind of body', 415, 'invalid_request', { 'content-type': 'text/plain' }, 'hello'],
  ])('is in "data" of a refusal over HTTP: %s', async (_what, status, code, headers, body) => {
    const response = await post(`${gateway.origin}/mcp`, body, headers)
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ error: { data: { code } } })
  })
})
