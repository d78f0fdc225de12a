import { expect, test } from 'vitest'
import { configFrom } from '../../../../src/config/load/load.ts'

const servers = {
  github: { command: 'x' },
  'io.github.owner/server': { command: 'x' },
  'tool:x': { command: 'x' },
}

test('a pattern that matches no server is reported, with the nearest name', async () => {
  const { warnings } = await configFrom({
    mcpServers: servers,
    gateway: { policy: { deny: ['gihtub/*'] } },
    roles: { r: { allow: ['nothing_like_it/*'] } },
    clients: {
      ci: {
        rules: [{ effect: 'deny', match: ['io.github.owner/*'] }],
        limits: { 'gtihub/*': { rate: '1/s' } },
      },
    },
    profiles: { p: { tools: ['tool:githb/x'] } },
  })
  expect(
    warnings.map(text => text.replace(/^([^:]+): the pattern "([^"]+)".*does nothing\. /, '$1 $2 → ')),
  ).toEqual([
    'gateway.policy.deny[0] gihtub/* → Did you mean "github"?',
    expect.stringContaining('roles.r.allow[0] nothing_like_it/* → Servers are github'),
    expect.stringContaining('clients.ci.rules[0].match[0] io.github.owner/* → '),
    'profiles.p.tools[0] tool:githb/x → Did you mean "github"?',
    expect.stringContaining('gtihub/* → Did you mean "github"?'),
  ])
})

test('a pattern that is about a server is not, also in the form of the registry', async () => {
  const allow = [
    'github/*',
    'git*/x',
    '*/*',
    'io.github.owner/server/*',
    'tool:io.github.owner/server/x',
    'tool:x/*',
  ]
  const { warnings } = await configFrom({
    mcpServers: { ...servers },
    clients: { ci: { allow } },
  })
  expect(warnings).toEqual([])
})

test("a pattern in the form of exposed names is reported, with the form of the server's own names", async () => {
  const { warnings } = await configFrom({
    mcpServers: { ...servers, gh2: { command: 'x', prefix: 'git' }, other: { command: 'x' } },
    gateway: { policy: { deny: ['*/github__delete_*', 'tool:gith*/github__x', 'gh2/git__*'] } },
    roles: {
      r: {
        allow: ['other/github__delete_*', 'resource:*/github__x', 'github/git__x', '*/*__x', 'gh2/gh2__x'],
      },
    },
  })
  expect(warnings.map(text => text.replace(/^([^:]+): the pattern "([^"]+)".* (?=Did)/, '$1 $2 → '))).toEqual(
    [
      'gateway.policy.deny[0] */github__delete_* → Did you mean "github/delete_*"?',
      'gateway.policy.deny[1] tool:gith*/github__x → Did you mean "tool:github/x"?',
      'gateway.policy.deny[2] gh2/git__* → Did you mean "gh2/*"?',
    ],
  )
})

test('a name as clients see it is no pattern, and the pattern that was meant is named', async () => {
  const said = await configFrom({
    mcpServers: {
      ...servers,
      gh2: { command: 'x', prefix: 'git' },
      odd: { command: 'x', prefix: 'git__hub' },
    },
    gateway: { policy: { deny: ['github__delete_*', 'tool:git__x', 'git__hub__x', 'gitlab__x'] } },
  }).then(
    () => '',
    (error: Error) => error.message,
  )
  expect([...said.matchAll(/Write (.*)/g)].map(([, fix]) => fix)).toEqual([
    '"github/delete_*": patterns have the names that the server itself uses.',
    '"tool:gh2/x": patterns have the names that the server itself uses.',
    '"odd/x": patterns have the names that the server itself uses.',
    '"gitlab__x/*" for a server, or "*/gitlab__x" for a name of any server.',
  ])
})

test('a server that patterns cannot tell from another is left out', async () => {
  const { servers: found } = await configFrom({
    mcpServers: { a: { command: 'x' }, 'a/b': { command: 'x' } },
  })
  expect(
    found.map(({ problem }) => problem?.includes('cannot be told from the server "a"') ?? false),
  ).toEqual([false, true])
})

test('of a hundred thousand patterns without a server the first twenty are named, and the number of the others', async () => {
  const deny = Array.from({ length: 100_000 }, (_, at) => `other-${at}/*`)
  const { warnings } = await configFrom({ mcpServers: servers, gateway: { policy: { deny } } })
  expect(warnings).toHaveLength(21)
  expect(warnings.at(-1)).toBe('99980 more patterns do nothing.')
})

test('patterns without a server are told together with the mistakes of a file, also of a section that has some', async () => {
  const file = {
    mcpServers: servers,
    clients: {
      ci: { allow: ['gihtub/*', 'nameless', 5], limits: 1 },
      other: 'x',
      cd: { deny: ['gtihub/*'] },
    },
    roles: [],
    gateway: { log: 'loud' },
  }
  const [, said = '', warned = ''] =
    (await configFrom(file).then(
      () => undefined,
      (error: Error) => /^(.*)\nWarnings\n(.*)$/s.exec(error.message),
    )) ?? []
  expect(said).toContain('gateway.log is "loud"')
  expect(said).not.toContain('gihtub')
  expect(warned.split('\n')).toEqual([
    expect.stringContaining('clients.ci.allow[0]: the pattern "gihtub/*" is about no server'),
    expect.stringContaining('clients.cd.deny[0]: the pattern "gtihub/*" is about no server'),
  ])
})
