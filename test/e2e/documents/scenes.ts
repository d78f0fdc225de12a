import { cpSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { DocumentHome } from '../../helpers/document-home.ts'
import { ROOT } from '../../helpers/documents.ts'

/** What a reader of a page has in the home before the first block. Pages that are not named have an empty folder. */

const FILES = { command: 'npx', args: ['-y', '@modelcontextprotocol/server-filesystem', '.'] }
const MEMORY = { command: 'npx', args: ['-y', '@modelcontextprotocol/server-memory'] }
/** An address at which nothing listens. */
const SILENT = { url: 'http://127.0.0.1:3334/mcp' }
const KEY = `${Buffer.alloc(32, 1).toString('base64')}\n`
const EVERYTHING = { command: 'npx', args: ['-y', '@modelcontextprotocol/server-everything'] }

/** Servers in the client files of four applications: one in two of them, two with one name, one of the project. */
function fourApplications(home: DocumentHome): void {
  home.write('notes/todo.md', '- water the plants\n')
  const files = {
    command: 'npx',
    args: ['-y', '@modelcontextprotocol/server-filesystem', `${home.home}/notes`],
  }
  home.write('.config/Claude/claude_desktop_config.json', { mcpServers: { files, memory: MEMORY } })
  home.write('.cursor/mcp.json', {
    mcpServers: {
      files,
      here: {
        command: 'npx',
        args: ['-y', '@modelcontextprotocol/server-filesystem', '${workspaceFolder}'],
      },
    },
  })
  home.write(
    '.codex/config.toml',
    `model = "gpt-5"

[mcp_servers.everything]
command = "npx"
args = ["-y", "@modelcontextprotocol/server-everything"]
env = { API_TOKEN = "one-that-is-not-shown" }
`,
  )
  home.write('.codeium/windsurf/mcp_config.json', {
    mcpServers: { memory: { ...MEMORY, env: { MEMORY_FILE_PATH: `${home.home}/memory.json` } } },
  })
}

/** A gateway that runs, with a server that answers and one that does not. */
async function running(home: DocumentHome, config: object = {}): Promise<void> {
  home.write('project/servers.json', {
    mcpServers: { files: FILES, search: SILENT },
    ...config,
  })
  await home.run('mcp-manifold serve')
}

const EXAMPLES = join(ROOT, 'examples')

const SCENES: Readonly<Record<string, (home: DocumentHome, modules: string) => void | Promise<void>>> = {
  'README.md': fourApplications,
  'docs/start.md': fourApplications,
  'docs/clients.md'(home) {
    fourApplications(home)
    home.write('project/servers.json', { mcpServers: { files: FILES } })
  },
  'examples/README.md': home => cpSync(EXAMPLES, home.folder, { recursive: true }),
  'docs/extend.md': (home, modules) => symlinkSync(modules, join(home.folder, 'node_modules')),
  'docs/admin.md': home => running(home),
  async 'docs/commands.md'(home) {
    home.write('project/a.txt', 'first\n')
    for (const folder of ['.local/share/bash-completion/completions', '.zfunc', '.config/fish/completions'])
      home.write(`${folder}/others`, '')
    home.write('project/servers.json', { mcpServers: { files: FILES, everything: EVERYTHING } })
    await home.run('export SEARCH_TOKEN=x\nmcp-manifold serve')
  },
  'docs/doctor.md'(home) {
    home.write('project/servers.json', {
      mcpServers: { files: FILES, search: SILENT },
    })
  },
  'docs/errors/parse_error.md': home => running(home),
}

/** What a page of an error is about, where the example of the page needs it. */
const ERRORS: Readonly<Record<string, (home: DocumentHome) => void>> = {
  disk_full: home => home.write('.local/state/mcp-manifold/data.mdb', ''),
  socket_folder_exposed: home => home.write('.local/state/mcp-manifold/admin/left', ''),
  state_damaged: home => home.write('.local/state/mcp-manifold/data.mdb', ''),
  state_exposed: home => home.write('.local/state/mcp-manifold/data.mdb', ''),
  vault_key_damaged: home => home.write('.local/state/mcp-manifold/vault.key', 'damaged'),
  vault_key_exposed: home => home.write('.local/state/mcp-manifold/vault.key', KEY),
  upstream_protocol: home => home.write('project/servers.json', { mcpServers: { search: SILENT } }),
  upstream_unreachable: home => home.write('project/servers.json', { mcpServers: { search: SILENT } }),
}

/** @param modules the folder of packages that has the built one */
export async function prepare(page: string, home: DocumentHome, modules: string): Promise<void> {
  const code = /^docs\/errors\/(\w+)\.md$/.exec(page)?.[1]
  if (code !== undefined)
    home.write('project/servers.json', {
      mcpServers: { files: FILES },
      clients: { ci: { allow: ['files/read*'], rate: '60/min' } },
    })
  await (SCENES[page] ?? ERRORS[code ?? ''])?.(home, modules)
}
