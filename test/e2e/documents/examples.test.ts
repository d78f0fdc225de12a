import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { blocksOf, markOf, ROOT, textOfPage } from '../../helpers/documents.ts'
import { describeTypedPages } from './typed-pages.ts'

describeTypedPages('examples')

const LONGEST_PAGE = 40
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8')
const EXAMPLES = readdirSync(join(ROOT, 'examples'), { withFileTypes: true })
  .filter(entry => entry.isDirectory())
  .map(({ name }) => name)
const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: Record<string, string> }

describe.each(EXAMPLES)('the example %s', name => {
  const page = `examples/${name}/README.md`

  test(`has a page of ${LONGEST_PAGE} lines at most, with commands whose output is compared`, () => {
    expect(textOfPage(page).trimEnd().split('\n').length).toBeLessThanOrEqual(LONGEST_PAGE)
    const blocks = blocksOf(textOfPage(page))
    const compared = blocks.filter(
      ({ language, followsBlock }, at) =>
        language === 'text' &&
        followsBlock &&
        blocks[at - 1]?.language === 'sh' &&
        markOf(blocks[at - 1]!, 'not run') === undefined,
    )
    expect(compared.length).toBeGreaterThan(0)
  })

  test('is in the list of examples', () => {
    expect(textOfPage('examples/README.md')).toContain(`[${name}](${name})`)
  })

  test.runIf(existsSync(join(ROOT, 'examples', name, 'servers.json')))(
    'has servers that a test need not download',
    () => {
      const packages = read(`examples/${name}/servers.json`).match(/"@[\w-]+\/[\w-]+"/g) ?? []
      for (const quoted of packages) expect(devDependencies).toHaveProperty([JSON.parse(quoted) as string])
    },
  )
})
