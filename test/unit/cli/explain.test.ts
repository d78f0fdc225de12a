import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { configFrom } from '../../../src/config/load/load.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { buildGateway } from '../../../src/gateway/gateway.ts'
import { openStore } from '../../../src/state/open.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'
import { scriptedHttp, toolText } from '../../helpers/scripted-servers.ts'
import { runProgram, type Ended } from './program.ts'

let scratch: Scratch
let file: object

beforeAll(async () => {
  scratch = makeScratch()
  await using server = await scriptedHttp()
  const tools = ['read', 'write', 'delete_all', 'other'].map(name => toolText(name)).join(',')
  server.results
    .set('tools/list', `{"tools":[${tools}]}`)
    .set('prompts/list', '{"prompts":[{"name":"greet"}]}')
    .set('resources/list', '{"resources":[{"uri":"x://1","name":"r"}]}')
  file = {
    mcpServers: {
      files: { ...server.entry, tools: { 'delete_*': { hidden: true } } },
      'io.github.owner/server': server.entry,
      off: { command: 'x', disabled: true },
    },
    roles: { reader: { allow: ['files/read'] } },
    profiles: { small: { tools: ['files/read'] } },
    clients: {
      ci: {
        default: 'deny',
        allow: ['files/write', 'prompt:files/*'],
        rules: [
          { effect: 'deny', match: ['files/write'], when: 'args.path == "bad"' },
          { effect: 'deny', match: ['resource:files/*'], when: 'tool.annotations.x == 1' },
        ],
      },
    },
    gateway: { state: `lmdb:${join(scratch.path, 'state')}` },
  }
  // What an earlier run has left.
  const config = await configFrom(file, { env: {} })
  const gateway = await buildGateway(config, {
    logger: SILENT,
    store: await openStore(config.gateway.state, SILENT),
  })
  await gateway.warmUp()
  await gateway.close()
  writeFileSync(join(scratch.path, 'servers.json'), JSON.stringify(file))
})

afterAll(async () => {
  await scratch[Symbol.asyncDispose]()
})

const explain = (...args: string[]): Promise<Ended> => runProgram(['explain', ...args], { cwd: scratch.path })

test.each([
  [['ci', 'files/read'], 2, ['Denied: ci, tool files/read (default)', 'Clients see it as files__read.']],
  [['ci', 'files/read', '--role', 'reader'], 0, ['Allowed', '> ', 'roles.reader.allow']],
  [['ci', 'files__write'], 3, ['Depends on the call', 'when args.path == "bad": unknown']],
  [
    ['ci', 'files/write', '{"path":"ok"}'],
    0,
    ['Allowed: ci, tool files/write (clients.ci.allow)', '"bad": false'],
  ],
  [['ci', 'files/write', '{"path":"bad"}'], 2, ['(clients.ci.rules[0])', '"bad": true']],
  [['ci', 'files/write', '{}'], 2, ['(clients.ci.rules[0])', 'failed, No such key: path']],
  [['ci', 'files/greet', '--prompt'], 0, ['prompt files/greet']],
  [['ci', 'x://1', '--resource'], 2, ['(clients.ci.rules[1])', 'failed, No such key: x']],
  [['ci', 'files/delete_all'], 2, ['hidden by "tools"', 'The configuration hides it.']],
  [['ci', 'files/nothing'], 2, ['had no such tool when it was last listed']],
  [['ci', 'files/write', '--profile', 'small'], 2, ['not in the profile "small"']],
  [['anonymous', 'files/read', '--profile', 'small'], 0, ['Allowed: anonymous']],
])('explain %j ends with %i', async (args, code, texts) => {
  const ended = await explain(...args)
  expect(ended.stderr).toBe('')
  for (const text of texts) expect(ended.stdout).toContain(text)
  expect(ended.code).toBe(code)
})

test.each([
  [['cj', 'files/read'], 'There is no client "cj" in the configuration. Did you mean "ci"?'],
  [['ci', 'read'], 'Write it as "server/name".'],
  [['ci', 'flies/read'], 'There is no server "flies" in the configuration. Did you mean "files"?'],
  [
    ['ci', 'nothing_like/read'],
    'There is no server "nothing_like" in the configuration. There are: files, io.github.owner/server.',
  ],
  [
    ['ci', 'io.github.owner/sever/read'],
    'There is no server "io.github.owner/sever" in the configuration. Did you mean "io.github.owner/server"?',
  ],
  [
    ['ci', 'flies/x://1', '--resource'],
    'There is no server "flies" in the configuration. Did you mean "files"?',
  ],
  [['ci', 'y://1/2', '--resource'], '"y://1/2" is no URI that clients see'],
  [['ci', 'flies__read'], 'There is no server "flies" in the configuration. Did you mean "files"?'],
  [
    ['ci', 'nothing_like__read'],
    'There is no server "nothing_like" in the configuration. There are: files, ',
  ],
  [
    ['ci', 'file'],
    'There is no "file"; there is a server "files". Write what of it is meant, as in "files/name".',
  ],
  [['ci', 'files'], '"files" is a server. Write what of it is meant, as in "files/name".'],
  [['ci', 'off/read'], 'The server "off" is disabled or left out.'],
  [['ci', 'files/read', '--role', 'raeder'], 'Did you mean "reader"?'],
  [['ci', 'files/read', '--profile', 'none'], 'There is no profile "none"'],
  [['ci', 'files/read', '[1]'], 'Expected a JSON object'],
])('explain %j says what is wrong', async (args, text) => {
  const ended = await explain(...args)
  expect(ended).toMatchObject({ code: 1, stdout: '' })
  expect(ended.stderr).toContain(text)
})

test('explain --json prints all there is', async () => {
  const { stdout, code } = await explain('ci', 'files/write', '{"path":"bad"}', '--json')
  expect(code).toBe(2)
  expect(JSON.parse(stdout)).toMatchObject({
    verdict: 'deny',
    rule: 'clients.ci.rules[0]',
    server: 'files',
    name: 'write',
    exposed: 'files__write',
    rules: [
      { location: 'clients.ci.allow', matched: 'files/write', decides: false },
      { location: 'clients.ci.rules[0]', value: true, decides: true },
      { location: 'clients.ci.rules[1]', decides: false },
    ],
  })
})

test('a profile on stdio is all that is offered', async () => {
  const initialize =
    '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}'
  const input = `${initialize}\n{"jsonrpc":"2.0","id":2,"method":"tools/list"}\n`
  const ended = await runProgram(['--profile', 'small'], { cwd: scratch.path, input })
  expect(ended.stdout).toContain('files__read')
  expect(ended.stdout).not.toContain('files__write')
  const wrong = await runProgram(['--profile', 'smal'], { cwd: scratch.path, input })
  expect(wrong.code).toBe(1)
  expect(wrong.stderr).toContain('There is no profile "smal" in the configuration')
})
