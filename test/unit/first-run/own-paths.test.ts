import { expect, test } from 'vitest'
import { withOwnPaths } from '../../../src/first-run/own-paths.ts'
import type { Machine } from '../../../src/client-files/applications/application.ts'

/** Relative paths of entries are those of their client file. */

const machine: Machine = { platform: 'linux', home: '/home/ada', env: {}, cwd: '/work/shop' }
const file = {
  file: '/home/ada/.gemini/settings.json',
  section: { path: ['mcpServers'], kind: 'table' },
  syntax: 'jsonc',
} as const

test.each<['user' | 'project', object, object]>([
  ['project', { command: 'a' }, { command: 'a', cwd: '/work/shop' }],
  ['project', { command: 'a', cwd: './server' }, { command: 'a', cwd: '/work/shop/server' }],
  [
    'project',
    { command: 'a', cwd: '/x', envFile: '.env' },
    { command: 'a', cwd: '/x', envFile: '/work/shop/.env' },
  ],
  ['project', { url: 'https://a.example' }, { url: 'https://a.example' }],
  ['user', { command: 'a' }, { command: 'a' }],
  ['user', { command: 'a', cwd: './server' }, { command: 'a', cwd: '/home/ada/.gemini/server' }],
  ['user', { command: 'a', envFile: '~/.env' }, { command: 'a', envFile: '~/.env' }],
  ['user', { command: 'a', cwd: '${userHome}/x' }, { command: 'a', cwd: '${userHome}/x' }],
  [
    'user',
    { url: 'https://a.example', headers: { K: '${file:./key}', L: '${file:~/key}', M: '$${file:key}' } },
    {
      url: 'https://a.example',
      headers: { K: '${file:/home/ada/.gemini/key}', L: '${file:~/key}', M: '$${file:key}' },
    },
  ],
])('in a file of the %s: %j', (scope, entry, expected) => {
  expect(withOwnPaths({ ...entry }, { ...file, scope }, machine)).toEqual(expected)
})
