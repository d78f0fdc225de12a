import { describe, expect, test } from 'vitest'
import { planOf, type PackageKind } from '../../../src/registry/registry-plan.ts'
import { registryServer } from '../../../src/registry/registry-server.ts'
import type { AddPlan, AskedValue } from '../../../src/registry/plan.ts'

const NPM = { registryType: 'npm', identifier: '@good/notes', version: '1.2.0' }

interface Chosen {
  readonly isThere?: (program: string) => boolean
  readonly kind?: PackageKind
  readonly meta?: object
}

/** The plan for a server that a registry describes so. */
function planFor(described: object, { isThere = () => true, kind, meta }: Chosen = {}): AddPlan {
  const server = registryServer({ name: 'io.good/notes', ...described }, meta)
  if (!server) throw new Error('the description was not read')
  return planOf(server, isThere, kind)
}

const packageWith = (more: object): object => ({ packages: [{ ...NPM, ...more }] })
const asked = (plan: AddPlan): Record<string, Pick<AskedValue, 'isSecret'>> =>
  Object.fromEntries(plan.asked.map(({ label, isSecret }) => [label, { isSecret }]))

describe('variables', () => {
  test.each([
    'npm_config_registry',
    'NPM_CONFIG_USERCONFIG',
    'npm_config_script_shell',
    'UV_INDEX_URL',
    'PIP_INDEX_URL',
    'NODE_OPTIONS',
    'NODE_PATH',
    'NODE_EXTRA_CA_CERTS',
    'NODE_TLS_REJECT_UNAUTHORIZED',
    'HTTPS_PROXY',
    'https_proxy',
    'ALL_PROXY',
    'NO_PROXY',
    'OPENSSL_CONF',
    'SSL_CERT_FILE',
    'PYTHONHOME',
    'PYTHONUSERBASE',
    'PYTHONPATH',
    'PYTHONSTARTUP',
    'DOCKER_HOST',
    'DOCKER_CONFIG',
    'GIT_SSH_COMMAND',
    'GIT_CONFIG_GLOBAL',
    'PERL5OPT',
    'RUBYOPT',
    'JAVA_TOOL_OPTIONS',
    '_JAVA_OPTIONS',
    'LD_PRELOAD',
    'DYLD_INSERT_LIBRARIES',
    'PATH',
    'Path',
    'HOME',
    'SHELL',
    'BASH_ENV',
    'ENV',
    'IFS',
    'XDG_CONFIG_HOME',
    'a b',
    'A=B',
    '__proto__ x',
  ])('%s of a description is left out, and named', name => {
    const plan = planFor(packageWith({ environmentVariables: [{ name, value: 'evil' }] }))
    expect(plan.entry(() => undefined)['env']).toBeUndefined()
    expect(plan.notes.join()).toContain(JSON.stringify(name))
  })

  test.each(['NODE_ENV', 'NOTES_TOKEN', 'PYTHONUNBUFFERED', 'GITHUB_TOKEN', 'LOG_LEVEL', 'HOMEPAGE'])(
    '%s is taken',
    name => {
      const plan = planFor(packageWith({ environmentVariables: [{ name, value: 'x' }] }))
      expect(plan.entry(() => undefined)['env']).toEqual({ [name]: 'x' })
      expect(plan.notes).toEqual([])
    },
  )
})

describe('a secret', () => {
  const remote = (headers: object[]): object => ({
    remotes: [{ type: 'streamable-http', url: 'https://notes.example/mcp', headers }],
  })

  test('is every variable of a header that is secret', () => {
    const value = 'Id {a}:{b}'
    const variables = { a: { isRequired: true }, b: { isRequired: true, default: 'x' } }
    const secret = planFor(remote([{ name: 'X-Id', value, variables, isSecret: true }]))
    expect(asked(secret)).toEqual({ a: { isSecret: true }, b: { isSecret: true } })
    expect(asked(planFor(remote([{ name: 'X-Id', value, variables }])))).toEqual({
      a: { isSecret: false },
      b: { isSecret: false },
    })
  })

  test.each([{ name: 'Authorization' }, { name: 'X-Api-Key' }, { name: 'password', isRequired: true }])(
    'is what has such a name: %j',
    header => {
      expect(asked(planFor(remote([header])))).toEqual({ [header.name]: { isSecret: true } })
    },
  )

  test('is what is called so within a text', () => {
    const plan = planFor(
      remote([{ name: 'X-Id', value: '{user}:{token}', variables: { user: {}, token: {} } }]),
    )
    expect(asked(plan)).toEqual({ user: { isSecret: false }, token: { isSecret: true } })
  })

  test('is no number of tokens with a default, and no choice', () => {
    const plan = planFor(
      packageWith({
        environmentVariables: [
          { name: 'MAX_TOKENS', default: '4096' },
          { name: 'AUTH', choices: ['none', 'basic'] },
        ],
      }),
    )
    expect(asked(plan)).toEqual({ MAX_TOKENS: { isSecret: false }, AUTH: { isSecret: false } })
  })
})

describe('what cannot be used is named with its reason', () => {
  const NEVER = 'cannot be added'
  test.each([
    [{ registryType: 'nuget', identifier: 'Notes' }, 'packages of the type "nuget" are not known here'],
    [{ registryType: 'mcpb', identifier: 'https://x.example/a.mcpb' }, 'it is a bundle'],
    [{ ...NPM, identifier: '--eval=1' }, 'this is no name of a package of the type npm'],
    [{ ...NPM, version: '1 --eval' }, '"1 --eval" is no version'],
    [{ ...NPM, transport: { type: 'sse' } }, 'it does not speak on stdio, but "sse"'],
    [
      { ...NPM, registryBaseUrl: 'https://npm.corp.example' },
      'it is in the registry "https://npm.corp.example"',
    ],
    [{ ...NPM, registryBaseUrl: 'http://registry.npmjs.org' }, 'it is in the registry'],
    [{ ...NPM, registryBaseUrl: 'https://registry.npmjs.org.evil.example/' }, 'it is in the registry'],
    [{ ...NPM, registryBaseUrl: 5 }, 'it is in the registry'],
    [
      { registryType: 'pypi', identifier: 'notes', registryBaseUrl: 'https://test.pypi.org' },
      'test.pypi.org',
    ],
    [{ registryType: 'oci', identifier: 'good/notes', registryBaseUrl: 'https://ghcr.io' }, 'ghcr.io'],
  ])('package %j', (found, why) => {
    expect(() => planFor({ packages: [found] })).toThrow(NEVER)
    expect(() => planFor({ packages: [found] })).toThrow(why)
    expect(planFor({ packages: [found, NPM] }).notes.join()).toContain(why)
  })

  test.each([
    [{ type: 'streamable-http', url: 'http://notes.example/mcp' }, 'it has no TLS'],
    [{ type: 'streamable-http', url: 'https://ada@notes.example/mcp' }, 'or a user name'],
    [{ type: 'websocket', url: 'wss://notes.example/mcp' }, '"websocket" is no transport known here'],
    [{ type: 'sse', url: 'nothing' }, 'this is no address'],
  ])('address %j', (remote, why) => {
    expect(() => planFor({ remotes: [remote] })).toThrow(why)
  })

  test.each([
    { ...NPM, registryBaseUrl: 'https://registry.npmjs.org' },
    { ...NPM, registryBaseUrl: 'https://registry.npmjs.org/' },
    { registryType: 'pypi', identifier: 'notes', registryBaseUrl: 'https://pypi.org' },
    { registryType: 'oci', identifier: 'good/notes', registryBaseUrl: 'https://docker.io' },
    { registryType: 'oci', identifier: 'ghcr.io/good/notes:1', registryBaseUrl: 'https://ghcr.io' },
  ])('and %j can be used', found => {
    expect(planFor({ packages: [found] }).notes).toEqual([])
  })

  test('a package whose runner is absent', () => {
    const pypi = { registryType: 'pypi', identifier: 'notes' }
    const plan = planFor({ packages: [NPM, pypi] }, { isThere: program => program === 'uvx' })
    expect(plan.entry(() => undefined)).toEqual({ command: 'uvx', args: ['notes'] })
    expect(plan.notes).toEqual(['Its npm package is not taken: npx is not on PATH here.'])
    expect(() => planFor({ packages: [NPM] }, { isThere: () => false })).toThrow('npx is not on PATH here')
    expect(() => planFor({ packages: [NPM] }, { kind: 'oci' })).toThrow('nothing of the kind oci')
  })
})

describe('what the registry says of a server', () => {
  const META = 'io.modelcontextprotocol.registry/official'
  const of = (status: object): object => ({ [META]: status })

  test('that it has withdrawn is believed', () => {
    const described = { packages: [NPM] }
    expect(() => planFor(described, { meta: of({ status: 'deleted' }) })).toThrow(
      'The registry has withdrawn io.good/notes. Nothing was added.',
    )
    expect(() => planFor({ ...described, status: 'deleted' })).toThrow('has withdrawn')
  })

  test('that it calls deprecated is said', () => {
    const meta = of({ status: 'deprecated', statusMessage: 'moved' })
    expect(planFor({ packages: [NPM] }, { meta }).notes).toEqual([
      'The registry calls io.good/notes deprecated (moved).',
    ])
    expect(planFor({ packages: [NPM] }, { meta: of({ status: 'active' }) }).notes).toEqual([])
  })
})

describe('an entry', () => {
  test('of an npm package has its arguments in their order', () => {
    const plan = planFor(
      packageWith({
        runtimeArguments: [
          { type: 'named', name: '-y' },
          { type: 'named', name: '--loglevel', value: 'error' },
        ],
        packageArguments: [
          { type: 'named', name: '--root=', value: '{root}', variables: { root: { isRequired: true } } },
          { type: 'positional', valueHint: 'more' },
          { type: 'positional', value: 'fixed ${HOME}' },
        ],
      }),
    )
    const values = new Map([['package.0.root', '/a']])
    expect(plan.entry(key => values.get(key))).toEqual({
      command: 'npx',
      args: ['-y', '--loglevel', 'error', '@good/notes@1.2.0', '--root=/a', 'fixed $${HOME}'],
    })
  })

  test('of an image passes its variables on, and keeps its own tag or digest', () => {
    const found = (identifier: string): object => ({
      packages: [
        {
          registryType: 'oci',
          identifier,
          version: '2',
          runtimeArguments: [{ type: 'named', name: '--network', value: 'none' }],
          environmentVariables: [{ name: 'MODE', value: 'x' }],
        },
      ],
    })
    const start = ['run', '-i', '--rm', '-e', 'MODE', '--network', 'none']
    for (const [identifier, image] of [
      ['good/notes', 'good/notes:2'],
      ['good/notes:1', 'good/notes:1'],
      ['localhost:5000/notes', 'localhost:5000/notes:2'],
      ['good/notes@sha256:ab', 'good/notes@sha256:ab'],
    ] as const)
      expect(planFor(found(identifier)).entry(() => undefined)).toEqual({
        command: 'docker',
        args: [...start, image],
        env: { MODE: 'x' },
      })
  })

  test('of an address has its headers, without those that were left out', () => {
    const plan = planFor({
      remotes: [
        {
          type: 'sse',
          url: 'https://{tenant}.notes.example/mcp',
          variables: { tenant: { isRequired: true } },
          headers: [{ name: 'X-Left' }, { name: 'X-Mode', value: 'slow' }, { name: 'bad name', value: 'x' }],
        },
      ],
    })
    expect(plan.entry(key => (key === 'url.tenant' ? 'ada' : undefined))).toEqual({
      type: 'sse',
      url: 'https://ada.notes.example/mcp',
      headers: { 'X-Mode': 'slow' },
    })
  })
})

test.each([undefined, 5, {}, { name: 'notes' }, { name: 'a/b/c' }, { name: 'a/' }, { name: 'a/b c' }])(
  'a description without a usable name is none: %j',
  value => {
    expect(registryServer(value)).toBeUndefined()
  },
)

test('long lists and long texts of a description are cut or left out', () => {
  const many = Array.from({ length: 500 }, () => NPM)
  const server = registryServer({ name: 'a/b', description: 'x'.repeat(5000), packages: many })
  expect(server?.packages).toHaveLength(100)
  expect(server?.description).toBe('')
})
