import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { SECTIONS } from '../src/config/options/file.ts'
import { CALL_CHAIN, OPENING_CHAIN, REQUEST_CHAIN } from '../src/gateway/chains.ts'
import { PAGES, ROOT } from './helpers/documents.ts'

/** The pages name what there is, and there is what they name. */

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8')
const filesIn = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map(file =>
    file.replaceAll('\\', '/'),
  )

/** Files that a page links to, from the root. */
function linked(page: string): string[] {
  return [...read(page).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map(([, link]) =>
    relative(ROOT, resolve(ROOT, dirname(page), link as string)).replaceAll('\\', '/'),
  )
}

describe('pages', () => {
  test.each(PAGES)('%s links to files that exist', page => {
    expect(linked(page).filter(file => !existsSync(join(ROOT, file)))).toEqual([])
  })

  test('docs/README.md lists every page', () => {
    const listed = linked('docs/README.md')
    const missing = PAGES.filter(
      page =>
        !['README.md', 'CHANGELOG.md', 'docs/README.md'].includes(page) &&
        !/^(?:docs\/(?:decisions|errors)|examples\/.+)\//.test(page),
    ).filter(page => !listed.includes(page))
    expect(missing).toEqual([])
    expect(listed).toEqual(expect.arrayContaining(['docs/decisions', 'docs/errors', 'examples/README.md']))
  })

  test('the README refers to the index, to the contribution guide and to the security policy', () => {
    expect(linked('README.md')).toEqual(
      expect.arrayContaining(['docs/README.md', 'CONTRIBUTING.md', 'SECURITY.md']),
    )
  })

  test('decisions are numbered without a gap, and each says what was rejected', () => {
    const decisions = readdirSync(join(ROOT, 'docs/decisions')).sort()
    expect(decisions.length).toBeGreaterThanOrEqual(10)
    decisions.forEach((file, at) => {
      expect(file).toMatch(new RegExp(`^${String(at + 1).padStart(4, '0')}-[a-z0-9-]+\\.md$`))
      const text = read(`docs/decisions/${file}`)
      for (const heading of ['Why a decision was needed', 'Decision', 'Rejected', 'What follows'])
        expect(text).toContain(`\n## ${heading}\n`)
      expect(text.match(/^- /gm)?.length ?? 0, `${file} rejects something`).toBeGreaterThan(1)
    })
  })

  test.each(['CONTRIBUTING.md', 'SECURITY.md'])('every path of the source that %s names exists', page => {
    const named = [...read(page).matchAll(/`((?:src|test|docs|bin)\/[^`\s]*)`/g)].map(
      ([, path]) => path as string,
    )
    expect(named.length).toBeGreaterThan(10)
    expect(named.filter(path => !path.includes('<') && !existsSync(join(ROOT, path)))).toEqual([])
  })
})

describe('the language', () => {
  const WIDTH = 120
  /** Pronouns for persons: the gateway, a client, a server or the operator is named instead. */
  const PERSONS = /\b(?:who|whoever|whom|(?:some|any|every|no)(?:body|one))\b/i
  const pages = PAGES
  const sources = ['src', 'bin', 'examples'].flatMap(folder =>
    filesIn(folder)
      .filter(file => /\.[jt]s$/.test(file) && !file.includes('node_modules'))
      .map(file => `${folder}/${file}`),
  )
  /** `file:line: text` of each such line. */
  const linesOf = (files: readonly string[], matches: (line: string) => boolean): string[] =>
    files.flatMap(file =>
      read(file)
        .split('\n')
        .flatMap((line, at) => (matches(line) ? [`${file}:${at + 1}: ${line.slice(0, 200)}`] : [])),
    )

  test(`no line of a page is longer than ${WIDTH} characters, apart from tables, code blocks and lone links`, () => {
    let code = false
    expect(
      linesOf(pages, line => {
        const fence = line.trimStart().startsWith('```')
        if (fence) code = !code
        if (code || fence || line.startsWith('|')) return false
        return line.length > WIDTH && /\s\S/.test(line.trim().replace(/^(?:- |\[[^\]]*\]: )/, ''))
      }),
    ).toEqual([])
  })

  test(`no line of a comment is longer than ${WIDTH} characters`, () => {
    expect(sources.length).toBeGreaterThan(300)
    expect(linesOf(sources, line => line.length > WIDTH && /^\s*(?:\/\/|\/?\*)/.test(line))).toEqual([])
  })

  test('no page, comment, message or name speaks of persons by a pronoun', () => {
    expect(linesOf([...pages, ...sources], line => PERSONS.test(line))).toEqual([])
  })

  test('no name and no comment of a test does so either', () => {
    const tests = filesIn('test')
      .filter(file => /\.[jt]s$/.test(file))
      .map(file => `test/${file}`)
    expect(tests.length).toBeGreaterThan(300)
    const wrong = tests.flatMap(file =>
      namesAndComments(read(file))
        .filter(text => PERSONS.test(text))
        .map(text => `${file}: ${text.slice(0, 200)}`),
    )
    expect(wrong).toEqual([])
  })
})

/** Names of tests and suites, as far as they are literals in a call, and comments. */
function namesAndComments(source: string): string[] {
  const literal = `'(?:[^'\\\\\\n]|\\\\.)*'|"(?:[^"\\\\\\n]|\\\\.)*"|\`(?:[^\`\\\\]|\\\\.)*\``
  const named = new RegExp(`(?:\\b(?:describe|it|test)(?:\\.\\w+)*|\\))\\(\\s*(${literal})\\s*,`, 'g')
  const comments = source.match(/\/\*[^]*?\*\/|(?<=^|\s)\/\/.*/gm) ?? []
  return [...[...source.matchAll(named)].map(([, name]) => name as string), ...comments]
}

describe('the lists of CONTRIBUTING.md', () => {
  /** The numbered files below a heading. */
  const filesOf = (heading: string): string[] => {
    const text =
      new RegExp(`\n## How to add ${heading}\n([^]*?)(?=\n## |$)`).exec(read('CONTRIBUTING.md'))?.[1] ?? ''
    const named = [...text.matchAll(/^\d+\. `([^`]+)`/gm)].map(([, file]) => file as string)
    expect(named.length, heading).toBeGreaterThan(2)
    return named
  }
  const ends = (file: string, part: string): boolean => read(file).includes(part)

  test('a middleware: each of the chains is where the list says, and is held to the contract', () => {
    expect(filesOf('a middleware')).toEqual(
      expect.arrayContaining([
        'src/middleware/<name>.ts',
        'src/gateway/chains.ts',
        'src/gateway/generation.ts',
        'test/unit/gateway/middlewares.test.ts',
      ]),
    )
    const inChains = [...CALL_CHAIN, ...REQUEST_CHAIN, ...OPENING_CHAIN].map(({ name }) => name)
    const chains = read('src/gateway/chains.ts')
    const from = new Map(
      [...chains.matchAll(/^import \{([^}]+)\} from '([^']+)'/gm)].flatMap(([, names, file]) =>
        (names as string).split(',').map(name => [name.trim(), file as string] as const),
      ),
    )
    const elsewhere = inChains.filter(
      name => !/^\.\.\/(?:middleware\/(?:request\/)?|bridge\/|tasks\/)/.test(from.get(name) ?? ''),
    )
    expect(inChains.length).toBeGreaterThan(10)
    expect(elsewhere).toEqual([])
    const subjects = read('test/unit/gateway/middlewares.test.ts')
    expect(inChains.filter(name => !subjects.includes(name))).toEqual([])
  })

  test('a transport: each has a kind, traits, a row, and a test of the contract', () => {
    const list = filesOf('a transport')
    expect(list).toEqual(
      expect.arrayContaining([
        'src/config/replica-types.ts',
        'src/config/options/endpoint.ts',
        'src/config/validate/servers.ts',
        'src/admin/masks.ts',
        'src/cli/check.ts',
        'src/upstream/transport/transports.ts',
      ]),
    )
    const folders = readdirSync(join(ROOT, 'src/upstream/transport'), { withFileTypes: true })
      .filter(entry => entry.isDirectory() && entry.name !== 'shared')
      .map(({ name }) => name)
    expect(folders.length).toBeGreaterThan(2)
    for (const name of folders) {
      expect(ends('src/config/replica-types.ts', `kind: '${name}'`), name).toBe(true)
      expect(existsSync(join(ROOT, `src/upstream/transport/${name}/traits.ts`)), name).toBe(true)
      expect(ends('src/upstream/transport/transports.ts', `  ${name}: {`), name).toBe(true)
      const tests = filesIn(`test/unit/upstream/transport/${name}`).filter(file => file.endsWith('.test.ts'))
      expect(
        tests.some(file => ends(`test/unit/upstream/transport/${name}/${file}`, 'describeTransport(')),
        name,
      ).toBe(true)
    }
  })

  test('a state store: each is opened by its form, and held to every contract', () => {
    const list = filesOf('a state store')
    const opened = [...read('src/state/open.ts').matchAll(/import\('\.\/([a-z-]+)\.ts'\)/g)].map(
      ([, name]) => name as string,
    )
    expect(opened.length).toBeGreaterThan(2)
    for (const name of opened) {
      for (const file of list.filter(path => path.includes('<name>')))
        expect(existsSync(join(ROOT, file.replace('<name>', name))), `${file} for ${name}`).toBe(true)
      for (const contract of ['describeStore(', 'describeAmounts('])
        expect(ends(`test/unit/state/${name}.test.ts`, contract), name).toBe(true)
      expect(ends('test/unit/cache/tier.test.ts', `describeTier('${name}'`), name).toBe(true)
    }
  })

  test('a command: each has a file, is loaded by its name alone, and is described on a page', () => {
    expect(filesOf('a command')).toEqual(
      expect.arrayContaining([
        'src/cli/<name>.ts',
        'src/cli/<area>-commands.ts',
        'test/unit/cli/program.test.ts',
      ]),
    )
    const areas = filesIn('src/cli').filter(file => file.endsWith('-commands.ts'))
    expect(areas.length).toBeGreaterThan(3)
    const caller = read('src/cli/program.ts')
    for (const area of areas) expect(caller, area).toContain(`from './${area}'`)
    const program = areas.map(area => read(`src/cli/${area}`)).join('\n')
    const commands = [...program.matchAll(/program\s*\.command\('([a-z-]+)'\)/g)].map(
      ([, name]) => name as string,
    )
    expect(commands.length).toBeGreaterThan(5)
    const pages = PAGES.map(read).join('\n')
    for (const name of commands) {
      expect(existsSync(join(ROOT, `src/cli/${name}.ts`)), name).toBe(true)
      expect(program, name).toContain(`import('./${name}.ts')`)
      expect(pages, name).toContain(`mcp-manifold ${name}`)
    }
  })

  test('a configuration key: every section is among the descriptors, and every list of reload tests is read', () => {
    expect(filesOf('a configuration key')).toEqual(
      expect.arrayContaining([
        'src/config/options/<section>.ts',
        'test/fixtures/config/valid/full.json',
        'test/e2e/reload/keys/<area>.ts',
      ]),
    )
    // A list is read by the test, or by another list.
    const areas = filesIn('test/e2e/reload/keys')
    const lists = areas.filter(file => ends(`test/e2e/reload/keys/${file}`, '_KEYS: KeyTests'))
    const imports = [
      read('test/e2e/reload/every-key.test.ts').replaceAll("'./keys/", "'./"),
      ...areas.map(file => read(`test/e2e/reload/keys/${file}`)),
    ].join('\n')
    expect(lists.length).toBeGreaterThan(5)
    expect(lists.filter(file => !new RegExp(`_KEYS \\} from '\\./${file}'`).test(imports))).toEqual([])
    const declared = filesIn('src/config/options').flatMap(file =>
      [...read(`src/config/options/${file}`).matchAll(/\bsection\('([^']*)'/g)].map(
        ([, place]) => place as string,
      ),
    )
    expect(SECTIONS.map(({ path }) => path).filter(place => !declared.includes(place))).toEqual([])
  })
})
