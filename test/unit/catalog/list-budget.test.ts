import { expect, it } from 'vitest'
import { catalogOf } from '../../helpers/catalog.ts'
import { ListBudget } from '../../../src/catalog/list-budget.ts'
import type { ListableLink } from '../../../src/catalog/list-server.ts'
import type { ServerSnapshot } from '../../../src/catalog/snapshot.ts'
import { Variants } from '../../../src/catalog/variants.ts'
import { configFrom } from '../../../src/config/load/load.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { compilePolicies } from '../../../src/policy/policies.ts'
import { snapshotOf } from '../../helpers/snapshot.ts'

const tool = (key: string, description = ''): string =>
  JSON.stringify({ name: key, description, inputSchema: { type: 'object' } })

const named = (count: number): string[] => Array.from({ length: count }, (_, at) => `n${at}`)

const listed = (...tools: string[]): ServerSnapshot =>
  snapshotOf('a', {
    lists: {
      tools: tools.map(key => ({ key, text: tool(key) })),
      resourceTemplates: named(2).map(key => ({ key, text: `"${key}"` })),
    },
  })

it('a server has at most what it leaves free, so that there is room for one that comes later', () => {
  const budget = new ListBudget({ entries: 100, chars: 1000 })
  const take = (server: string, entries: number, chars = 0) => budget.take(server, { entries, chars })
  expect(() => take('huge', 51)).toThrow(
    /"huge" have 51 definitions, .* at most 50 are kept of it now, and 100 of all/,
  )
  expect(() => take('huge', 1, 501)).toThrow(
    /"huge" have 501 characters, .* at most 500 are kept of it now, and 1000 of all/,
  )
  take('huge', 50)
  expect(() => take('small', 26)).toThrow('at most 25')
  take('small', 25)
  take('later', 12)
  // What does not grow fits, whatever others have.
  take('huge', 50)
  expect(() => take('huge', 51)).toThrow('at most 50')
  take('huge', 0)
  take('later', 37)
})

it('lists of an earlier run fit in whatever order they are read', () => {
  const budget = new ListBudget({ entries: 100, chars: 1000 })
  budget.restore('small', { entries: 25, chars: 0 })
  budget.restore('huge', { entries: 50, chars: 0 })
  expect(() => budget.restore('other', { entries: 26, chars: 0 })).toThrow('at most 25')
})

it('what a server shows to other kinds of clients counts, and lists that are the same count once', () => {
  const variants = new Variants('a', new ListBudget({ entries: 20, chars: 10_000 }))
  variants.set('l', '{}', listed('t', 'u'), undefined)
  // Of these only the tools are other ones.
  variants.set('le', '{}', listed('t', 'u', 'v'), undefined)
  expect(variants.seenBy('le')?.lists.resourceTemplates).toBe(variants.base?.lists.resourceTemplates)
  expect(() => variants.set('ls', '{}', listed('t', 'u', 'v', 'w'), undefined)).toThrow('have 11 definitions')
  expect(variants.isKnown('ls')).toBe(false)
  expect(() => variants.set('le', '{}', listed(...named(7)), undefined)).toThrow('have 11 definitions')
  expect(variants.seenBy('le')?.lists.tools).toHaveLength(3)
  // Equal to the base, so they cost nothing, and neither does what they replace.
  variants.set('le', '{}', listed('t', 'u'), undefined)
  variants.set('ls', '{}', listed(...named(6)), undefined)
})

it('a server whose lists outgrow their room keeps those it had, and the error names it and the limit', async () => {
  const config = await configFrom(
    { mcpServers: { huge: { command: 'a' }, small: { command: 'b' } }, gateway: { state: 'memory' } },
    { env: {} },
  )
  const policies = await compilePolicies(config, SILENT)
  const counts = new Map([
    ['huge', 3],
    ['small', 2],
  ])
  const pageOf = (server: string, method: string): string => {
    const key = method === 'tools/list' ? 'tools' : method === 'prompts/list' ? 'prompts' : undefined
    const kind = key ?? (method === 'resources/list' ? 'resources' : 'resourceTemplates')
    const entries = named(counts.get(server) ?? 0).map(
      name =>
        `{"name":"${name}","uri":"${server}:${name}","uriTemplate":"${server}:${name}/{x}","inputSchema":{"type":"object"}}`,
    )
    return `{"${kind}":[${entries.join(',')}]}`
  }
  const link = (server: string): ListableLink => ({
    peer: {
      era: 'legacy',
      capabilities: { tools: {}, prompts: {}, resources: {} },
      protocolVersion: '2025-11-25',
      instructions: undefined,
    },
    transport: { kind: 'stdio' },
    usable: true,
    request: method => {
      const text = pageOf(server, method)
      return Promise.resolve({ text, value: JSON.parse(text) as Record<string, unknown> })
    },
  })
  const { catalog, lists, close } = catalogOf(config, policies, link)
  await lists.load()
  await lists.refresh('huge')
  counts.set('huge', 15_000)
  await lists.refresh('huge')
  expect(catalog.failure('huge')?.message).toBe(
    'The lists of server "huge" have 60000 definitions, all that it shows to other kinds of clients included; at most 50000 are kept of it now, and ' +
      '100000 of all servers. Fix: let the server list less, or give it a gateway of its own.',
  )
  expect(catalog.snapshot('huge')?.lists.tools).toHaveLength(3)
  await lists.refresh('small')
  expect(catalog.view('')?.count('tools')).toBe(5)
  counts.set('huge', 4)
  await lists.refresh('huge')
  expect(catalog.failure('huge')).toBeUndefined()
  expect(catalog.view('')?.count('tools')).toBe(6)
  await close()
})
