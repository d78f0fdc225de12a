import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { deferred } from '../helpers/deferred.ts'
import { MODERN, OFFICIAL_CLIENTS } from '../helpers/official-clients.ts'
import type { Connected, Entrance, OfficialClient } from '../helpers/official-clients.ts'
import { everything, filesystem, memory, serveEverything } from '../helpers/real-servers.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { serveGateway } from '../helpers/served.ts'
import type { Served } from '../helpers/served.ts'
import { openTap } from '../helpers/tap.ts'
import type { Tap } from '../helpers/tap.ts'

/**
 * Every official client, on every transport it has, through the built program to the reference servers, which are reached over stdio,
 * Streamable HTTP and the deprecated HTTP+SSE.
 */

/** Tools that each server is known for, by the names the gateway gives them. */
const PREFIXED = [
  'everything__echo',
  'everything__get-sum',
  'files__read_text_file',
  'files__list_directory',
  'memory__create_entities',
  'memory__read_graph',
  'streamable__echo',
  'sse__echo',
]

const scratch = makeScratch()
let tap: Tap
let upstreams: (Served & { endpoint: string })[]
let gateway: Served
let entrance: Entrance

beforeAll(async () => {
  tap = await openTap()
  upstreams = await Promise.all([serveEverything('streamableHttp'), serveEverything('sse')])
  scratch.write('note.txt', 'a note on disk')
  const configFile = scratch.write('servers.json', {
    mcpServers: {
      everything: tap.through(everything),
      files: filesystem(scratch.path),
      memory: { ...memory, env: { MEMORY_FILE_PATH: `${scratch.path}/memory.jsonl` } },
      streamable: { url: upstreams[0]?.endpoint },
      sse: { url: upstreams[1]?.endpoint },
    },
    gateway: {
      http: { port: 0 },
      state: `lmdb:${scratch.path}/state`,
      log: 'info',
      // Two cores start five servers while other tests run.
      catalog: { firstListTimeout: '25s' },
    },
  })
  gateway = await serveGateway(configFile)
  entrance = { configFile, origin: gateway.origin }
})

afterAll(async () => {
  await gateway?.stop()
  await Promise.all((upstreams ?? []).map(upstream => upstream.stop()))
  await tap?.[Symbol.asyncDispose]()
  await scratch[Symbol.asyncDispose]()
})

const label = (client: OfficialClient): string => `${client.name} over ${client.front}`
const rows = OFFICIAL_CLIENTS.map(client => ({ label: label(client), client }))

describe.each(rows)('$label', ({ client }) => {
  let connected: Connected

  beforeAll(async () => {
    connected = await client.connect(entrance)
  })
  afterAll(async () => {
    await connected?.[Symbol.asyncDispose]()
  })

  if (client.name.includes('pinned'))
    test('speaks the modern revision', () => {
      expect(connected.protocolVersion).toBe(MODERN)
    })

  test('lists the tools of every server, prefixed', async () => {
    const names = (await connected.listTools()).map(tool => tool.name)
    expect(names).toEqual(expect.arrayContaining(PREFIXED))
    expect(names.filter(name => !name.includes('__'))).toEqual([])
    expect(new Set(names).size).toBe(names.length)
  })

  test('lists prompts and resources', async () => {
    const prompts = (await connected.listPrompts()).map(prompt => prompt.name)
    expect(prompts).toEqual(expect.arrayContaining(['everything__args-prompt', 'streamable__simple-prompt']))
    const uris = (await connected.listResources()).map(resource => resource.uri)
    expect(uris).toContain('demo://resource/static/document/features.md')
    expect(new Set(uris).size).toBe(uris.length)
  })

  test.each(['everything', 'streamable', 'sse'])('calls a tool of %s', async server => {
    const message = `hello from ${client.front}`
    const result = await connected.callTool(`${server}__echo`, { message })
    expect(result.content).toEqual([{ type: 'text', text: `Echo: ${message}` }])
    expect(result.isError ?? false).toBe(false)
  })

  test('reads a file through the filesystem server', async () => {
    const result = await connected.callTool('files__read_text_file', { path: `${scratch.path}/note.txt` })
    expect(result.content[0]).toMatchObject({ type: 'text', text: 'a note on disk' })
    expect(result.structuredContent).toEqual({ content: 'a note on disk' })
  })

  test('reads the graph of the memory server', async () => {
    const result = await connected.callTool('memory__read_graph', {})
    expect(result.structuredContent).toEqual({ entities: [], relations: [] })
  })

  test("passes on a tool's own error", async () => {
    const result = await connected.callTool('files__read_text_file', { path: '/nowhere/else.txt' })
    expect(result.isError).toBe(true)
    expect(result.content[0]?.['text']).toContain('Access denied')
  })

  test('refuses a tool that does not exist', async () => {
    await expect(connected.callTool('everything__no-such-tool', {})).rejects.toThrow(/no-such-tool/)
  })

  test('reads a listed resource', async () => {
    const [content] = await connected.readResource('demo://resource/static/document/features.md')
    expect(content).toMatchObject({ uri: 'demo://resource/static/document/features.md' })
    expect(content?.['text']).toContain('echo')
  })

  test('reads a resource that only a template names', async () => {
    const [content] = await connected.readResource('demo://resource/dynamic/text/7')
    expect(content?.['uri']).toBe('demo://resource/dynamic/text/7')
    expect(content?.['text']).toMatch(/^Resource 7:/)
  })

  test('gets a prompt with arguments', async () => {
    const [message] = await connected.getPrompt('everything__args-prompt', { city: 'Oslo' })
    expect(message?.content).toEqual({ type: 'text', text: "What's weather in Oslo?" })
  })

  if (client.full)
    test('completes an argument', async () => {
      const values = await connected.completePrompt?.('everything__completable-prompt', 'department', 'E')
      expect(values).toEqual(['Engineering'])
    })

  if (client.full)
    test.each(['everything', 'streamable', 'sse'])('receives the progress of %s', async server => {
      const heard: [number, number | undefined][] = []
      const result = await connected.callTool(
        `${server}__trigger-long-running-operation`,
        { duration: 0.3, steps: 3 },
        { onProgress: (progress, total) => heard.push([progress, total]) },
      )
      expect(result.content[0]?.['text']).toContain('completed')
      // The last step is announced together with the result, and a client forgets the call with its result.
      expect(heard.slice(0, 2)).toEqual([
        [1, 3],
        [2, 3],
      ])
    })

  if (client.full)
    test('a cancel reaches the server', async () => {
      const duration = 600 + OFFICIAL_CLIENTS.indexOf(client) / 100
      const underWay = deferred()
      const abort = new AbortController()
      const call = connected.callTool(
        'everything__trigger-long-running-operation',
        { duration, steps: duration * 20 },
        { onProgress: () => underWay.resolve(), signal: abort.signal },
      )
      const ended = call.then(
        () => 'answered',
        () => 'rejected',
      )
      const { pid, message } = await tap.first(({ message }) => {
        const args = message.params?.['arguments'] as { duration?: number } | undefined
        return message.method === 'tools/call' && args?.duration === duration
      })
      await underWay.promise
      abort.abort(new Error('changed my mind'))
      expect(await ended).toBe('rejected')
      await tap.first(
        seen =>
          seen.pid === pid &&
          seen.from === 'client' &&
          seen.message.method === 'notifications/cancelled' &&
          seen.message.params?.['requestId'] === message.id,
      )
    })

  if (client.anyEndpoint)
    test('finds one server alone, with its own names', async () => {
      await using alone = await client.connect(entrance, '/mcp/memory')
      const names = (await alone.listTools()).map(tool => tool.name)
      expect(names).toEqual(expect.arrayContaining(['create_entities', 'read_graph']))
      expect(names.filter(name => name.includes('__'))).toEqual([])
      const result = await alone.callTool('read_graph', {})
      expect(result.structuredContent).toEqual({ entities: [], relations: [] })
      await expect(alone.callTool('everything__echo', { message: 'hello' })).rejects.toThrow()
    })
})
