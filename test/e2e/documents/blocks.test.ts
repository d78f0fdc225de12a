import { spawnSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { blocksOf, markOf, PAGES, ROOT, textOfPage } from '../../helpers/documents.ts'
import { installAsNpx, makeDocumentHome } from '../../helpers/document-home.ts'
import { runPage } from '../../helpers/page-run.ts'
import { startRedis } from '../../helpers/redis-server.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'
import { prepare } from './scenes.ts'

/** What pages and examples tell a reader to type is typed, in the home of such a reader, and does what they say. */

const withCommands = PAGES.map(page => ({ page, blocks: blocksOf(textOfPage(page)) })).filter(({ blocks }) =>
  blocks.some(({ language }) => language === 'sh'),
)
const isHere = (program: string): boolean => spawnSync('which', [program]).status === 0
const isExample = (page: string): boolean => page.startsWith('examples/') && page !== 'examples/README.md'

test('each block of commands has its language, so that none is left out', () => {
  for (const page of PAGES)
    for (const { language, line } of blocksOf(textOfPage(page)))
      expect(['', 'sh', 'json', 'jsonc', 'js', 'ts', 'text', 'toml', 'yaml', 'nginx', 'ini'], `${page}:${line}`).toContain(
        language,
      )
})

test('what is not run has a reason', () => {
  const reasons = withCommands.flatMap(({ page, blocks }) =>
    blocks.flatMap(block => {
      const reason = markOf(block, 'not run')
      return reason === undefined ? [] : [`${page}: ${reason}`]
    }),
  )
  for (const reason of reasons) expect(reason).toMatch(/: (?:needs|changes|installs|ends) .{4,}/)
})

describe.skipIf(process.platform === 'win32')('what is typed', () => {
  let scratch: Scratch
  let modules: string
  beforeAll(() => {
    scratch = makeScratch()
    modules = installAsNpx(scratch)
  })
  afterAll(() => scratch[Symbol.asyncDispose]())

  const cases = withCommands.map(({ page, blocks }) => ({
    page,
    blocks,
    needs: blocks.flatMap(block => markOf(block, 'needs') ?? []),
  }))

  test.each(cases.filter(({ needs }) => needs.every(isHere)))('in $page', async ({ page, blocks, needs }) => {
    await using home = await makeDocumentHome(modules)
    if (isExample(page)) {
      const folder = join(ROOT, dirname(page))
      cpSync(folder, home.folder, { recursive: true })
      for (const file of readdirSync(folder).filter(name => name.endsWith('.json')))
        home.write(`project/${file}`, readFileSync(join(folder, file), 'utf8'))
      symlinkSync(modules, join(home.folder, 'node_modules'))
    }
    await prepare(page, home)
    const redis = needs.includes('redis-server') ? await startRedis(home.redisPort) : undefined
    try {
      await runPage(page, blocks, home)
    } finally {
      await redis?.stop()
    }
  })

  test.skipIf(cases.every(({ needs }) => needs.every(isHere)))('everything that pages need is here', () => {
    if (process.env['CI']) throw new Error('A program that a page needs is not installed.')
  })
})
