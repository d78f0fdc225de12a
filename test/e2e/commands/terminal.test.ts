import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { envOf, folderForTest } from '../../helpers/admin-client.ts'
import { everything } from '../../helpers/real-servers.ts'
import { BIN } from '../../helpers/served.ts'
import type { Scratch } from '../../helpers/scratch.ts'

/** What the commands do at a terminal, in one that `script` of util-linux makes. */

const HAS_SCRIPT = process.platform === 'linux' && spawnSync('script', ['--version']).status === 0

interface Terminal {
  readonly shown: () => string
  readonly type: (text: string) => void
  readonly end: Promise<number | null>
}

function atTerminal(folder: Scratch, env: Record<string, string>, ...args: readonly string[]): Terminal {
  const line = [process.execPath, BIN, ...args].map(word => `'${word}'`).join(' ')
  const child = spawn('script', ['-qefc', `stty cols 60 rows 40; exec ${line}`, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...envOf(folder), TERM: 'xterm', ...env },
  })
  let shown = ''
  child.stdout.on('data', (chunk: Buffer) => (shown += chunk.toString()))
  const end = new Promise<number | null>(resolve => child.once('close', resolve))
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await end
  })
  return { shown: () => shown, type: text => void child.stdin.write(text), end }
}

describe.skipIf(!HAS_SCRIPT)('at a terminal', () => {
  test('tables have colours and fit the width, unless NO_COLOR says otherwise', async () => {
    const folder = folderForTest()
    const file = folder.write('servers.json', {
      mcpServers: { every: everything, off: { command: 'x', disabled: true } },
      gateway: { state: `lmdb:${join(folder.path, 'state')}` },
    })
    const coloured = atTerminal(folder, {}, 'list', '-c', file)
    expect(await coloured.end).toBe(0)
    expect(coloured.shown()).toContain('\u001b[2mdisabled\u001b[0m')
    const plain = atTerminal(folder, { NO_COLOR: '1' }, 'list', '-c', file)
    expect(await plain.end).toBe(0)
    expect(plain.shown()).toContain('disabled')
    expect(plain.shown()).not.toContain('\u001b[2m')

    const tools = atTerminal(folder, { NO_COLOR: '1' }, 'tools', 'every', '-c', file)
    expect(await tools.end).toBe(0)
    const rows = tools
      .shown()
      .split('\n')
      .map(line => (line.split('\u001b[K').at(-1) ?? '').trimEnd())
    expect(rows.find(line => line.startsWith('trigger-long'))).toMatch(/…$/)
  })

  test('a question of a server is asked, and its answer reaches the server', async () => {
    const folder = folderForTest()
    const ask = {
      type: 'object',
      properties: { name: { type: 'string', title: 'Your name' }, age: { type: 'integer' } },
      required: ['name', 'age'],
    }
    const script = `
const readline = require('node:readline').createInterface({ input: process.stdin })
const send = message => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n')
let call
readline.on('line', line => {
  const { id, method, result } = JSON.parse(line)
  if (method === 'initialize') send({ id, result: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'a', version: '1' } } })
  else if (method === 'tools/list') send({ id, result: { tools: [{ name: 'ask', inputSchema: { type: 'object' } }] } })
  else if (method === 'tools/call') { call = id; send({ id: 'q', method: 'elicitation/create', params: { message: 'Who is there?', requestedSchema: ${JSON.stringify(ask)} } }) }
  else if (id === 'q') send({ id: call, result: { content: [{ type: 'text', text: 'got ' + JSON.stringify(result) }] } })
  else if (id !== undefined && method) send({ id, error: { code: -32601, message: 'no' } })
})
`
    const file = folder.write('servers.json', {
      mcpServers: { asking: { command: process.execPath, args: ['-e', script] } },
      gateway: { state: 'memory' },
    })
    const call = atTerminal(folder, {}, 'call', 'asking.ask', '-c', file)
    await expect.poll(call.shown).toContain('Your name')
    expect(call.shown()).toContain('A server asks: [asking] Who is there?')
    call.type('Ada\r')
    await expect.poll(call.shown).toContain('age: ')
    call.type('old\r')
    await expect.poll(call.shown).toContain('"age" takes an integer, and "old" is not one.')
    call.type('36\r')
    expect(await call.end).toBe(0)
    expect(call.shown()).toContain('got {"action":"accept","content":{"name":"Ada","age":36}}')

    const stopped = atTerminal(folder, {}, 'call', 'asking.ask', '-c', file)
    await expect.poll(stopped.shown).toContain('Your name')
    stopped.type('\u0003')
    expect(await stopped.end).toBe(130)
    expect(stopped.shown()).toMatch(/Cancelled\.\s*$/)
    expect(stopped.shown()).not.toContain('got ')
  })

  test('what a bundle asks for is asked, a secret is not shown, and nothing is added against the will', async () => {
    const { zipSync } = await import('fflate')
    const { writeFileSync, readFileSync } = await import('node:fs')
    const folder = folderForTest()
    const file = folder.write('servers.json', { mcpServers: {}, gateway: { state: 'memory' } })
    const manifest = {
      name: 'asked',
      server: {
        type: 'node',
        entry_point: 'a.js',
        mcp_config: { command: 'node', args: ['${user_config.place}'], env: { KEY: '${user_config.key}' } },
      },
      user_config: {
        place: { type: 'string', title: 'Place', required: true },
        key: { type: 'string', title: 'Key', required: true, sensitive: true },
      },
    }
    const bundle = join(folder.path, 'asked.mcpb')
    writeFileSync(
      bundle,
      zipSync({ 'manifest.json': Buffer.from(JSON.stringify(manifest)), 'a.js': Buffer.from('') }),
    )
    const refused = atTerminal(folder, {}, 'add', bundle, '-c', file, '--set', 'place=a', '--set', 'key=b')
    await expect.poll(refused.shown).toContain('Add it?')
    refused.type('n\r')
    expect(await refused.end).toBe(1)
    for (const words of [[], ['--set', 'place=a', '--set', 'key=b']]) {
      const stopped = atTerminal(folder, {}, 'add', bundle, '-c', file, ...words)
      await expect.poll(stopped.shown).toContain(words.length > 0 ? 'Add it?' : 'place (Place): ')
      stopped.type('\u0003')
      expect(await stopped.end).toBe(130)
      expect(stopped.shown()).toMatch(/Cancelled\. Nothing was added\.\s*$/)
    }
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ mcpServers: {} })

    const noKeyring = { DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nowhere' }
    const added = atTerminal(folder, noKeyring, 'add', bundle, '-c', file)
    await expect.poll(added.shown).toContain('place (Place): ')
    added.type('here\r')
    await expect.poll(added.shown).toContain('key (Key')
    added.type('sekrit\r')
    await expect.poll(added.shown).toContain('Add it?')
    expect(added.shown()).toContain('"asked" will be: node here')
    expect(added.shown()).toContain('with the variable KEY=')
    added.type('y\r')
    expect(await added.end).toBe(0)
    expect(added.shown()).not.toContain('sekrit')
    expect(added.shown()).toContain('Set the variable ASKED_KEY')
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
      mcpServers: { asked: { command: 'node', args: ['here'], env: { KEY: '${ASKED_KEY}' } } },
    })
    expect(readFileSync(file, 'utf8')).not.toContain('sekrit')
  })
})
