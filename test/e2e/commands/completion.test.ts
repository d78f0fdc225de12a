import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { beforeAll, afterAll, describe, expect, test } from 'vitest'
import { envOf } from '../../helpers/admin-client.ts'
import { runCommand, runIn } from '../../helpers/command-runs.ts'
import { everything } from '../../helpers/real-servers.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'
import { BIN } from '../../helpers/served.ts'

/** The completion of shells: words from the declarations, the configuration and the kept lists. */

let folder: Scratch
let file: string
beforeAll(async () => {
  folder = makeScratch()
  file = folder.write('servers.json', {
    mcpServers: { every: everything, off: { command: 'x', disabled: true } },
    clients: { ci: { allow: ['every/*'] } },
    profiles: { small: { tools: ['every/echo'] } },
    gateway: { state: `lmdb:${join(folder.path, 'state')}` },
  })
  await runIn(folder, file, 'tools', 'every')
})
afterAll(() => folder[Symbol.asyncDispose]())

/** What is proposed for the last of these words. */
async function proposed(...words: readonly string[]): Promise<string[]> {
  const { code, stdout, stderr } = await runCommand(
    ['complete-words', '--', '-c', file, ...words],
    envOf(folder),
  )
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout.split('\n').filter(word => word !== '')
}

describe('complete-words', () => {
  test('proposes commands and options as they are declared', async () => {
    expect(await proposed('st')).toEqual(['status'])
    expect(await proposed('')).toEqual(expect.arrayContaining(['serve', 'call', 'completion']))
    expect(await proposed('')).not.toContain('complete-words')
    expect(await proposed('keys', '')).toEqual(expect.arrayContaining(['create', 'list', 'revoke']))
    expect(await proposed('tools', '--')).toEqual(expect.arrayContaining(['--json', '--client', '--config']))
    expect(await proposed('--log', 'w')).toEqual(['warn'])
    expect(await proposed('completion', 'f')).toEqual(['fish'])
    expect(await proposed('nonsense', '')).toEqual([])
  })

  test('proposes names of servers, clients and profiles of the configuration', async () => {
    expect(await proposed('restart', '')).toEqual(['every'])
    expect(await proposed('enable', '')).toEqual(['every', 'off'])
    expect(await proposed('usage', '')).toEqual(['ci'])
    expect(await proposed('tools', '--profile', '')).toEqual(['small'])
    expect(await proposed('read', '--server', 'e')).toEqual(['every'])
  })

  test('proposes tools and their arguments, prompts and theirs, of the kept lists', async () => {
    expect(await proposed('call', 'every.e')).toEqual(['every.echo'])
    expect(await proposed('call', 'every.echo', '')).toEqual(['message='])
    expect(await proposed('prompt', 'every.args')).toEqual(['every.args-prompt'])
    expect(await proposed('prompt', 'every.args-prompt', 'c')).toEqual(['city='])
  })

  test('connects to nothing and makes no folder, whatever the configuration of a folder says', async () => {
    let connections = 0
    const listening = createServer(socket => {
      connections++
      socket.destroy()
    }).listen(0, '127.0.0.1')
    await once(listening, 'listening')
    const { port } = listening.address() as AddressInfo
    try {
      for (const state of [`redis://x:\${HOME}@127.0.0.1:${port}`, `lmdb:${folder.path}/new/state`]) {
        const other = folder.write('other.json', { mcpServers: { every: everything }, gateway: { state } })
        for (const word of ['call', 'prompt'])
          expect(
            await runCommand(['complete-words', '--', '-c', other, word, ''], envOf(folder)),
          ).toMatchObject({ code: 0, stdout: '' })
      }
    } finally {
      listening.close()
    }
    expect({ connections, folder: existsSync(`${folder.path}/new`) }).toEqual({
      connections: 0,
      folder: false,
    })
  })

  test('a configuration that is not there is no error', async () => {
    const { code, stdout, stderr } = await runCommand(
      ['complete-words', '--next', '--', '-c', '/nowhere.json', 'restart'],
      envOf(folder),
    )
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' })
  })
})

describe('completion', () => {
  test.each(['bash', 'zsh', 'fish', 'powershell'])('%s asks the program', async shell => {
    const { code, stdout } = await runCommand(['completion', shell], envOf(folder))
    expect(code).toBe(0)
    expect(stdout).toContain('complete-words')
  })

  test('an unknown shell is answered with the known ones', async () => {
    const { code, stderr } = await runCommand(['completion', 'tcsh'], envOf(folder))
    expect(code).toBe(1)
    expect(stderr).toContain('bash, zsh, fish, powershell')
  })

  test.skipIf(spawnSync('bash', ['--version']).status !== 0)('bash shows what is proposed', async () => {
    const bin = join(folder.path, 'bin')
    mkdirSync(bin)
    const program = join(bin, 'mcp-manifold')
    writeFileSync(program, `#!/bin/sh\nexec "${process.execPath}" "${BIN}" "$@"\n`)
    chmodSync(program, 0o755)
    const { stdout: script } = await runCommand(['completion', 'bash'], envOf(folder))
    const words = ['mcp-manifold', '-c', file, 'call', 'every.ec']
    const asked = `COMP_WORDS=(${words.map(word => `'${word}'`).join(' ')}); COMP_CWORD=4
_mcp_manifold '${program}' every.ec call; printf '%s\\n' "\${COMPREPLY[@]}"`
    const { stdout } = spawnSync('bash', ['-c', `${script}\n${asked}`], {
      env: { ...process.env, ...envOf(folder) },
      encoding: 'utf8',
    })
    expect(stdout).toBe('every.echo\n')
  })
})
