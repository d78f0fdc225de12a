import { describe, expect, onTestFinished, test } from 'vitest'
import { MAX_ENTRIES } from '../../src/catalog/ingest.ts'
import { startRawServer } from '../fixtures/servers/raw.js'
import { startGateway, type TestGateway } from '../helpers/gateway.ts'
import { openSession } from '../helpers/http-client.ts'
import { scriptedHttp, scriptedStdio, toolText, type ScriptedServer } from '../helpers/scripted-servers.ts'
import { ModernHttp } from '../helpers/wire-clients.ts'
import { cpuMs } from '../helpers/running-time.ts'

/** Servers that say too much of themselves: each fails by itself, with the bound in the error, and everything else goes on. */

const DEPTH = 10_000
const nested = (depth = DEPTH): string => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth)
const listed = (depth = DEPTH): string => '['.repeat(depth) + ']'.repeat(depth)

const greeting = (capabilities: string, more = ''): string =>
  `{"protocolVersion":"2025-11-25","capabilities":${capabilities},"serverInfo":{"name":"s","version":"1"}${more}}`

async function scene(
  kind: 'stdio' | 'http',
  write: (bad: ScriptedServer) => void,
): Promise<{ bad: ScriptedServer; served: TestGateway; errorOf: (server: string) => string | undefined }> {
  const bad = await (kind === 'stdio' ? scriptedStdio() : scriptedHttp())
  onTestFinished(() => bad[Symbol.asyncDispose]())
  write(bad)
  const good = await startRawServer({})
  onTestFinished(() => good.close())
  const served = await startGateway({ mcpServers: { good: { url: good.url }, bad: bad.entry } })
  onTestFinished(() => served[Symbol.asyncDispose]())
  const errorOf = (server: string): string | undefined =>
    served.gateway.status().find(({ name }) => name === server)?.error
  return { bad, served, errorOf }
}

/** Clients of both eras are greeted, list and call. */
async function allIsWell({ origin }: TestGateway): Promise<readonly string[]> {
  const legacy = await openSession(origin)
  expect(legacy.greeting.result).toBeDefined()
  const names = await legacy.names('tools')
  expect(names).toContain('good__echo_raw')
  expect(await legacy.call('good__echo_raw', { a: 1 })).toBe('{"a":1}')
  await using modern = new ModernHttp(origin)
  expect(await modern.request('1', 'server/discover')).toContain('"capabilities"')
  expect(await modern.request('2', 'tools/list')).toContain('good__echo_raw')
  return names
}

describe.each(['stdio', 'http'] as const)('over %s', kind => {
  test.each([
    ['extensions', `{"tools":{},"extensions":{"io.modelcontextprotocol/ui":${nested()}}}`],
    ['an unknown capability', `{"tools":{},"x":${nested()}}`],
    ['experimental', `{"tools":{},"experimental":{"x":${listed()}}}`],
  ])('a server nests %s 10,000 deep and is the only one that fails', async (_what, capabilities) => {
    const { served, errorOf } = await scene(kind, ({ results }) =>
      results.set('initialize', greeting(capabilities)),
    )
    await allIsWell(served)
    expect(errorOf('bad')).toMatch(/"capabilities" of server "bad" are nested too deeply; at most 32 levels/)
  })

  test('a server writes a megabyte of capabilities and is the only one that fails', async () => {
    const { served, errorOf } = await scene(kind, ({ results }) =>
      results.set('initialize', greeting(`{"tools":{},"x":"${'y'.repeat(1024 * 1024)}"}`)),
    )
    await allIsWell(served)
    expect(errorOf('bad')).toMatch(/at most 65536 are accepted/)
  })

  test('instructions of a megabyte are cut', async () => {
    const { served } = await scene(kind, ({ results }) =>
      results.set('initialize', greeting('{"tools":{}}', `,"instructions":"${'y'.repeat(1024 * 1024)}"`)),
    )
    expect(await allIsWell(served)).toContain('bad__t')
    const { greeting: answer } = await openSession(served.origin, 'bad')
    expect(String(answer.result?.['instructions'])).toHaveLength(64 * 1024)
  })

  test('a definition that is nested 10,000 deep is left out, whatever is said anew', async () => {
    const { bad, served } = await scene(kind, ({ results }) => {
      const deep = `{"name":"deep","inputSchema":{"type":"object","x-mcp-header":1,"properties":${nested()}}}`
      results.set('tools/list', `{"tools":[${deep},${toolText('t')}]}`)
    })
    for (let again = 0; again < 3; again++) {
      const names = await allIsWell(served)
      expect(names).toContain('bad__t')
      expect(names).not.toContain('bad__deep')
      bad.say('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}')
    }
  })

  test('a page of 600,000 tools is refused before it is read', async () => {
    const tools = Array.from({ length: 600_000 }, (_, n) => toolText(`t${n}`)).join(',')
    const { served, errorOf } = await scene(kind, ({ results }) => {
      for (const method of ['resources/list', 'resources/templates/list', 'prompts/list'])
        results.set(method, `{"x":${'['.repeat(100)}${']'.repeat(100)}}`)
      results.set('tools/list', `{"tools":[${tools}]}`)
    })
    const names = await allIsWell(served)
    expect(names.some(name => name.startsWith('bad__'))).toBe(false)
    await expect.poll(() => errorOf('bad')).toMatch(/has no array|at most 8388608 are accepted/)
  })

  test('a page with more tools than are taken is cut off', async () => {
    const tools = Array.from({ length: MAX_ENTRIES + 5 }, (_, n) => toolText(`t${n}`)).join(',')
    const { served } = await scene(kind, ({ results }) => results.set('tools/list', `{"tools":[${tools}]}`))
    await allIsWell(served)
    await expect
      .poll(() => served.gateway.status().find(({ name }) => name === 'bad')?.tools)
      .toBe(MAX_ENTRIES)
  })

  test('an error to a list whose parts are nested 10,000 deep is the failure of its server', async () => {
    const { bad, served, errorOf } = await scene(kind, ({ results }) => {
      for (const method of ['tools/list', 'resources/list', 'resources/templates/list', 'prompts/list'])
        results.delete(method)
    })
    const answering = (async () => {
      for (let n = 0; n < 4; n++) {
        const request = await bad.requests.take(({ method }) => method.endsWith('/list'), 'a list')
        request.answer(`"error":{"code":${listed()},"message":${listed()},"data":${nested()}}`)
      }
    })()
    await allIsWell(served)
    await answering
    await expect.poll(() => errorOf('bad')).toMatch(/answered \S+ with error of no code: no message/)
  })
})

test.each(['{+a}{+b}{+c}{+d}{+e}{+f}x', 'db://{+schema}/{+table}', 'db://{a*}{b*}{c*}!'])(
  'a long URI is matched against the template %s in no time, and a very long one is refused',
  async template => {
    const { served } = await scene('http', ({ results }) =>
      results.set(
        'resources/templates/list',
        `{"resourceTemplates":[{"uriTemplate":"${template}","name":"t"}]}`,
      ),
    )
    const client = await openSession(served.origin)
    await client.names('tools')
    const started = cpuMs()
    for (const piece of ['a', '/', 'a,']) {
      const near = `db://${piece.repeat(8000 / piece.length)}\n`
      expect((await client.request('resources/read', { uri: near })).error?.code).toBe(-32602)
      const far = `db://${piece.repeat(200_000 / piece.length)}`
      const { error } = await client.request('resources/read', { uri: far })
      expect(error?.message).toMatch(/at most 8192 are accepted/)
    }
    expect(cpuMs() - started).toBeLessThan(5000)
    await allIsWell(served)
  },
)
