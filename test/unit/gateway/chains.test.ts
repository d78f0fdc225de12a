import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { CALL_CHAIN, OPENING_CHAIN, REQUEST_CHAIN } from '../../../src/gateway/chains.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

it('the pictures of the chains in docs/ show the arrays of src/gateway/chains.ts', () => {
  const { status, stderr } = spawnSync(process.execPath, ['test/tools/write-chains.js', '--check'], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
})

it('every middleware has a name of its own, which the pictures show', () => {
  for (const chain of [CALL_CHAIN, OPENING_CHAIN, REQUEST_CHAIN]) {
    const names = chain.map(({ name }) => name)
    expect(names).not.toContain('')
    expect(new Set(names).size).toBe(names.length)
  }
})
