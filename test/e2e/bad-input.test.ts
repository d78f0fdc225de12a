import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startRawServer } from '../fixtures/servers/raw.js'
import { startGateway } from '../helpers/gateway.ts'
import { openSession, post } from '../helpers/http-client.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { BIN, serve } from '../helpers/served.ts'
import { failureOf, startStdio, textOf } from '../helpers/stdio-client.ts'

/**
 * What bad input gets, from servers, clients and the surroundings: a message that names the party and the fix, and no harm to any other party.
 */

const MISBEHAVING = fileURLToPath(new URL('../fixtures/servers/misbehaving.js', import.meta.url))
const misbehaving = (how: string): object => ({ command: process.execPath, args: [MISBEHAVING, how] })
const good = misbehaving('good')

const healthy = expect.arrayContaining(['good__echo', 'good__pid'])

describe('a server that cannot be started or listed', () => {
  test.each([
    {
      what: 'its command does not exist',
      server: { command: 'no-such-command-anywhere' },
      says: ['"bad"', 'no-such-command-anywhere', 'PATH', 'install it'],
    },
    {
      what: 'its file does not exist',
      server: { command: './no/such/file' },
      says: ['"bad"', './no/such/file', 'correct "command"'],
    },
    {
      what: 'its working directory does not exist',
      server: { ...good, cwd: '/no/such/folder' },
      says: ['"bad"', '/no/such/folder', '"cwd"'],
    },
    {
      what: 'it exits at once',
      server: misbehaving('exit'),
      says: ['"bad"', 'exited with code 3', 'run its command in a terminal'],
    },
    {
      what: 'it never answers',
      server: { ...misbehaving('mute'), startTimeout: '1s' },
      says: ['"bad"', 'did not answer initialize within 1 s', '"startTimeout"'],
    },
    {
      what: 'nothing listens at its address',
      server: { url: 'http://127.0.0.1:9/mcp' },
      says: ['"bad"', 'cannot be reached', 'ECONNREFUSED', '"url"'],
    },
    {
      what: 'its host does not exist',
      server: { url: 'http://no-such-host.invalid/mcp' },
      says: ['"bad"', 'cannot be reached', '"url"'],
    },
  ])('$what', async ({ server, says }) => {
    await using served = await startGateway({ mcpServers: { bad: server, good } })
    const client = await openSession(served.origin)
    expect(await client.names('tools')).toEqual(['good__echo', 'good__pid'])
    expect(await client.call('good__echo', { a: 1 })).toBe('{"a":1}')

    const status = served.gateway.status().find(({ name }) => name === 'bad')
    expect(status).toMatchObject({ state: 'failed', listed: false })
    for (const part of says) expect(status?.error).toContain(part)
    // A client that calls one of its tools anyway is told why there are none.
    const said = await client.call('bad__echo')
    expect(said).toContain('Unknown tool: bad__echo')
    for (const part of says) expect(said).toContain(part)
  })
})

describe('a server that goes wrong in a call', () => {
  test.each([
    { how: 'exit-at-call', says: ['"bad"', 'exited with code 7'] },
    { how: 'mute-at-call', says: ['"bad"', 'did not answer tools/call within 1 s', '"timeout"'] },
    { how: 'garbled', says: ['"bad"', 'not valid JSON', 'log'] },
    { how: 'garbled-last', says: ['"bad"', 'not valid JSON', 'log'] },
  ])('$how', async ({ how, says }) => {
    await using served = await startGateway({
      mcpServers: { bad: { ...misbehaving(how), timeout: '1s' }, good },
    })
    const client = await openSession(served.origin)
    expect(await client.names('tools')).toEqual(expect.arrayContaining(['bad__echo', 'good__echo']))
    const answer = await client.request('tools/call', { name: 'bad__echo', arguments: {} })
    expect(answer.result).toMatchObject({ isError: true })
    const text = textOf(answer)
    for (const part of says) expect(text).toContain(part)
    const details = failureOf(answer)
    expect(details).toMatchObject({ server: 'bad', errorId: expect.stringMatching(/^[0-9a-f]{12}$/) })

    expect(await client.call('good__echo', { a: 1 })).toBe('{"a":1}')
    // It is there again for the next call.
    expect(await client.call('bad__pid')).toMatch(/^\d+$/)
  })

  test('a line of 10 MB passes, one of 40 MB is named with its size and the fix', async () => {
    await using served = await startGateway({ mcpServers: { bad: misbehaving('huge'), good } })
    const client = await openSession(served.origin)
    const bytes = 10 * 1024 * 1024
    expect((await client.call('bad__echo', { bytes })).length).toBe(bytes)
    const pid = await client.call('bad__pid')
    const said = await client.call('bad__echo', { bytes: 40 * 1024 * 1024 })
    expect(said).toContain('Server "bad" sent a message of 419')
    expect(said).toContain('raise "maxMessage" of this server')
    expect(await client.call('good__echo', { a: 1 })).toBe('{"a":1}')
    expect(await client.call('bad__pid')).toBe(pid)
  })

  test('40 MB over HTTP, as JSON and as an event stream', async () => {
    for (const answers of ['json', 'sse'] as const) {
      await using upstream = disposable(await startRawServer({ answers }))
      await using served = await startGateway({ mcpServers: { bad: { url: upstream.value.url }, good } })
      const client = await openSession(served.origin)
      const bytes = 10 * 1024 * 1024
      expect((await client.call('bad__big', { bytes })).length).toBe(bytes)
      const answer = await client.request('tools/call', { name: 'bad__big', arguments: { bytes: 4 * bytes } })
      const text = JSON.stringify(answer.result)
      expect(text).toContain('"isError":true')
      expect(text).toContain('"code":"too_large"')
      expect(text).toMatch(/Server \\"bad\\".*33554432 bytes.*raise \\"maxMessage\\" of this server/)
      expect(await client.call('good__echo', { a: 1 })).toBe('{"a":1}')
      expect(await client.call('bad__echo_raw', { b: 1 })).toBe('{"b":1}')
    }
  })
})

describe('a server that is odd', () => {
  test('noise on its stdout is ignored, also when it looks like the start of a message', async () => {
    await using served = await startGateway({ mcpServers: { bad: misbehaving('noisy'), good } })
    const client = await openSession(served.origin)
    expect(await client.names('tools')).toEqual(['bad__echo', 'bad__pid', 'good__echo', 'good__pid'])
    for (let n = 0; n < 5; n++) expect(await client.call('bad__echo', { n })).toBe(`{"n":${n}}`)
    const [bad] = served.gateway.status()
    expect(bad).toMatchObject({ state: 'ready', error: undefined })
  })

  test('an old server that exits at server/discover gets initialize', async () => {
    await using served = await startGateway({ mcpServers: { bad: misbehaving('exit-at-unknown'), good } })
    const client = await openSession(served.origin)
    expect(await client.names('tools')).toEqual(['bad__echo', 'bad__pid', 'good__echo', 'good__pid'])
    expect(await client.call('bad__echo', { a: 1 })).toBe('{"a":1}')
    expect(served.gateway.status()[0]).toMatchObject({ state: 'ready', era: 'legacy' })
  })

  test.each([
    { how: 'endless', tools: 200 },
    { how: 'endless-cursor', tools: 1 },
  ])('a list that never ends is cut off: $how', async ({ how, tools }) => {
    await using served = await startGateway({ mcpServers: { bad: misbehaving(how), good } })
    const client = await openSession(served.origin)
    const names = await client.names('tools')
    expect(names.filter(name => name.startsWith('bad__'))).toHaveLength(tools)
    expect(names).toEqual(healthy)
  })

  test('bad definitions are left out one by one, doubles once, and the others are listed', async () => {
    await using upstream = disposable(await startRawServer())
    const schema = '"inputSchema":{"type":"object"}'
    upstream.value.setTools([
      `{"name":"first",${schema}}`,
      '{"name":"no_schema"}',
      '{"name":"null_schema","inputSchema":null}',
      '{"name":"wrong_type","inputSchema":{"type":"string"}}',
      '{"name":"wrong_required","inputSchema":{"type":"object","required":"a"}}',
      '{"name":"wrong_properties","inputSchema":{"type":"object","properties":[]}}',
      `{"name":7,${schema}}`,
      `{"name":"",${schema}}`,
      `{${schema}}`,
      `{"name":"wrong_description","description":{},${schema}}`,
      '"a string"',
      'null',
      '[]',
      `{"name":"twice","description":"one",${schema}}`,
      `{"name":"twice","description":"two",${schema}}`,
      `{"name":"last",${schema}}`,
    ])
    await using served = await startGateway({ mcpServers: { bad: { url: upstream.value.url }, good } })
    const client = await openSession(served.origin)
    expect(await client.names('tools')).toEqual([
      'bad__first',
      'bad__twice',
      'bad__last',
      'good__echo',
      'good__pid',
    ])
    const { result } = await client.request('tools/list')
    expect(result?.['tools']).toContainEqual(
      expect.objectContaining({ name: 'bad__twice', description: 'one' }),
    )
    expect(await client.call('bad__last', { a: 1 })).toBe('{"a":1}')
  })

  test('two servers with the same URIs are both readable', async () => {
    await using one = disposable(await startRawServer({ name: 'one' }))
    await using two = disposable(await startRawServer({ name: 'two' }))
    await using served = await startGateway({
      mcpServers: { one: { url: one.value.url }, two: { url: two.value.url } },
    })
    const client = await openSession(served.origin)
    const uris = await client.names('resources')
    expect(uris).toEqual([
      'raw://shared/one',
      'raw://shared/two',
      'two+raw://shared/one',
      'two+raw://shared/two',
    ])
    const read = async (uri: string): Promise<unknown> =>
      (await client.request('resources/read', { uri })).result?.['contents']
    expect(await read('raw://shared/one')).toMatchObject([
      { uri: 'raw://shared/one', text: 'one: raw://shared/one' },
    ])
    expect(await read('two+raw://shared/one')).toMatchObject([
      { uri: 'two+raw://shared/one', text: 'two: raw://shared/one' },
    ])
  })
})

describe('an HTTP server that answers with something else', () => {
  const html = { 'content-type': 'text/html' }
  test.each([
    {
      what: 'HTML',
      refusal: { status: 200, headers: html, text: '<html>hi</html>' },
      says: ['answered with a web page', 'Check the path of its "url"'],
    },
    { what: 'an empty 200', refusal: { status: 200 }, says: ['HTTP 200 and no message'] },
    { what: 'a 202', refusal: { status: 202 }, says: ['HTTP 202 and no message'] },
    {
      what: 'JSON that is no message',
      refusal: { status: 200, text: '{"ok":true}' },
      says: ['no answer to the request', 'Check the path of its "url"'],
    },
    {
      what: 'a foreign answer',
      refusal: { status: 200, text: '{"jsonrpc":"2.0","id":99999,"result":{}}' },
      says: ['no answer to the request'],
    },
    { what: '401', refusal: { status: 401 }, says: ['HTTP 401', '"headers.Authorization"'] },
    { what: '403', refusal: { status: 403 }, says: ['HTTP 403', '"headers.Authorization"'] },
    {
      what: '500',
      refusal: { status: 500, text: 'secret trace' },
      says: ['HTTP 500', 'Its own log may say why'],
    },
    { what: '503', refusal: { status: 503 }, says: ['HTTP 503'] },
    {
      what: 'a redirect',
      refusal: { status: 307, headers: { location: 'https://user:pw@elsewhere.example/mcp' } },
      says: ['HTTP 307', '"url"'],
    },
  ])('$what', async ({ refusal, says }) => {
    await using upstream = disposable(await startRawServer())
    await using served = await startGateway({ mcpServers: { bad: { url: upstream.value.url }, good } })
    const client = await openSession(served.origin)
    expect(await client.names('tools')).toEqual(expect.arrayContaining(['bad__echo_raw', 'good__echo']))
    upstream.value.setRefusal(refusal)
    const answer = await client.request('tools/call', { name: 'bad__echo_raw', arguments: {} })
    expect(answer.result).toMatchObject({ isError: true })
    const text = textOf(answer)
    for (const part of ['"bad"', ...says]) expect(text).toContain(part)
    expect(JSON.stringify(answer)).not.toMatch(/secret|user:pw|127\.0\.0\.1/)
    expect(await client.call('good__echo', { a: 1 })).toBe('{"a":1}')
    // Its tools stay listed, and work again as soon as it does.
    expect(await client.names('tools')).toEqual(expect.arrayContaining(['bad__echo_raw']))
    upstream.value.setRefusal(undefined)
    // After a 401 the gateway sends nothing for three seconds.
    await expect
      .poll(() => client.call('bad__echo_raw', { b: 1 }), { timeout: 10_000, interval: 500 })
      .toBe('{"b":1}')
  })

  test.each(['json', 'sse'] as const)('nothing more in the middle of its answer: %s', async answers => {
    await using upstream = disposable(await startRawServer({ answers }))
    await using served = await startGateway({ mcpServers: { bad: { url: upstream.value.url }, good } })
    const client = await openSession(served.origin)
    const answer = await client.request('tools/call', { name: 'bad__drop', arguments: {} })
    expect(answer.result).toMatchObject({ isError: true })
    expect(JSON.stringify(answer.result)).toMatch(/server \\"bad\\" broke before it answered/)
    expect(await client.call('good__echo', { a: 1 })).toBe('{"a":1}')
    expect(await client.call('bad__echo_raw', { b: 1 })).toBe('{"b":1}')
  })

  test.each([
    { what: 'HTML for everything', handler: says(200, 'text/html', '<html>'), parts: ['"bad"'] },
    {
      what: '404 for everything',
      handler: says(404, 'text/plain', 'nothing'),
      parts: ['"bad"', 'HTTP 404', '"url"'],
    },
    {
      what: '401 for everything',
      handler: says(401, 'text/plain', ''),
      parts: ['"bad"', 'HTTP 401', '"headers.Authorization"'],
    },
    {
      what: 'closed connections',
      handler: (request => request.socket.destroy()) as RequestListener,
      parts: ['"bad"'],
    },
  ])('from the start: $what', async ({ handler, parts }) => {
    await using upstream = await startHttp(handler)
    await using served = await startGateway({ mcpServers: { bad: { url: `${upstream.origin}/mcp` }, good } })
    const client = await openSession(served.origin)
    // A server that refuses everything may want a login.
    const names = await client.names('tools')
    expect(names.filter(name => name !== 'bad__log_in')).toEqual(['good__echo', 'good__pid'])
    const error = served.gateway.status()[0]?.error
    for (const part of parts) expect(error).toContain(part)
    expect(await client.call('good__echo', { a: 1 })).toBe('{"a":1}')
  })
})

describe('a client that sends what it should not', () => {
  const initialize = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } },
  })
  const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}'

  test('over HTTP: a status and a sentence, and the next request is served', async () => {
    await using served = await startGateway({
      mcpServers: { good },
      gateway: { http: { port: 0, maxBody: '64KiB' } },
    })
    const url = `${served.origin}/mcp`
    const client = await openSession(served.origin)
    const session = { 'mcp-session-id': client.session }
    const cases: readonly {
      what: string
      body: string
      headers?: Record<string, string>
      status: number
      says: string
      code?: number
    }[] = [
      {
        what: 'no JSON',
        body: '{"jsonrpc":',
        headers: session,
        status: 400,
        says: 'not valid JSON',
        code: -32700,
      },
      { what: 'nothing', body: '', headers: session, status: 400, says: 'not valid JSON', code: -32700 },
      {
        what: 'no message',
        body: '"text"',
        headers: session,
        status: 400,
        says: 'must be a JSON object',
        code: -32600,
      },
      {
        what: 'no version',
        body: '{"id":1,"method":"ping"}',
        headers: session,
        status: 400,
        says: '"jsonrpc": "2.0"',
        code: -32600,
      },
      {
        what: 'no method',
        body: '{"jsonrpc":"2.0","id":1}',
        headers: session,
        status: 400,
        says: 'neither a method',
        code: -32600,
      },
      {
        what: 'a null id',
        body: '{"jsonrpc":"2.0","id":null,"method":"ping"}',
        headers: session,
        status: 400,
        says: '"id"',
        code: -32600,
      },
      {
        what: 'a broken id',
        body: '{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
        headers: session,
        status: 400,
        says: '"id"',
        code: -32600,
      },
      {
        what: 'params of a list',
        body: '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[1]}',
        headers: session,
        status: 400,
        says: '"params" must be an object',
        code: -32602,
      },
      {
        what: 'a double member',
        body: '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}',
        headers: session,
        status: 400,
        says: 'stands twice',
        code: -32600,
      },
      { what: 'an empty batch', body: '[]', headers: session, status: 400, says: 'batch', code: -32600 },
      {
        what: 'a huge batch',
        body: `[${Array.from({ length: 101 }, () => ping).join(',')}]`,
        headers: session,
        status: 400,
        says: 'batch',
        code: -32600,
      },
      { what: 'no session', body: ping, status: 400, says: 'Mcp-Session-Id is missing' },
      {
        what: 'an unknown session',
        body: ping,
        headers: { 'mcp-session-id': 'nobody' },
        status: 404,
        says: 'Session not found',
      },
      {
        what: 'an unknown revision',
        body: ping,
        headers: { ...session, 'mcp-protocol-version': '1999-01-01' },
        status: 400,
        says: '1999-01-01',
      },
      {
        what: 'too much',
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping', params: { x: 'x'.repeat(70_000) } }),
        headers: session,
        status: 413,
        says: '"gateway.http.maxBody"',
      },
      {
        what: 'another type',
        body: ping,
        headers: { ...session, 'content-type': 'text/plain' },
        status: 415,
        says: 'application/json',
      },
      {
        what: 'accepts nothing',
        body: ping,
        headers: { ...session, accept: 'image/png' },
        status: 406,
        says: 'application/json',
      },
      {
        what: 'a foreign origin',
        body: initialize,
        headers: { origin: 'https://evil.example' },
        status: 403,
        says: '"gateway.http.allowedOrigins"',
      },
      {
        what: 'an origin of nowhere',
        body: initialize,
        headers: { origin: 'null' },
        status: 403,
        says: '"gateway.http.allowedOrigins"',
      },
    ]
    for (const { what, body, headers, status, says, code } of cases) {
      const response = await post(url, body, headers)
      const text = await response.text()
      expect({ what, status: response.status }).toEqual({ what, status })
      const { error } = JSON.parse(text) as { error: { code: number; message: string } }
      expect(error.message, what).toContain(says)
      if (code !== undefined) expect(error.code, what).toBe(code)
      expect(await client.call('good__echo', { what })).toBe(JSON.stringify({ what }))
    }
    const others = [
      { method: 'GET', path: '/', status: 404 },
      { method: 'PUT', path: '/mcp', status: 405 },
      { method: 'GET', path: '/mcp/nobody', status: 404 },
      { method: 'GET', path: '/mcp/%ff', status: 400 },
      { method: 'GET', path: '/sse/nobody', status: 404 },
      { method: 'POST', path: '/messages', status: 404 },
    ]
    for (const { method, path, status } of others) {
      const headers = { accept: 'text/event-stream' }
      const response = await fetch(`${served.origin}${path}`, { method, headers })
      await response.arrayBuffer()
      expect({ path, status: response.status }).toEqual({ path, status })
    }
  })

  test('a foreign Host is refused, so that a page of another site cannot reach in', async () => {
    await using served = await startGateway({ mcpServers: { good } })
    const { port } = new URL(served.origin)
    const answer = await raw(
      Number(port),
      `POST /mcp HTTP/1.1\r\nHost: evil.example:${port}\r\nContent-Type: application/json\r\nContent-Length: ${ping.length}\r\nConnection: close\r\n\r\n${ping}`,
    )
    expect(answer).toMatch(/^HTTP\/1\.1 403 /)
    expect(answer).toContain('"gateway.http.allowedHosts')
    expect(await raw(Number(port), 'this is not HTTP\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
    const client = await openSession(served.origin)
    expect(await client.call('good__echo', { a: 1 })).toBe('{"a":1}')
  })

  test('half a body and a client that leaves do no harm', async () => {
    await using served = await startGateway({ mcpServers: { good } })
    const { port } = new URL(served.origin)
    const socket = connect(Number(port), '127.0.0.1')
    await once(socket, 'connect')
    socket.write(
      'POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"json',
    )
    await new Promise(resolve => setImmediate(resolve))
    socket.destroy()
    const client = await openSession(served.origin)
    expect(await client.call('good__echo', { a: 1 })).toBe('{"a":1}')
  })

  test('unknown names and URIs are refused by the gateway itself', async () => {
    await using served = await startGateway({ mcpServers: { good } })
    const client = await openSession(served.origin)
    const cases = [
      {
        method: 'tools/call',
        params: { name: 'good__nothing' },
        code: -32602,
        says: 'Unknown tool: good__nothing',
      },
      { method: 'tools/call', params: { name: 'nothing' }, code: -32602, says: 'Unknown tool: nothing' },
      { method: 'tools/call', params: {}, code: -32602, says: '"name" must be a string' },
      { method: 'prompts/get', params: { name: 'nothing' }, code: -32602, says: 'Unknown prompt: nothing' },
      { method: 'resources/read', params: { uri: 7 }, code: -32602, says: '"uri" must be a string' },
      { method: 'tools/list', params: { cursor: 'bm9wZQ' }, code: -32602, says: 'cursor' },
      { method: 'logging/setLevel', params: { level: 'loud' }, code: -32602, says: '"level" must be one of' },
      { method: 'completion/complete', params: {}, code: -32602, says: '"ref"' },
      { method: 'no/such', params: {}, code: -32601, says: 'no/such' },
    ]
    for (const { method, params, code, says } of cases) {
      const { error } = await client.request(method, params)
      expect(error, method).toMatchObject({ code, message: expect.stringContaining(says) })
    }
    expect(await client.call('good__echo', { a: 1 })).toBe('{"a":1}')
  })

  test('over stdio: every bad line gets an answer, and stdout carries nothing but messages', async () => {
    await using scratch = makeScratch()
    const config = scratch.write('servers.json', {
      mcpServers: {
        good,
        noisy: misbehaving('noisy'),
        exit: misbehaving('exit'),
        missing: { command: 'no-such-command-anywhere' },
        garbled: misbehaving('garbled'),
        dying: misbehaving('exit-at-call'),
      },
      gateway: { state: 'memory', log: 'debug', http: { maxBody: '1MiB' } },
    })
    await using client = startStdio(config, { env: { HOME: scratch.path, XDG_STATE_HOME: scratch.path } })
    client.write('this is no JSON\n')
    expect(await client.next(answer => answer.id === null)).toMatchObject({ error: { code: -32700 } })
    client.write('\n\n{"jsonrpc":"2.0","id":"early","method":"tools/list"}\n')
    expect(await client.next(({ id }) => id === 'early')).toMatchObject({
      error: { code: -32600, message: expect.stringContaining('initialize') },
    })
    await client.initialize()
    client.write('{"jsonrpc":"2.0","id":"twice","method":"ping","id":"twice"}\n')
    expect(await client.next(({ id }) => id === '"twice"' || id === 'twice')).toMatchObject({
      error: { message: expect.stringContaining('stands twice') },
    })
    client.write(`{"jsonrpc":"2.0","id":"long","method":"ping","params":{"x":"${'x'.repeat(2_000_000)}"}}\n`)
    expect(await client.next(({ error }) => error?.message.includes('maxBody') === true)).toMatchObject({
      id: null,
      error: { code: -32600 },
    })
    client.write('{"jsonrpc":"2.0","id":[1],"method":"ping"}\n17\n[]\n')

    const { result } = await client.request('tools/list')
    const tools = (result?.['tools'] ?? []) as { name: string }[]
    const names = tools.map(({ name }) => name)
    expect(names).toEqual(
      expect.arrayContaining(['good__echo', 'noisy__echo', 'garbled__echo', 'dying__echo']),
    )
    expect(await client.call('missing__x')).toContain('no-such-command-anywhere')
    expect(await client.call('exit__x')).toContain('exited with code 3')
    expect(await client.call('garbled__echo')).toContain('not valid JSON')
    expect(await client.call('dying__echo')).toContain('exited with code 7')
    expect(await client.call('noisy__echo', { a: 1 })).toBe('{"a":1}')
    expect(await client.call('good__echo', { a: 1 })).toBe('{"a":1}')
    expect(await client.leave()).toBe(0)
    expect(client.log).toContain('the licence key is missing')
    expect(client.log).not.toMatch(/unhandled|uncaught/i)
  })
})

describe('the surroundings', () => {
  test('a port in use: the start fails at once and says what to do', async () => {
    await using scratch = makeScratch()
    await using taken = await startHttp(() => {})
    const { port } = new URL(taken.origin)
    const config = scratch.write('servers.json', {
      mcpServers: { good },
      gateway: { http: { port: Number(port) }, state: 'memory' },
    })
    const started = serve([BIN, 'serve', '--config', config], {
      ready: /listens on (\S+)/,
      env: { HOME: scratch.path },
    })
    await expect(started).rejects.toThrow(/ended with code 1/)
    await expect(started).rejects.toThrow(new RegExp(`${port}.*in use.*--port`, 's'))
  })
})

/** An HTTP server of the test's own; closed with the scope. */
async function startHttp(handler: RequestListener): Promise<{ origin: string } & AsyncDisposable> {
  const server = createServer(handler).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

function says(status: number, type: string, body: string): RequestListener {
  return (request, response) => {
    request.resume()
    response.writeHead(status, { 'content-type': type }).end(body)
  }
}

/** Sends bytes and gives everything that comes back until the connection ends. */
async function raw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  let answer = ''
  socket.on('data', chunk => (answer += chunk.toString()))
  socket.write(text)
  await once(socket, 'close')
  return answer
}

/** Closes a server with the scope. */
function disposable<T extends { close(): Promise<void> }>(value: T): { value: T } & AsyncDisposable {
  return { value, [Symbol.asyncDispose]: () => value.close() }
}
