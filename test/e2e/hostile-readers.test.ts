import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { posix } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readingsOf, sampleBodies } from '../hostile/samples.js'

/** The readers that judge an attack, held against the real ones, where these are installed. */

const peer = (name: string): string => fileURLToPath(new URL(`../hostile/peers/${name}`, import.meta.url))
const has = (command: string, ...args: string[]): boolean => spawnSync(command, args).status === 0

// Halves of surrogate pairs are read differently everywhere, and no name has any.
const texts = sampleBodies(20, 3000).filter(text => !/ud[89a-f]/i.test(text))

interface Read {
  method: unknown
  target: unknown
  amount?: unknown
  paths: string[]
}

function ask(command: string, ...args: string[]): (Read | null)[] {
  const { stdout, stderr, status } = spawnSync(command, args, {
    input: texts.map(text => JSON.stringify(text)).join('\n'),
    maxBuffer: 1 << 28,
    encoding: 'utf8',
  })
  expect(status, stderr).toBe(0)
  return stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Read | null)
}

const file = (path: string): string => posix.normalize(`/${path}`).replace(/(.)\/$/, '$1')

/** What a real reader sees must be among what its model sees: a model that sees too much only makes the judge stricter. */
function compare(reader: string, real: (Read | null)[]): void {
  const blind = texts.flatMap((text, at) => {
    const read = real[at]
    if (!read) return []
    const model = readingsOf(text).find(reading => reading.reader === reader)
    const missing: unknown[] = []
    if (typeof read.method === 'string' && model?.method !== read.method) missing.push(read.method)
    if (typeof read.target === 'string' && model?.target !== read.target) missing.push(read.target)
    if (typeof read.amount === 'number' && !model?.amounts.includes(read.amount)) missing.push(read.amount)
    const seen = model?.paths.map(file) ?? []
    missing.push(...read.paths.map(file).filter(path => !seen.includes(path)))
    return missing.length === 0 ? [] : [`${text} → ${JSON.stringify({ missing, model })}`]
  })
  expect(blind).toEqual([])
  expect(real.filter(read => read !== null).length).toBeGreaterThan(1000)
}

describe('the readers of the hostile run see what the real ones see', () => {
  test.skipIf(!has('python3', '--version'))('Python', () =>
    compare('python', ask('python3', peer('reader.py'))),
  )
  test.skipIf(!has('go', 'version'))('Go', () => compare('go', ask('go', 'run', peer('reader.go'))), 120_000)
})
