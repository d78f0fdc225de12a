import { CLIENT, PROFILE, ROLE } from './client.ts'
import { IGNORED_ROOT_KEYS } from './foreign-keys.ts'
import { GATEWAY } from './gateway.ts'
import { group, ignoredKeys, option, table, text } from './kinds.ts'
import { section, type Check, type Options, type Section, type Written } from './option.ts'
import { SERVER } from './server.ts'

/** The complete format of a configuration file, including options reserved for later versions. */

const MAX_SERVER_NAME = 64
const SERVERS = table('Servers by name, as in the files of MCP clients.', SERVER, {
  max: MAX_SERVER_NAME,
  expected: `expected a name of 1 to ${MAX_SERVER_NAME} characters`,
})

const inputs: Check<readonly unknown[]> = {
  kind: 'list',
  of: {
    kind: 'object',
    required: { id: { kind: 'text', expected: 'expected a text' } },
    optional: {},
    open: true,
    expected: 'expected an object with an id',
  },
  expected: 'expected a list',
}

const includePath: Check<string> = {
  kind: 'text',
  expected: 'expected a path',
  empty: 'expected a path that is not empty',
}
const included: Check<string | readonly string[]> = {
  kind: 'either',
  of: [includePath, { kind: 'list', of: includePath, expected: 'expected a list of paths' }],
  expected: 'expected a path or a list of paths',
}

export const FILE = section('', {
  $schema: text('Address of the JSON Schema, for editors.', { as: false }),
  include: option(
    'string \\| list of strings',
    'Files whose servers, clients, roles and profiles are added: a file, a folder of `*.json` and `*.jsonc`, or a pattern such as `conf.d/team-*.json`, relative to this file.',
    included,
    { as: false, bounds: 'up to 256 files, 16 MiB in all' },
  ),
  mcpServers: SERVERS,
  servers: {
    ...SERVERS,
    meaning: 'Another name for `mcpServers`, as in the files of VS Code; both may be present.',
  },
  inputs: option(
    'list of objects',
    'Inputs of VS Code; the value of `${input:some-id}` is taken from the environment variable MCP_INPUT_SOME_ID, else from `default`.',
    inputs,
    { as: false },
  ),
  clients: table('Named callers with what they may use.', CLIENT),
  roles: table('Named sets of rules that clients and scopes refer to.', ROLE),
  profiles: table('Named selections of servers and tools, each with its own endpoint.', PROFILE, {
    pattern: /^[A-Za-z0-9._-]{1,64}$/,
    expected: 'expected a name of 1 to 64 letters, digits, ".", "_" or "-"',
  }),
  gateway: group('Settings of the gateway itself.', GATEWAY, { as: false }),
  ...ignoredKeys(IGNORED_ROOT_KEYS),
})

/** A valid file with its variables expanded. */
export type ServersFile = Written<(typeof FILE)['options']>
export type ServerEntry = NonNullable<ServersFile['mcpServers']>[string]
export type ReplicaEntry = NonNullable<ServerEntry['replicas']>[number]
export type ClientEntry = NonNullable<ServersFile['clients']>[string]
export type RoleEntry = NonNullable<ServersFile['roles']>[string]
export type GatewayEntry = NonNullable<ServersFile['gateway']>

/** Every section once, in the order of the file. */
export const SECTIONS: readonly Section[] = sectionsIn(FILE)

function sectionsIn(root: Section): Section[] {
  const found = new Map<string, Section>()
  const visit = (check: Check): void => {
    if (check.kind === 'section') add(check.section)
    else if (check.kind === 'list' || check.kind === 'table') visit(check.of)
    else if (check.kind === 'either') check.of.forEach(visit)
  }
  const add = (section: Section<Options>): void => {
    if (found.has(section.path)) return
    found.set(section.path, section)
    for (const option of Object.values(section.options)) visit(option.check)
  }
  add(root)
  return [...found.values()]
}
