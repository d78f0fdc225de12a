import { describe, expect, test } from 'vitest'
import { APPLICATIONS, applicationOf } from '../../../src/client-files/applications/applications.ts'
import { isOwnEntry } from '../../../src/client-files/own-entry.ts'
import type { ReadEntry } from '../../../src/client-files/applications/application.ts'

/** How entries of applications become entries of the gateway. */

const read = (id: string, entry: unknown, env?: Record<string, string>): ReadEntry => {
  const application = applicationOf(id)
  if (!application) throw new Error(`there is no application ${id}`)
  return application.read(entry, env)
}

test.each<[string, string, object, object]>([
  [
    'variables of the shell stay as they are',
    'claude-code',
    { command: 'a', env: { X: '${X:-d}' }, args: ['${Y}', '$Z'] },
    { command: 'a', args: ['${Y}', '$Z'], env: { X: '${X:-d}' } },
  ],
  [
    'an application without variables means the characters themselves',
    'claude-desktop',
    { command: 'npx', args: ['mcp-remote', '${TOKEN}'] },
    { command: 'npx', args: ['mcp-remote', '$${TOKEN}'] },
  ],
  [
    'variables of an editor',
    'cursor',
    { command: 'a', env: { X: '${env:X}', H: '${userHome}/x' }, envFile: '.env' },
    { command: 'a', env: { X: '${X}', H: '${userHome}/x' }, envFile: '.env' },
  ],
  [
    'an address under another key',
    'windsurf',
    { serverUrl: 'https://a.example/mcp' },
    { url: 'https://a.example/mcp' },
  ],
  [
    'variables with a dollar alone, and Streamable HTTP under a key of its own',
    'gemini-cli',
    { httpUrl: 'https://a.example/mcp', headers: { Authorization: 'Bearer $T' }, timeout: 5, trust: true },
    { url: 'https://a.example/mcp', headers: { Authorization: 'Bearer ${T}' } },
  ],
  [
    'an address without a type',
    'gemini-cli',
    { url: 'https://a.example/sse' },
    { url: 'https://a.example/sse' },
  ],
  [
    'names of variables, as Codex has them',
    'codex',
    { command: 'a', env_vars: ['X'], env: { Y: '${no}' }, startup_timeout_sec: 20 },
    { command: 'a', env: { X: '${X:-}', Y: '$${no}' } },
  ],
  [
    'headers of Codex',
    'codex',
    {
      url: 'https://a.example',
      bearer_token_env_var: 'T',
      http_headers: { A: 'b' },
      env_http_headers: { C: 'D' },
      enabled: false,
    },
    {
      url: 'https://a.example',
      headers: { A: 'b', C: '${D}', Authorization: 'Bearer ${T}' },
      disabled: true,
    },
  ],
  [
    'the command in a list, as OpenCode has it',
    'opencode',
    { type: 'local', command: ['npx', '-y', 'a'], environment: { X: '{env:X}' }, enabled: true },
    { command: 'npx', args: ['-y', 'a'], env: { X: '${env:X}' } },
  ],
  [
    'an address of OpenCode',
    'opencode',
    { type: 'remote', url: 'https://a.example' },
    { url: 'https://a.example' },
  ],
  [
    'an old entry of Zed',
    'zed',
    { source: 'custom', command: { path: 'a', args: ['b'], env: null } },
    { command: 'a', args: ['b'] },
  ],
  [
    'an extension of Goose',
    'goose',
    {
      type: 'stdio',
      name: 'a',
      cmd: 'uvx',
      args: ['a'],
      envs: { X: '1' },
      env_keys: ['X'],
      enabled: false,
      timeout: 300,
    },
    { command: 'uvx', args: ['a'], env: { X: '1' }, disabled: true },
  ],
  [
    'an address of Goose',
    'goose',
    { type: 'streamable_http', uri: 'https://a.example' },
    { url: 'https://a.example' },
  ],
  [
    'a login and a program for headers',
    'claude-code',
    { type: 'http', url: 'https://a.example', oauth: { clientId: 'x' }, headersHelper: '/bin/h' },
    { url: 'https://a.example', oauth: { clientId: 'x' }, headersHelper: '/bin/h' },
  ],
  ['an entry of Copilot CLI', 'copilot-cli', { type: 'local', command: 'a', tools: ['*'] }, { command: 'a' }],
])('%s', (_, id, entry, expected) => {
  expect(read(id, entry)).toMatchObject({ entry: expected })
  expect(Object.keys((read(id, entry) as { entry: object }).entry).sort()).toEqual(
    Object.keys(expected).sort(),
  )
})

test('keys that are not taken over are named', () => {
  expect(read('cursor', { command: 'a', timeout: 5, autoApprove: [], tools: {} })).toMatchObject({
    dropped: ['timeout'],
  })
})

test.each<[string, object, object]>([
  ['cline', { disabledTools: ['a', 'b'] }, { disabledTools: ['a', 'b'] }],
  ['gemini-cli', { excludeTools: ['a(x)'] }, { disabledTools: ['a'] }],
  ['codex', { disabled_tools: ['a'] }, { disabledTools: ['a'] }],
  ['codex', { enabled_tools: ['a'] }, { tools: { a: { hidden: false }, '*': { hidden: true } } }],
  [
    'gemini-cli',
    { includeTools: ['a', 'b'], excludeTools: ['b'] },
    { tools: { b: { hidden: true }, a: { hidden: false }, '*': { hidden: true } } },
  ],
  ['copilot-cli', { tools: ['*'] }, {}],
])('tools that are off in %s are off behind the gateway: %j', (id, keys, expected) => {
  const { entry } = read(id, { command: 'a', ...keys }) as { entry: object }
  expect(entry).toEqual({ command: 'a', ...expected })
})

test.each<[string, object, object]>([
  ['cursor', { auth: { CLIENT_ID: 'x', scopes: ['y'] } }, { auth: { CLIENT_ID: 'x', scopes: ['y'] } }],
  ['opencode', { oauth: false }, { oauth: false }],
  [
    'gemini-cli',
    {
      oauth: {
        enabled: true,
        clientId: 'x',
        authorizationUrl: 'https://b.example',
        tokenUrl: 'https://b.example',
      },
    },
    { oauth: { clientId: 'x' } },
  ],
  ['continue', { requestOptions: { headers: { A: 'b' } } }, { headers: { A: 'b' } }],
])('a login of %s is that of the gateway: %j', (id, keys, expected) => {
  const url = 'https://a.example'
  expect((read(id, { url, ...keys }) as { entry: object }).entry).toEqual({ url, ...expected })
})

test('a dollar that begins no variable stays', () => {
  const env = { SET: 'x' }
  const shown = (id: string, value: string): unknown => read(id, { command: 'a', env: { V: value } }, env)
  expect(shown('gemini-cli', 'P@$sw0rd $SET')).toMatchObject({ entry: { env: { V: 'P@$sw0rd ${SET}' } } })
  expect(shown('gemini-cli', 'a$$b')).toMatchObject({ entry: { env: { V: 'a$$b' } } })
  expect(shown('claude-code', 'a$$b')).toMatchObject({ entry: { env: { V: 'a$$b' } } })
})

test.each<[string, unknown, RegExp]>([
  ['cursor', { command: 'a', args: ['${workspaceFolder}/x'] }, /workspaceFolder.*each project/],
  ['vscode', { command: 'a', env: { K: '${input:key}' } }, /only the client can fill in.*input:key/],
  ['claude-code', { command: '${CLAUDE_PROJECT_DIR}/run' }, /each project/],
  ['vscode', { type: 'http', url: 'unix:///tmp/x.sock' }, /http and https/],
  ['goose', { type: 'builtin', name: 'developer' }, /part of Goose/],
  ['goose', { type: 'stdio', cmd: 'a', env_keys: ['TOKEN'], envs: {} }, /Goose keeps its secrets \(TOKEN\)/],
  ['zed', { source: 'extension', settings: {} }, /only Zed/],
  ['continue', { command: 'a', env: { K: '${{ secrets.K }}' } }, /kept by the client/],
  ['claude-code', { type: 'ws', url: 'https://a.example' }, /no transport "ws"/],
  ['cursor', 'npx', /not an object/],
  ['crush', { command: 'a', env: { K: '$(op read x)' } }, /a command makes one of its values/],
  ['gemini-cli', { command: 'a', env: { K: 'a$$HOME' } }, /"\$" in front of a variable/],
  ['claude-code', { command: 'a', env: { K: '$${X}' } }, /"\$" in front of a variable/],
  ['gemini-cli', { url: 'https://a.example', authProviderType: 'google_credentials' }, /authProviderType/],
  ['cursor', { command: 'a', tools: { x: false } }, /its tools is not a list/],
  ['cursor', {}, /neither a command nor a url/],
  ['cursor', { command: 'a', args: 'b c' }, /args is not a list/],
  ['cursor', { command: 'a', env: ['X=1'] }, /env is not an object/],
  ['opencode', { enabled: false }, /neither/],
  ['codex', [], /not an object/],
])('%s: %j stays with its application', (id, entry, reason) => {
  expect((read(id, entry) as { left: string }).left).toMatch(reason)
})

describe('the gateway itself', () => {
  const address = { host: '127.0.0.1', port: 3333 }
  test.each([
    { command: 'npx', args: ['-y', 'mcp-manifold'] },
    { command: 'npx', args: ['-y', 'mcp-manifold@1', '--config', '/elsewhere/servers.json'] },
    {
      command: 'cmd',
      args: ['/c', 'npx', '-y', 'mcp-manifold', '--config', '~/.config/mcp-manifold/servers.json'],
    },
    { command: '/opt/node', args: ['/opt/npm/bin/npx-cli.js', '-y', 'mcp-manifold', '-c', 'a'] },
    {
      command: 'C:\\Program Files\\nodejs\\node.exe',
      args: ['C:\\npm\\mcp-manifold\\bin\\mcp-manifold.js', '--config=a'],
    },
    { command: '/usr/local/bin/mcp-manifold' },
    { url: 'http://localhost:3333/mcp' },
    { url: 'http://127.0.0.1:3333/mcp/files' },
  ])('is %j', entry => {
    expect(isOwnEntry(entry, address)).toBe(true)
  })

  test.each([
    { command: 'npx', args: ['-y', 'mcp-manifold-tools'] },
    { command: 'node', args: ['server.js', 'mcp-manifold'] },
    { url: 'http://localhost:4444/mcp' },
    { url: 'https://mcp.example/mcp' },
  ])('is not %j', entry => {
    expect(isOwnEntry(entry, address)).toBe(false)
  })
})

test('names of applications are found as people type them', () => {
  expect(applicationOf('Claude Desktop')?.id).toBe('claude-desktop')
  expect(applicationOf('VS_Code')?.id).toBe('vscode')
  expect(applicationOf('gemini')?.id).toBe('gemini-cli')
  expect(applicationOf('emacs')).toBeUndefined()
  const names = APPLICATIONS.flatMap(({ id, aliases = [] }) => [id, ...aliases])
  expect(new Set(names).size).toBe(names.length)
})
