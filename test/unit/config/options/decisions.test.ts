import { describe, expect, test } from 'vitest'
import { isMoved } from '../../../../src/admin/addresses.ts'
import { definedCommands } from '../../../../src/admin/commands.ts'
import { ENDPOINT, LOCATION_KEYS, TYPES } from '../../../../src/config/options/endpoint.ts'
import { REPLICA_ENTRY, SERVER, keysThatDecide } from '../../../../src/config/options/server.ts'
import type { Check, Option } from '../../../../src/config/options/option.ts'
import { looksLikeServer } from '../../../../src/config/validate/scope.ts'

/** What the keys of a server determine. The admin API protects programs and addresses by it. */

const OPTIONS: readonly (readonly [string, Option])[] = [SERVER, REPLICA_ENTRY].flatMap(({ options }) =>
  Object.entries<Option>(options),
)

/** Whether a value may hold a text of any form. Sections have keys of their own. */
function isFree(check: Check): boolean {
  if (check.kind === 'text') return check.pattern === undefined && check.passes === undefined
  if (check.kind === 'list' || check.kind === 'table') return isFree(check.of)
  if (check.kind === 'either') return check.of.some(isFree)
  return check.kind === 'any'
}

test('each key of a server that any text can be written in says what it decides: wrap its option in `deciding`', () => {
  const unclassified = OPTIONS.filter(
    ([, option]) => !option.ignored && option.decides === undefined && isFree(option.check),
  )
  expect(unclassified.map(([key]) => key)).toEqual([])
})

test('each key that says where a server is decides a program or an address', () => {
  for (const key of LOCATION_KEYS) expect(['program', 'address']).toContain(ENDPOINT[key].decides)
})

describe('the admin API protects what they decide', () => {
  test.each(keysThatDecide('program'))('a new or changed %s needs the flag', key => {
    const config = (entry: object): object => ({ mcpServers: { up: entry } })
    expect(definedCommands({}, config({ [key]: 'x' }))).toEqual(['mcpServers.up'])
    expect(definedCommands(config({ [key]: 'x' }), config({ [key]: 'y' }))).toEqual(['mcpServers.up'])
    expect(definedCommands(config({ [key]: 'x' }), config({ [key]: 'x', timeout: '5s' }))).toEqual([])
    const many = (value: string): object => config({ replicas: [{ [key]: value }] })
    expect(definedCommands(many('x'), many('y'))).toEqual(['mcpServers.up'])
  })

  test.each(keysThatDecide('address'))('a changed %s moves a server', key => {
    expect(isMoved({ [key]: 'x' }, { [key]: 'y' })).toBe(true)
    expect(isMoved({ [key]: 'x' }, { [key]: 'x' })).toBe(false)
    expect(isMoved({ replicas: [{ [key]: 'x' }] }, { replicas: [{ [key]: 'y' }] })).toBe(true)
  })

  test.each(['oauth', 'auth'])('what %s asks for leads nowhere, and where it logs in does', key => {
    const at = (login: object | false): object => ({ url: 'http://up.test/mcp', [key]: login })
    const login = { issuer: 'https://as.test', scopes: ['a'] }
    expect(isMoved(at(login), at({ ...login, scopes: ['a', 'b'] }))).toBe(false)
    expect(isMoved(at(login), at({ ...login, scope: 'b', clientName: 'c', dpop: true }))).toBe(false)
    expect(isMoved({ url: 'http://up.test/mcp' }, at({ scopes: ['a'] }))).toBe(false)
    expect(isMoved(at(login), at({ ...login, issuer: 'https://evil.test' }))).toBe(true)
    expect(isMoved(at({ scopes: [] }), at(login))).toBe(true)
    expect(isMoved(at(login), at({ ...login, extraParams: { audience: 'x' } }))).toBe(true)
  })

  test('a service at the same host is another address', () => {
    const at = (service: string): object => ({ url: 'http://up.test/mcp', service })
    expect(isMoved(at('_mcp._tcp'), at('_other._tcp'))).toBe(true)
    expect(isMoved({ url: 'http://up.test/mcp' }, { serverUrl: 'http://up.test/other' })).toBe(false)
  })
})

test('an entry with each key of a place, and each type, looks like a server', () => {
  for (const key of LOCATION_KEYS) expect(looksLikeServer({ [key]: 'x' })).toBe(true)
  for (const type of TYPES) expect(looksLikeServer({ url: 'x', type: type.toUpperCase() })).toBe(true)
  expect(looksLikeServer({ url: 'x', type: 'other' })).toBe(false)
})
