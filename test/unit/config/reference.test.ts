import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { serversJsonSchema } from '../../../src/config/schema/file.ts'

const ROOT = new URL('../../../', import.meta.url)

test('docs/servers.schema.json and the tables of docs/configuration.md and docs/reload.md are up to date', () => {
  const { status, stderr } = spawnSync(process.execPath, ['test/tools/write-reference.js', '--check'], {
    cwd: fileURLToPath(ROOT),
    encoding: 'utf8',
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
})

test('the published schema is that of the source', () => {
  const published: unknown = JSON.parse(readFileSync(new URL('docs/servers.schema.json', ROOT), 'utf8'))
  expect(published).toEqual(JSON.parse(JSON.stringify(serversJsonSchema())))
})

test('every option has a sentence', () => {
  const lacking: string[] = []
  const visit = (schema: unknown, path: string): void => {
    if (typeof schema !== 'object' || schema === null) return
    const { properties, additionalProperties, items } = schema as Record<string, unknown>
    for (const [key, option] of Object.entries(
      (properties ?? {}) as Record<string, { description?: string }>,
    )) {
      if (!/^.+\.$/.test(option.description ?? '') && path !== '.inputs[]') lacking.push(`${path}.${key}`)
      visit(option, `${path}.${key}`)
    }
    visit(additionalProperties, `${path}.*`)
    visit(items, `${path}[]`)
  }
  visit(serversJsonSchema(), '')
  expect(lacking).toEqual([])
})
