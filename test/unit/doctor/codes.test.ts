import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { configFrom } from '../../../src/config/load/load.ts'
import { ERROR_KINDS } from '../../../src/core/errors.ts'
import { isJsonObject } from '../../../src/core/json-object.ts'
import { ALL_CODES, FINDING_CODES, LAYER_EXITS } from '../../../src/doctor/codes.ts'
import { LAYERS } from '../../../src/doctor/layers.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const PAGES = join(ROOT, 'docs/errors')
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8')
const pageOf = (code: string): string => readFileSync(join(PAGES, `${code}.md`), 'utf8')

/** The example at the end of a page. */
function exampleOf(page: string): { readonly language: string; readonly text: string } {
  const [, language = '', text = ''] = /\n```(\w+)\n(.+)\n```\n$/s.exec(page) ?? []
  return { language, text }
}

describe('the list of codes', () => {
  test('is that of the errors of a gateway and of the findings of doctor', () => {
    const union = new Set([...Object.keys(ERROR_KINDS), ...Object.keys(FINDING_CODES)])
    expect(ALL_CODES).toEqual([...union].sort())
  })

  test('is that of the pages', () => {
    expect(readdirSync(PAGES).sort()).toEqual(ALL_CODES.map(code => `${code}.md`))
  })

  test('has no code that nothing in the source gives', () => {
    const files = ['src/doctor'].flatMap(folder =>
      readdirSync(join(ROOT, folder))
        .filter(name => name.endsWith('.ts') && name !== 'codes.ts')
        .map(name => read(`${folder}/${name}`)),
    )
    const given = Object.keys(FINDING_CODES).filter(code => files.some(text => text.includes(`'${code}'`)))
    expect(given).toEqual(Object.keys(FINDING_CODES))
  })
})

describe.each(ALL_CODES)('the page of %s', code => {
  test('says what happened, why, and how to mend it, with an example', () => {
    const page = pageOf(code)
    expect(page).toMatch(
      new RegExp(
        `^# ${code}\\n\\n.{20,}\\n\\n## Why\\n\\n.{10,}\\n\\n## Fix\\n\\n.{10,}\\n\\n## Example\\n`,
        's',
      ),
    )
    expect(exampleOf(page).text.length).toBeGreaterThan(10)
  })

  test('has an example that a gateway accepts', async () => {
    const { language, text } = exampleOf(pageOf(code))
    if (language !== 'json') return
    const value: unknown = JSON.parse(text)
    if (!isJsonObject(value) || !['mcpServers', 'clients', 'gateway', 'profiles'].some(key => key in value))
      return
    const profiled = 'profiles' in value ? { files: { command: 'a' }, git: { command: 'b' } } : {}
    const file = { mcpServers: profiled, ...value }
    const env = new Proxy({}, { get: (_, name) => (name === 'REGION' ? undefined : KEY) })
    const config = await configFrom(file, { env })
    expect(config.servers.map(({ problem }) => problem).filter(Boolean)).toEqual([])
  })
})

/** Stands for every variable; also a key of the vault. */
const KEY = Buffer.alloc(32, 1).toString('base64')

test('docs/doctor.md has every layer with its exit code, in this order', () => {
  const rows = [...read('docs/doctor.md').matchAll(/^\| `(\w+)` +\| (\d+) /gm)]
  expect(rows.map(([, name, code]) => [name, Number(code)])).toEqual(Object.entries(LAYER_EXITS))
  const names = Object.keys(LAYER_EXITS)
  const order = LAYERS.map(({ name }) => names.indexOf(name))
  expect(order).toEqual(order.toSorted((a, b) => a - b))
})
