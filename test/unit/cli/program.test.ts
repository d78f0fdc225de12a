import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { VERSION } from '../../../src/version.ts'
import { makeScratch } from '../../helpers/scratch.ts'
import { BIN, serve } from '../../helpers/served.ts'
import { runProgram } from './program.ts'
import type { AddressInfo } from 'node:net'
import type { Scratch } from '../../helpers/scratch.ts'

/** Writes the files that a program has loaded to stderr, at its end. */
const LOADED = `process.on('exit', () => process._rawDebug(Object.keys(require.cache).join('\\n')))`

const QUIET = { mcpServers: {}, gateway: { state: 'memory', http: { port: 0 } } }

let scratch: Scratch
let cwd: string
beforeAll(() => {
  scratch = makeScratch()
  cwd = scratch.path
})
afterAll(async () => {
  await scratch[Symbol.asyncDispose]()
})

describe('the version', () => {
  test.each(['--version', '-v'])('%s', async flag => {
    expect(await runProgram([flag], { cwd })).toEqual({ code: 0, stdout: `${VERSION}\n`, stderr: '' })
  })

  test('is answered without loading the program', async () => {
    const { stdout, stderr } = await runProgram(['--version'], {
      cwd,
      nodeArgs: ['--require', scratch.write('loaded.cjs', LOADED)],
    })
    expect(stdout).toBe(`${VERSION}\n`)
    expect(stderr).toContain('/bin/mcp-manifold.cjs')
    expect(stderr).not.toContain('/dist/')
  })
})

describe('help and mistakes', () => {
  test('--help names the commands', async () => {
    const { code, stdout } = await runProgram(['--help'], { cwd })
    expect(code).toBe(0)
    for (const word of ['serve', 'check', 'explain', 'keys', '--config', '--log', '--profile', '--client'])
      expect(stdout).toContain(word)
  })

  test.each([
    [['srve'], 'Did you mean serve?'],
    [['--log', 'loud'], 'Allowed choices are error, warn, info, debug.'],
    [['serve', '--port', '70000'], 'Expected a number from 0 to 65535.'],
    [['check', 'a', 'b'], 'too many arguments'],
  ])('%o', async (args, message) => {
    const { code, stdout, stderr } = await runProgram(args, { cwd })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(message)
  })
})

describe('check', () => {
  test('says what it understood, and nothing that variables stand for', async () => {
    const file = scratch.write('check.json', {
      mcpServers: {
        files: {
          command: 'npx',
          args: ['-y', 'server', '--api-key', 'sekrit', '${SECRET}', 'two words'],
          sandboxEnabled: true,
        },
        remote: {
          url: 'https://x.example/mcp?key=sekrit',
          headers: { Authorization: '${SECRET}' },
          headersHelper: "node -e \"require('fs').writeFileSync('helper-ran','')\"",
        },
        old: { type: 'sse', url: '${BASE:-https://y.example}/sse' },
        off: { command: 'x', disabled: true },
        manifold: { command: 'mcp-manifold' },
      },
      gateway: { state: 'memory' },
    })
    expect(await runProgram(['check', file], { cwd, env: { SECRET: 'sekrit' } })).toEqual({
      code: 0,
      stderr: '',
      stdout: [
        `${file} is valid.`,
        '',
        'Servers',
        '  files     stdio     npx -y server --api-key *** ${SECRET} "two words"',
        '  remote    http      https://x.example/mcp?key=***',
        '  old       sse       ${BASE:-https://y.example}/sse',
        '  off       disabled',
        '  manifold  left out',
        '',
        'Clients',
        '  no key, stdio  may use everything, under the account that starts it; --client <name> serves as a client',
        '  no key, HTTP   may use everything, from this machine only; keys need "clients"',
        '',
        'Gateway',
        '  http   127.0.0.1:3333',
        '  state  memory',
        '  log    info',
        '',
        'Warnings',
        '  The server "manifold" is this gateway itself and is left out.',
        '  mcpServers.files.sandboxEnabled is accepted, but not in effect in this version yet.',
        '',
      ].join('\n'),
    })
    expect(existsSync(join(dirname(file), 'helper-ran'))).toBe(false)
  })

  test.each([
    [
      { clients: { ci: { allow: ['*/*'] } } },
      [
        '  ci             1 rule of its own; denied what no rule is about',
        '  no key, HTTP   is refused (401)',
      ],
    ],
    [
      { clients: { ci: {}, guest: { roles: ['reader'] } }, gateway: { auth: { anonymous: 'guest' } } },
      ['  guest          roles reader; ', '  no key, HTTP   is the client "guest"'],
    ],
    [
      { gateway: { policy: { deny: ['a/secret'] } } },
      [
        '  no key, stdio  may use what "gateway.policy" allows, under',
        '  no key, HTTP   may use what "gateway.policy" allows, from this machine only',
      ],
    ],
    [{ gateway: { http: { host: '0.0.0.0' } } }, ['from anywhere; serve needs --allow-anonymous']],
    [
      { gateway: { auth: { jwt: [{ issuer: 'https://login.example', audience: ['https://m.example'] }] } } },
      ['  no key, HTTP   is refused (401)'],
    ],
  ])('with %j, says what a caller without a key may do', async (sections, lines) => {
    const servers = { a: { url: 'http://127.0.0.1:9/mcp' } }
    const roles = { reader: { allow: ['a/read'] } }
    const file = scratch.write('callers.json', { mcpServers: servers, roles, ...sections })
    const { code, stdout } = await runProgram(['check', file], { cwd })
    expect(code).toBe(0)
    for (const line of lines) expect(stdout).toContain(line)
  })

  test('says everything that is wrong', async () => {
    const file = scratch.write('wrong.json', { mcpServers: { a: { comand: 'x' } }, gateway: { log: 'loud' } })
    const { code, stdout, stderr } = await runProgram(['check', '--config', file], { cwd })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain('has 2 problems')
    expect(stderr).toContain('Did you mean "command"?')
    expect(stderr).toContain('(line ')
  })

  test('names the one server that a start would leave out, and ends with 1', async () => {
    const file = scratch.write('unset.json', {
      mcpServers: { good: { command: 'x' }, bad: { command: 'x', env: { TOKEN: '${UNSET_TOKEN}' } } },
    })
    const { code, stdout, stderr } = await runProgram(['check', file], { cwd })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain('has a problem:\n- mcpServers.bad.env.TOKEN (line ')
    expect(stderr).toContain('the environment variable UNSET_TOKEN is not set')
    expect(stderr).toContain('A start leaves these servers out and runs the others.')
  })

  test('warns of commands that are not found, and ends with 0: the PATH of a client may be another', async () => {
    const plain = scratch.write('plain.txt', '')
    const file = scratch.write('absent.json', {
      mcpServers: {
        good: { command: process.execPath },
        bad: { command: 'no-such-program', args: ['--token', 'sekrit'] },
        time: { command: 'uvx', args: ['mcp-server-time'] },
        path: { command: '/nowhere/${NAME}' },
        plain: { command: plain },
        own: { command: 'plain.txt', env: { PATH: '${HERE}' } },
        twice: { replicas: [{ command: process.execPath }, { command: 'no-such-replica' }] },
        off: { command: 'no-such-other', disabled: true },
      },
    })
    const env = { PATH: '/nowhere', NAME: 'sekrit', HERE: cwd }
    const { code, stdout, stderr } = await runProgram(['check', file], { cwd, env })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.slice(stdout.indexOf('Warnings\n')).split('\n')).toEqual([
      'Warnings',
      '  The server "bad": its command "no-such-program" is not on PATH here. Install it, or write its absolute path.',
      '  The server "time": its command "uvx" is not on PATH here. Install uv, which brings it, or write its absolute path.',
      '  The server "path": its command "/nowhere/${NAME}" does not exist. Correct the path.',
      `  The server "plain": its command "${plain}" is not executable. Make it so (chmod +x), or write the program that runs it as "command" and the file in "args".`,
      '  The server "own": its command "plain.txt" is not executable. Make it so (chmod +x), or write the program that runs it as "command" and the file in "args".',
      '  The server "twice", replica 2: its command "no-such-replica" is not on PATH here. Install it, or write its absolute path.',
      '',
    ])
  })

  test('a whole command line in "command" ends with 1 and shows what to write', async () => {
    const file = scratch.write('line.json', {
      mcpServers: { a: { command: 'npx -y x' }, b: { command: 'no-such-program' } },
    })
    const { code, stdout, stderr } = await runProgram(['check', file], { cwd })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain('- mcpServers.a.command (line 4, column 18) holds arguments')
    expect(stderr).toContain('Write "command": "npx", "args": ["-y", "x"].')
    expect(stderr).toContain('The server "b": its command "no-such-program" is not on PATH here.')
    expect(stderr).not.toContain('The server "a": its command')
  })

  test('says where it looked', async () => {
    const { code, stderr } = await runProgram(['check'], { cwd })
    expect(code).toBe(1)
    expect(stderr).toContain('There is no configuration file.')
  })
})

describe('on stdio', () => {
  const initialize = {
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
  }

  test('answers, and ends with 0 when the client is gone', async () => {
    const file = scratch.write('stdio.json', QUIET)
    const { code, stdout } = await runProgram(['--config', file], {
      cwd,
      input: `${JSON.stringify(initialize)}\n`,
    })
    const lines = stdout.trimEnd().split('\n')
    expect(lines.map(line => JSON.parse(line) as unknown)).toEqual([
      expect.objectContaining({ id: 1, result: expect.objectContaining({ protocolVersion: '2025-06-18' }) }),
    ])
    expect(code).toBe(0)
  })

  test('loads neither the command line library nor, the second time, the schema library', async () => {
    const file = scratch.write('lean.json', { ...QUIET, gateway: { ...QUIET.gateway, log: 'error' } })
    const options = { cwd, nodeArgs: ['--require', scratch.write('loaded.cjs', LOADED)] }
    const first = await runProgram(['--config', file], options)
    const second = await runProgram(['--config', file], options)
    expect(first.stderr).toContain('/dist/bundle/zod-')
    expect(second.stderr).toContain('/dist/bundle/gateway-')
    expect(second.stderr).not.toContain('/dist/bundle/zod-')
    expect(second.stderr).not.toContain('/dist/bundle/commander-')
  })

  test('a key that is there twice is reported at a start too, though the values were found valid before', async () => {
    const entry = `"a": { "command": ${JSON.stringify(process.execPath)}, "disabled": true }`
    const start = async (servers: string): Promise<string> => {
      const text = `{ "mcpServers": {${servers}}, "gateway": { "state": "memory" } }`
      return (await runProgram(['--config', scratch.write('twice.json', text)], { cwd })).stderr
    }
    expect(await start(entry)).not.toContain('twice,')
    expect(await start(`"a": { "command": "x" },\n${entry}`)).toContain(
      'is there twice, the second time at line 2, column 1. Remove one of the two.',
    )
  })

  test('a configuration that cannot be used is said on stderr only', async () => {
    const file = scratch.write('bad.json', { mcpServers: [] })
    const { code, stdout, stderr } = await runProgram(['--config', file], { cwd })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain('expected an object')
  })
})

describe('serve', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'says what to paste, and ends with 0 on %s',
    async signal => {
      const file = scratch.write('serve.json', QUIET)
      await using served = await serve([BIN, 'serve', '--config', file], {
        env: { HOME: cwd, XDG_STATE_HOME: `${cwd}/state` },
        ready: /Ctrl\+C/,
      })
      const url = /listens on (\S+)/.exec(served.said)?.[1]
      expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/mcp$/)
      expect(served.said).toContain(JSON.stringify({ mcpServers: { gw: { type: 'http', url } } }))
      expect(served.said).toContain(
        JSON.stringify({ command: process.execPath, args: [BIN, '--config', file] }),
      )
      process.kill(served.pid, signal)
      // Without a terminal SIGHUP reloads, and something else has to end it.
      expect(await (signal === 'SIGHUP' ? served.stop() : served.exited)).toBe(0)
    },
  )

  test('a port in use is said with a way out', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    try {
      const { port } = taken.address() as AddressInfo
      const file = scratch.write('taken.json', QUIET)
      const { code, stderr } = await runProgram(['serve', '-c', file, '--port', String(port)], { cwd })
      expect(code).toBe(1)
      expect(stderr).toContain(`127.0.0.1:${port}`)
      expect(stderr).toContain('the port is in use')
      expect(stderr).toContain(`--port ${port + 1}`)
    } finally {
      taken.close()
    }
  })
})

test('a command whose output is not read to its end says nothing about that', async () => {
  const child = spawn(process.execPath, [BIN, 'completion', 'bash'], { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.destroy()
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  expect({ code, said }).toEqual({ code: 0, said: '' })
})
