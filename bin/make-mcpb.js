// Makes dist/manifold.mcpb, which Claude Desktop installs by a double-click: `npm run mcpb`. The bundle has the built
// program, and the binary of LMDB for each system that Claude Desktop runs on.
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../', import.meta.url))
const folder = join(root, 'dist/mcpb')
const target = join(root, 'dist/manifold.mcpb')
const { name, version, type, exports, imports, files, license, repository, homepage, optionalDependencies } =
  JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
/** What the package has besides, for people and for other programs. */
const NOT_RUN = ['dist/types', 'examples', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md']
const PLATFORMS = ['darwin-arm64', 'darwin-x64', 'win32-arm64', 'win32-x64', 'linux-x64']

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
for (const part of [...files.filter(part => !NOT_RUN.includes(part)), 'LICENSE'])
  cpSync(join(root, part), join(folder, part), { recursive: true })
writeJson('package.json', { name, version, private: true, type, exports, imports })
for (const platform of PLATFORMS) addBinary(platform)
writeJson('manifest.json', manifest())

mcpb('validate', join(folder, 'manifest.json'))
mcpb('pack', folder, target)
console.log(`${target}: ${(statSync(target).size / 1e6).toFixed(1)} MB`)

function manifest() {
  return {
    manifest_version: '0.3',
    name,
    display_name: 'Manifold',
    version,
    description: 'One MCP server in front of many: all servers of one file through one extension.',
    long_description:
      'Manifold reads the servers from one file and offers their tools, resources and prompts together. Without a file, `npx mcp-manifold init` in a terminal finds the servers of other applications and writes it.',
    author: { name: 'The Manifold authors', url: homepage },
    repository: { type: 'git', url: repository.url.replace(/^git\+/, '') },
    homepage,
    license,
    keywords: ['mcp', 'gateway', 'proxy'],
    server: {
      type: 'node',
      entry_point: 'bin/mcp-manifold.cjs',
      mcp_config: {
        command: 'node',
        args: ['${__dirname}/bin/mcp-manifold.cjs', '--config', '${user_config.servers_file}'],
        env: {},
      },
    },
    tools_generated: true,
    prompts_generated: true,
    user_config: {
      servers_file: {
        type: 'file',
        title: 'Servers',
        description: 'The file with the servers, such as servers.json',
        required: true,
        default: '${HOME}/.config/mcp-manifold/servers.json',
      },
    },
    compatibility: { platforms: ['darwin', 'win32', 'linux'], runtimes: { node: '>=20.19.0' } },
  }
}

/** Adds the binary of one system that works in every version of Node.js. */
function addBinary(platform) {
  const binary = `@lmdb/lmdb-${platform}`
  const packed = mkdtempSync(join(tmpdir(), 'mcp-manifold-mcpb-'))
  try {
    run('npm', [
      'pack',
      `${binary}@${optionalDependencies[binary]}`,
      '--silent',
      '--pack-destination',
      packed,
    ])
    run('tar', ['-xzf', join(packed, readdirSync(packed)[0]), '-C', packed])
    const from = join(packed, 'package')
    const to = join(folder, 'node_modules', binary)
    mkdirSync(to, { recursive: true })
    for (const file of readdirSync(from))
      if (!/\.abi\d+\.|\.musl\./.test(file)) cpSync(join(from, file), join(to, file))
  } finally {
    rmSync(packed, { recursive: true, force: true })
  }
}

function mcpb(...args) {
  run(process.execPath, [join(root, 'node_modules/@anthropic-ai/mcpb/dist/cli/cli.js'), ...args])
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32' && command === 'npm',
  })
  if (status !== 0) throw error ?? new Error(`${command} ${args.join(' ')} ended with ${status}`)
}

function writeJson(file, value) {
  writeFileSync(join(folder, file), `${JSON.stringify(value, undefined, 2)}\n`)
}
