import { spawnSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { installAsNpx, makeDocumentHome, type DocumentHome } from '../../helpers/document-home.ts'
import { blocksOf, markOf, PAGES, ROOT, textOfPage } from '../../helpers/documents.ts'
import { runPage } from '../../helpers/page-run.ts'
import { startRedis } from '../../helpers/redis-server.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'
import { prepare } from './scenes.ts'

/** The groups of pages, one for each file of tests, so that they run beside each other. */
export const GROUPS = {
  errors: (page: string): boolean => page.startsWith('docs/errors/'),
  examples: (page: string): boolean => page.startsWith('examples/'),
  others: (page: string): boolean => !/^(?:docs\/errors|examples)\//.test(page),
}

const isHere = (program: string): boolean => spawnSync('which', [program]).status === 0

/** Types what the pages of a group tell a reader to type, in the home of such a reader. */
export function describeTypedPages(group: keyof typeof GROUPS): void {
  const pages = PAGES.filter(GROUPS[group])
    .map(page => ({ page, blocks: blocksOf(textOfPage(page)) }))
    .filter(({ blocks }) => blocks.some(isTyped))
    .map(({ page, blocks }) => ({
      page,
      blocks,
      needs: blocks.flatMap(block => markOf(block, 'needs') ?? []),
    }))
  const missing = [...new Set(pages.flatMap(({ needs }) => needs))].filter(program => !isHere(program))
  if (missing.length > 0 && process.env['CI']) throw new Error(`Not installed: ${missing.join(', ')}`)

  describe.skipIf(process.platform !== 'linux')('what is typed', () => {
    let scratch: Scratch
    let modules: string
    beforeAll(() => {
      scratch = makeScratch()
      modules = installAsNpx(scratch)
    })
    afterAll(() => scratch[Symbol.asyncDispose]())

    for (const { page, blocks, needs } of pages)
      test.skipIf(needs.some(program => missing.includes(program)))(`in ${page}`, async () => {
        await using home = await makeDocumentHome(modules)
        if (GROUPS.examples(page)) copyExample(page, home, modules)
        await prepare(page, home, modules)
        const redis = needs.includes('redis-server') ? await startRedis(home.redisPort) : undefined
        try {
          await runPage(page, blocks, home)
        } finally {
          await redis?.stop()
        }
      })
  })
}

const isTyped = (block: ReturnType<typeof blocksOf>[number]): boolean =>
  block.language === 'sh' && markOf(block, 'not run') === undefined

/** The folder of the page, and what is beside it. Only a program that embeds the gateway has it among its packages. */
function copyExample(page: string, home: DocumentHome, modules: string): void {
  const folder = join(ROOT, dirname(page))
  cpSync(folder, home.folder, { recursive: true })
  for (const file of readdirSync(folder).filter(name => name.endsWith('.json')))
    home.write(`project/${file}`, readFileSync(join(folder, file), 'utf8'))
  cpSync(join(ROOT, 'examples', 'clock.js'), join(home.home, 'clock.js'))
  if (page.includes('/embed-')) symlinkSync(modules, join(home.folder, 'node_modules'))
}
