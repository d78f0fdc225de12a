import { expect, test } from 'vitest'
import { SECTIONS } from '../../../../src/config/options/file.ts'
import { formatPath, type Path } from '../../../../src/config/problem.ts'
import { validate } from '../../../../src/config/validate/validate.ts'

/** Keys whose entries stand in a list. */
const LISTS = ['replicas', 'rules', 'jwt']

/** A file with one key, at a place as the reference writes it. */
function fileWith(place: string, key: string): { file: unknown; path: Path } {
  const path: (string | number)[] = place === '' ? [] : place.split('.')
  for (let at = 1; at < path.length; at++)
    if (path[at] === '*') path[at] = LISTS.includes(String(path[at - 1])) ? 0 : 'some'
  const full = [...path, key]
  const file = full.reduceRight<unknown>((value, part) => (part === 0 ? [value] : { [part]: value }), 1)
  return { file, path: full }
}

const fixOf = async (file: unknown, path: Path): Promise<string | undefined> =>
  (await validate(file)).find(problem => formatPath(problem.path) === formatPath(path))?.fix

const CASES = SECTIONS.flatMap(({ path, options }) =>
  Object.entries(options).flatMap(([key, option]) => (option.ignored ? [] : [[path, key] as const])),
)

test('two letters of a key are swapped, at every place of a file: the error names the key', async () => {
  const missed: string[] = []
  for (const [place, key] of CASES) {
    const typo = `${key.charAt(1)}${key.charAt(0)}${key.slice(2)}`
    const known = SECTIONS.find(section => section.path === place)?.options ?? {}
    if (typo === key || Object.hasOwn(known, typo)) continue
    const { file, path } = fileWith(place, typo)
    const fix = await fixOf(file, path)
    if (!fix?.startsWith('Did you mean "')) missed.push(`${formatPath(path)}: ${fix}`)
  }
  expect(CASES.length).toBeGreaterThan(100)
  expect(missed).toEqual([])
})

test.each([
  [{ gateway: { prot: 8080 } }, ['gateway', 'prot'], 'gateway.http.port'],
  [{ gateway: { port: 8080 } }, ['gateway', 'port'], 'gateway.http.port'],
  [{ gateway: { http: { jwt: [] } } }, ['gateway', 'http', 'jwt'], 'gateway.auth.jwt'],
  [{ port: 8080, gateway: {} }, ['port'], 'gateway.http.port'],
  [
    { mcpServers: { 'my files': { url: 'http://x/', slowStart: 3 } } },
    ['mcpServers', 'my files', 'slowStart'],
    'mcpServers["my files"].health.slowStart',
  ],
  [
    { servers: { a: { url: 'http://x/', panci: '3s' } } },
    ['servers', 'a', 'panci'],
    'servers.a.health.panic',
  ],
  [{ clients: { ci: { when: 'true' } } }, ['clients', 'ci', 'when'], 'clients.ci.rules.*.when'],
] as const)('%j: a key that stands at another location is named with it', async (file, path, place) => {
  expect(await fixOf(file, path)).toBe(`Did you mean "${place}"?`)
})

test('a key that is near to none is not taken for one', async () => {
  expect(await fixOf({ gateway: { zzzzzz: 1 } }, ['gateway', 'zzzzzz'])).toContain('Remove it')
})
