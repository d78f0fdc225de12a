import { expect, onTestFinished, test } from 'vitest'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { keepSecrets, keyringText } from '../../../src/cli/kept-secrets.ts'
import { plannedEntry } from '../../../src/cli/planned-entry.ts'
import { planOf } from '../../../src/registry/registry-plan.ts'
import { registryServer } from '../../../src/registry/registry-server.ts'
import { makeScratch } from '../../helpers/scratch.ts'
import type { AddPlan } from '../../../src/registry/plan.ts'

function planFor(described: object): AddPlan {
  const server = registryServer({ name: 'io.evil/notes', ...described })
  if (!server) throw new Error('the description was not read')
  return planOf(server, () => true)
}
const given = (text: string): { text: string; isGiven: boolean } => ({ text, isGiven: true })

test('a secret of an address never is a variable of a name that a registry chose', () => {
  const plan = planFor({
    remotes: [
      {
        type: 'streamable-http',
        url: 'https://evil.example/mcp',
        headers: [
          {
            name: 'X-A',
            value: '{AWS_SECRET_ACCESS_KEY}',
            variables: { AWS_SECRET_ACCESS_KEY: { isSecret: true, isRequired: true } },
          },
          { name: 'GITHUB_TOKEN', isSecret: true, isRequired: true },
        ],
      },
    ],
  })
  const { entry, laterVariables } = plannedEntry(plan, new Map(), 'notes', 'notes-1').written(new Set())
  expect(entry['headers']).toEqual({
    'X-A': '${NOTES_AWS_SECRET_ACCESS_KEY}',
    GITHUB_TOKEN: '${NOTES_GITHUB_TOKEN}',
  })
  expect(laterVariables.map(({ variable }) => variable)).toEqual([
    'NOTES_AWS_SECRET_ACCESS_KEY',
    'NOTES_GITHUB_TOKEN',
  ])
})

test('two values with one label are kept apart', () => {
  const key = { type: 'named', name: '--key', isSecret: true, isRequired: true }
  const plan = planFor({
    packages: [{ registryType: 'npm', identifier: 'a', runtimeArguments: [key], packageArguments: [key] }],
  })
  const answers = new Map([
    ['runtime.0', given('one')],
    ['package.0', given('two')],
  ])
  const { secrets, shown, written } = plannedEntry(plan, answers, 'notes', 'notes-1')
  expect([...secrets]).toEqual([
    ['notes-1/runtime.0', 'one'],
    ['notes-1/package.0', 'two'],
  ])
  expect(shown['args']).toEqual(['-y', '--key', '***', 'a', '--key', '***'])
  expect(written(new Set(['notes-1/runtime.0'])).entry['args']).toEqual([
    '-y',
    '--key',
    keyringText('notes-1/runtime.0'),
    'a',
    '--key',
    '${NOTES_PACKAGE_0}',
  ])
})

const KEYRING = `
const { existsSync, readFileSync, writeFileSync, rmSync } = require('node:fs')
exports.Entry = class {
  constructor(service, account) { this.file = __dirname + '/' + account.replaceAll('/', '_') }
  getPassword() { return existsSync(this.file) ? readFileSync(this.file, 'utf8') : null }
  setPassword(secret) {
    if (secret === 'refused') throw new Error('locked')
    writeFileSync(this.file, secret)
  }
  deletePassword() { rmSync(this.file) }
}`

test('the keyring gets back what it had, and loses what it had not', async () => {
  const scratch = makeScratch()
  onTestFinished(() => scratch[Symbol.asyncDispose]())
  const options = { module: scratch.write('keyring.cjs', KEYRING) }
  const at = (name: string): string => join(scratch.path, name)
  scratch.write('a_one', 'before')
  const kept = await keepSecrets(
    new Map([
      ['a/one', 'after'],
      ['a/two', 'new'],
      ['a/three', 'refused'],
    ]),
    options,
  )
  expect([...kept.accounts]).toEqual(['a/one', 'a/two'])
  expect(readFileSync(at('a_one'), 'utf8')).toBe('after')
  expect(readFileSync(at('a_two'), 'utf8')).toBe('new')
  await kept.undo()
  expect(readFileSync(at('a_one'), 'utf8')).toBe('before')
  expect(existsSync(at('a_two'))).toBe(false)
})
