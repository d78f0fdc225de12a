import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { diagnose, listing } from '../../helpers/diagnose.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'

/** Faults of lists, one test each. */

let scratch: Scratch
beforeEach(() => void (scratch = makeScratch()))
afterEach(async () => await scratch[Symbol.asyncDispose]())

const inputSchema = { type: 'object' }

describe('doctor finds, in the lists of a server,', () => {
  test('a name that is longer than an application takes', async () => {
    const name = 'search_the_whole_index_of_all_documents_that_were_ever_written'
    const a = { ...listing({ tools: [{ name, inputSchema }] }), prefix: false }
    const found = await diagnose(scratch, { mcpServers: { a } })
    const { layer, server, cause, set } = found.only('name_too_long')
    expect({ layer, server, code: found.code }).toEqual({ layer: 'lists', server: 'a', code: 0 })
    expect(cause).toContain(name)
    expect(set).toEqual({ key: 'mcpServers.a.prefix', value: 'a' })
  })

  test('a name with characters that models do not take', async () => {
    const a = { ...listing({ tools: [{ name: 'files.read', inputSchema }] }), prefix: false }
    const found = await diagnose(scratch, { mcpServers: { a } })
    expect(found.only('name_not_plain')).toMatchObject({
      layer: 'lists',
      server: 'a',
      set: { key: 'mcpServers.a.prefix', value: 'a' },
    })
    expect(found.only('name_not_plain').cause).toContain('files.read')
  })

  test('more tools than applications take', async () => {
    const tools = Array.from({ length: 101 }, (_, at) => ({ name: `tool_${at}`, inputSchema }))
    const found = await diagnose(scratch, { mcpServers: { a: listing({ tools }) } })
    const { layer, cause, set } = found.only('too_many_tools')
    expect({ layer, key: set?.key }).toEqual({ layer: 'lists', key: 'profiles' })
    expect(cause).toContain('101 tools')
    expect(cause).toContain('Cursor takes 40')
    expect(cause).toContain('Windsurf takes 100')
    expect(cause).not.toContain('VS Code')
  })

  test('definitions that take much of a conversation', async () => {
    const big = { type: 'object', description: 'x'.repeat(30_000) }
    const tools = [1, 2, 3].map(at => ({ name: `tool_${at}`, inputSchema: big }))
    const found = await diagnose(scratch, { mcpServers: { a: listing({ tools }) } })
    expect(found.only('lists_too_long')).toMatchObject({
      layer: 'lists',
      server: 'a',
      set: { key: 'mcpServers.a.tools' },
    })
    expect(found.only('lists_too_long').cause).toMatch(/about 2[12]\d{3} tokens/)
  })

  test('a description that is cut', async () => {
    const tools = [{ name: 'long', description: 'é'.repeat(1025), inputSchema }]
    const found = await diagnose(scratch, { mcpServers: { a: listing({ tools }) } })
    const { layer, server, cause } = found.only('description_too_long')
    expect({ layer, server }).toEqual({ layer: 'lists', server: 'a' })
    expect(cause).toContain('2048 bytes')
    expect(cause).toContain('a__long')
  })

  test('instructions that are cut', async () => {
    const found = await diagnose(scratch, { mcpServers: { a: listing({ instructions: 'x'.repeat(2049) }) } })
    expect(found.only('description_too_long').cause).toContain('instructions')
  })

  test('a tool that clients would reject', async () => {
    const tools = [
      { name: 'good', inputSchema },
      { name: 'odd', inputSchema: { type: 'string' } },
    ]
    const found = await diagnose(scratch, { mcpServers: { a: listing({ tools }) } })
    const { layer, server, cause, fix } = found.only('definition_left_out')
    expect({ layer, server }).toEqual({ layer: 'lists', server: 'a' })
    expect(cause).toContain('odd: "inputSchema" must have "type": "object"')
    expect(fix).toContain('author of the server')
    expect(found.servers).toMatchObject([{ server: 'a', tools: 1 }])
  })

  test('a list that cannot be fetched', async () => {
    const found = await diagnose(scratch, { mcpServers: { a: listing({ failsToList: true }) } })
    expect(found.only('list_fails')).toMatchObject({ layer: 'lists', severity: 'error', server: 'a' })
    expect(found.code).toBe(19)
  })
})
