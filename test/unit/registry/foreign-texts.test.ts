import { expect, test } from 'vitest'
import { bundlePlan } from '../../../src/bundles/bundle-plan.ts'
import { manifestOf } from '../../../src/bundles/manifest.ts'
import { joinedText, literal } from '../../../src/registry/plan.ts'
import { planOf } from '../../../src/registry/registry-plan.ts'
import { registryServer } from '../../../src/registry/registry-server.ts'
import { GatewayError } from '../../../src/core/errors.ts'

/** What others describe never becomes a variable of the configuration, however it is cut into pieces. */

/** Whether the configuration would expand something in it. */
const isExpanded = (text: string): boolean => /\$\{/.test(text.replaceAll('$${', ''))

test.each([
  [['https://evil.example/$', '{AWS_SECRET_ACCESS_KEY}']],
  [['$', '', '{exec:id}']],
  [['', '$', '{file:/etc/passwd}', '$', '{HOME}']],
  [['a$$', '{X}']],
  [['${X}']],
])('literals %j make no variable', pieces => {
  expect(isExpanded(joinedText(pieces.map(literal)))).toBe(false)
})

test('a variable of the gateway stays one', () => {
  expect(joinedText([literal('Bearer '), '${keyring:a/b}'])).toBe('Bearer ${keyring:a/b}')
})

test('a default of a registry that follows a dollar sign is no variable', () => {
  const server = registryServer({
    name: 'io.example/notes',
    version: '1.0.0',
    description: 'Notes.',
    remotes: [
      {
        type: 'streamable-http',
        url: 'https://notes.example/${v}',
        variables: { v: { default: '{AWS_SECRET_ACCESS_KEY}' } },
      },
    ],
  })
  if (!server) throw new Error('the description was not read')
  const plan = planOf(server, () => false, 'remote')
  const { url } = plan.entry(() => literal('{AWS_SECRET_ACCESS_KEY}'))
  expect(url).toBe('https://notes.example/$${AWS_SECRET_ACCESS_KEY}')
})

test('a default of a bundle that follows a dollar sign is no variable', () => {
  const manifest = {
    name: 'notes',
    version: '1.0.0',
    server: {
      type: 'node',
      entry_point: 'a.js',
      mcp_config: { command: 'node', args: ['a=$${user_config.a}'] },
    },
    user_config: { a: { type: 'string', title: 'A', default: '{exec:id}' } },
  }
  const files = new Map([['manifest.json', Buffer.from(JSON.stringify(manifest))]])
  const { args } = bundlePlan(manifestOf(files, 'a.mcpb'), '/bundle').entry(() => literal('{exec:id}'))
  expect((args as string[]).some(isExpanded)).toBe(false)
})

test.each(['x/', '@a/', '/', '', 'x '])('a bundle with the name %j is refused', name => {
  const manifest = { name, server: { type: 'node', entry_point: 'a.js' } }
  const files = new Map([['manifest.json', Buffer.from(JSON.stringify(manifest))]])
  expect(() => manifestOf(files, 'a.mcpb')).toThrow(GatewayError)
})
