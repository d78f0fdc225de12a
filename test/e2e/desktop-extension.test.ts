import { execFile } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { expect, it } from 'vitest'
import { makeScratch } from '../helpers/scratch.ts'

/** The extension for Claude Desktop, as `npm run mcpb` makes it, and the entry of the registry. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

interface Manifest {
  readonly version: string
  readonly server: {
    readonly mcp_config: { readonly command: string; readonly args: readonly string[] }
  }
  readonly user_config: Readonly<Record<string, unknown>>
}

function read<T>(file: string): T {
  return JSON.parse(readFileSync(file, 'utf8')) as T
}

it('is valid, has at most 5 MB, and serves the file of its setting with a state that lasts', async () => {
  await using scratch = makeScratch()
  await run(process.execPath, [join(ROOT, 'bin/make-mcpb.js')])
  const extension = join(ROOT, 'dist/manifold.mcpb')
  expect(statSync(extension).size).toBeLessThan(5_000_000)

  const folder = join(scratch.path, 'extension')
  const mcpb = join(ROOT, 'node_modules/@anthropic-ai/mcpb/dist/cli/cli.js')
  await run(process.execPath, [mcpb, 'unpack', extension, folder])
  const manifest = read<Manifest>(join(folder, 'manifest.json'))
  expect(manifest.version).toBe(read<{ version: string }>(join(ROOT, 'package.json')).version)

  const servers = join(scratch.path, 'servers.json')
  const memory = join(ROOT, 'node_modules/@modelcontextprotocol/server-memory/dist/index.js')
  writeFileSync(servers, JSON.stringify({ mcpServers: { notes: { command: 'node', args: [memory] } } }))
  const values: Readonly<Record<string, string>> = {
    __dirname: folder,
    'user_config.servers_file': servers,
  }
  const { command, args } = manifest.server.mcp_config
  const state = join(scratch.path, 'state')
  const transport = new StdioClientTransport({
    command: command === 'node' ? process.execPath : command,
    args: args.map(arg => arg.replaceAll(/\$\{([^}]+)\}/g, (_, name: string) => values[name] ?? '')),
    env: { PATH: process.env['PATH'] ?? '', HOME: scratch.path, XDG_STATE_HOME: state, LOCALAPPDATA: state },
    stderr: 'ignore',
  })
  const client = new Client({ name: 'desktop', version: '1' })
  await client.connect(transport)
  try {
    const { tools } = await client.listTools()
    expect(tools.map(({ name }) => name)).toContain('notes__read_graph')
  } finally {
    await client.close()
  }
  expect(statSync(join(state, 'mcp-manifold/data.mdb')).size).toBeGreaterThan(0)
})

it('is named alike in the registry and in the package', () => {
  const { name, version, mcpName } = read<Record<string, string>>(join(ROOT, 'package.json'))
  expect(read(join(ROOT, 'server.json'))).toMatchObject({
    name: mcpName,
    version,
    description: expect.stringMatching(/^.{1,100}$/),
    packages: [{ registryType: 'npm', identifier: name, version, transport: { type: 'stdio' } }],
  })
})
