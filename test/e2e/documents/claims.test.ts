import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, posix } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { anchorsOf, blocksOf, markOf, PAGES, ROOT } from '../../helpers/documents.ts'
import { BIN } from '../../helpers/served.ts'
import { makeScratch } from '../../helpers/scratch.ts'

/** What a person reads first, held against the program: links lead somewhere, examples are valid, commands exist. */

const run = promisify(execFile)
const DOCUMENTS = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter(isMarkdown)
    .map(name => `docs/${name}`),
]
const textOf = (document: string): string => readFileSync(join(ROOT, document), 'utf8')

function isMarkdown(name: string): boolean {
  return name.endsWith('.md')
}

/** Blocks of a language in a document. */
function blocks(text: string, ...languages: string[]): string[] {
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].flatMap(([, language = '', block = '']) =>
    languages.includes(language) ? [block] : [],
  )
}

/** An example with the variables and files of its references. Files are those of the example's own folder. */
function withSecrets(block: string, scratch: ReturnType<typeof makeScratch>): string {
  for (const [, path = ''] of block.matchAll(/\$\{file:([^}]+)\}/g))
    scratch.write(
      basename(path),
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
        type: 'pkcs8',
        format: 'pem',
      }) as string,
    )
  return block
    .replaceAll('sha256:…', `sha256:${'0'.repeat(64)}`)
    .replace(/\$\{file:[^}]*?([^/}]+)\}/g, '${file:$1}')
    .replace(
      /\$\{([A-Z_]+)\}/g,
      (_, name: string) => `\${${name}:-${Buffer.alloc(32, name).toString('base64')}}`,
    )
}

async function program(...args: string[]): Promise<{ code: number; said: string }> {
  const env = { PATH: process.env['PATH'], HOME: '/nowhere', SEARCH_TOKEN: 'x', ADMIN_TOKEN: 'x'.repeat(40) }
  return await run(process.execPath, [BIN, ...args], { env, cwd: '/' }).then(
    ({ stdout, stderr }) => ({ code: 0, said: stdout + stderr }),
    (error: { code: number; stdout: string; stderr: string }) => ({
      code: error.code,
      said: error.stdout + error.stderr,
    }),
  )
}

describe('links', () => {
  let packed: ReadonlySet<string>
  beforeAll(async () => {
    const args = ['pack', '--dry-run', '--json', '--ignore-scripts']
    const { stdout } = await run('npm', args, { cwd: ROOT, shell: process.platform === 'win32' })
    const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }]
    packed = new Set(files.map(({ path }) => path))
  })

  test.each(PAGES)('of %s lead to what is in the package, too', document => {
    // Examples are no links.
    const text = textOf(document).replace(/^```[\s\S]*?^```$/gm, '')
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? document : posix.join(dirname(document), path)
      const isPacked = packed.has(file) || [...packed].some(path => path.startsWith(`${file}/`))
      expect(isPacked, target).toBe(true)
      if (anchor !== undefined) expect(anchorsOf(textOf(file)), target).toContain(anchor)
      if (/\.(?:svg|png)$/.test(path))
        expect(readFileSync(join(ROOT, file)).length, target).toBeGreaterThan(500)
    }
  })

  test('the package says where it comes from', () => {
    const { repository, homepage, bugs } = JSON.parse(textOf('package.json')) as Record<string, unknown>
    expect(repository).toEqual({ type: 'git', url: expect.stringMatching(/^git\+https:.*\.git$/) })
    for (const address of [homepage, bugs]) expect(address).toMatch(/^https:\/\//)
  })
})

/** A section that a whole file would have. */
const SECTION = /^\{\s*(?:\/\/.*\s*)*"(?:\$schema|mcpServers|servers|clients|roles|profiles|gateway)":/

describe('configurations', () => {
  const README = blocks(textOf('README.md'), 'json', 'jsonc')
  const examples = DOCUMENTS.flatMap(document =>
    blocks(textOf(document), 'json', 'jsonc')
      .filter(block => SECTION.test(block))
      .map((block, at): [string, string] => [`${document}, ${at + 1}`, block]),
  )

  test('of the README are whole files', () => {
    expect(README.length).toBeGreaterThan(1)
    for (const block of README) expect(block).toMatch(SECTION)
  })

  test.each(examples)('of %s pass check', async (_, block) => {
    await using scratch = makeScratch()
    const { code, said } = await program('check', scratch.write('servers.json', withSecrets(block, scratch)))
    expect(said).toContain('is valid')
    expect(code).toBe(0)
  })

  test('the entries for clients are what their files hold', () => {
    const rows = [...textOf('README.md').matchAll(/^\| [\w ]+ \| `[^`]+\.json` +\| `(.+)` +\|$/gm)]
    expect(rows.length).toBeGreaterThan(4)
    for (const [, entry = ''] of rows)
      expect(Object.values(Object.values(JSON.parse(`{${entry}}`) as object)[0] as object)).toHaveLength(1)
  })
})

describe('commands', () => {
  /** Words after the program's name, wherever code names it. Blocks that are run need no look. */
  const named = DOCUMENTS.flatMap(document => {
    const text = textOf(document)
    const code = [
      ...blocksOf(text)
        .filter(block => block.language === 'sh' && markOf(block, 'not run') !== undefined)
        .flatMap(block => block.text.split('\n')),
      ...[...text.matchAll(/`([^`\n]+)`/g)].map(([, inline = '']) => inline),
    ]
    return code.flatMap(line => {
      const [, args] = /^(?:npx )?mcp-manifold(?:\.js)? ([^#]+)/.exec(line.trim()) ?? []
      return args === undefined ? [] : args.trim()
    })
  })

  test.each([...new Set(named)])('mcp-manifold %s', async args => {
    const words = args.split(/\s+/)
    const command = words
      .slice(0, words.findIndex(word => !/^[a-z]+$/.test(word)) >>> 0)
      .slice(0, ['keys', 'cache', 'credentials'].includes(words[0] ?? '') ? 2 : 1)
    const { said } = await program(...command, '--help')
    // Beside a command stands its other name.
    if (command.length > 0)
      expect(said).toMatch(new RegExp(`^Usage: mcp-manifold (?:\\w+\\|)?${command.join(' ')}(?:\\|\\w+)? `))
    for (const option of args.matchAll(/(?<![\w-])--?[a-z][\w-]*/g)) expect(said).toContain(option[0])
  })

  test('scripts that documents name exist', () => {
    const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> }
    for (const document of DOCUMENTS)
      for (const [, script = ''] of textOf(document).matchAll(/npm run ([a-z]+)/g))
        expect(scripts).toHaveProperty([script])
  })
})
