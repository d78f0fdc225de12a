import { join } from 'node:path'
import { convertOpenCode, convertZed } from '../../config/load/client-entries.ts'
import { isJsonObject } from '../../core/json-object.ts'
import { configFolder, jsonFile, localFolder, settingsFolder } from './folders.ts'
import { readCodex, readGoose } from './read-others.ts'
import { readEntry } from './read-entry.ts'
import { editorFolder } from './standard.ts'
import { braceVariable, dollarVariable, editorVariable, shellVariable } from './variables.ts'
import { writeAs, writeCodex, writeGoose, writeOpenCode } from './write-entry.ts'
import type { Application, ReadEntry } from './application.ts'

/** Applications with keys, entries or files of their own form. */

function readOpenCode(value: unknown): ReadEntry {
  if (!isJsonObject(value)) return { left: 'it is not an object' }
  if (value['command'] === undefined && value['url'] === undefined)
    return { left: 'it has neither a command nor a url' }
  const { entry } = convertOpenCode(value)
  // Its variables are converted already.
  return readEntry({ ...entry, type: undefined }, 'gateway')
}

function readZed(value: unknown): ReadEntry {
  if (!isJsonObject(value)) return { left: 'it is not an object' }
  const converted = convertZed(value)
  return converted ? readEntry(converted.entry, 'none') : { left: 'only Zed knows how to start it' }
}

/** Whether a text is filled in by a shell, as Crush does it. */
function runsCommands(value: unknown): boolean {
  return /\$\(|`/.test(JSON.stringify(value) ?? '')
}

const vsCode = (id: string, title: string, folder: string, process: string): Application => ({
  id,
  title,
  aliases: id === 'vscode' ? ['vs-code', 'code'] : [],
  files: machine => [
    jsonFile('user', join(editorFolder(machine, folder), 'mcp.json'), ['servers']),
    ...(id === 'vscode' ? [jsonFile('project', join(machine.cwd, '.vscode', 'mcp.json'), ['servers'])] : []),
  ],
  read: entry => readEntry(entry, 'editor'),
  write: writeAs({ program: { type: 'stdio' }, address: { type: 'http' } }),
  variable: editorVariable,
  http: true,
  isDesktop: true,
  ...(id === 'vscode' && {
    limits: { nameChars: 64, namePrefix: (entry: string) => `mcp_${entry}_`, tools: 128 },
  }),
  processes: [process],
})

export const OTHERS: readonly Application[] = [
  vsCode('vscode', 'VS Code', 'Code', 'code'),
  vsCode('vscode-insiders', 'VS Code Insiders', 'Code - Insiders', 'code - insiders'),
  {
    id: 'codex',
    title: 'Codex',
    files: ({ home, env, cwd }) => {
      const section = { path: ['mcp_servers'], kind: 'table' } as const
      const file = join(env['CODEX_HOME'] || join(home, '.codex'), 'config.toml')
      return [
        { file, scope: 'user', section, syntax: 'toml' },
        { file: join(cwd, '.codex', 'config.toml'), scope: 'project', section, syntax: 'toml' },
      ]
    },
    read: readCodex,
    write: writeCodex,
    http: true,
    isDesktop: false,
    processes: ['codex'],
  },
  {
    id: 'zed',
    title: 'Zed',
    files: machine => {
      const { platform, cwd } = machine
      const folder =
        platform === 'win32' ? join(settingsFolder(machine), 'Zed') : join(configFolder(machine), 'zed')
      return [
        jsonFile('user', join(folder, 'settings.json'), ['context_servers']),
        jsonFile('project', join(cwd, '.zed', 'settings.json'), ['context_servers']),
      ]
    },
    read: readZed,
    write: writeAs({ program: { source: 'custom' }, address: { source: 'custom' } }),
    http: true,
    isDesktop: true,
    processes: ['zed', 'zed-editor'],
  },
  ...(
    [
      ['gemini-cli', 'Gemini CLI', '.gemini', 'gemini'],
      ['qwen-code', 'Qwen Code', '.qwen', 'qwen'],
    ] as const
  ).map(([id, title, folder, name]): Application => ({
    id,
    title,
    aliases: [name],
    files: ({ home, cwd }) => [
      jsonFile('user', join(home, folder, 'settings.json')),
      jsonFile('project', join(cwd, folder, 'settings.json')),
    ],
    read: (entry, env) => readEntry(entry, 'dollar', env),
    write: writeAs({}, 'httpUrl'),
    variable: dollarVariable,
    http: true,
    isDesktop: false,
    processes: [name],
  })),
  {
    id: 'opencode',
    title: 'OpenCode',
    files: machine => {
      const folder = join(configFolder(machine), 'opencode')
      const given = machine.env['OPENCODE_CONFIG']
      return [
        ...(given ? [jsonFile('user', given, ['mcp'])] : []),
        ...['opencode.jsonc', 'opencode.json', 'config.json'].map(name =>
          jsonFile('user', join(folder, name), ['mcp']),
        ),
        ...['opencode.jsonc', 'opencode.json'].map(name =>
          jsonFile('project', join(machine.cwd, name), ['mcp']),
        ),
      ]
    },
    read: readOpenCode,
    write: writeOpenCode,
    variable: braceVariable,
    http: true,
    isDesktop: false,
    processes: ['opencode'],
  },
  {
    id: 'kilo-code',
    title: 'Kilo Code',
    aliases: ['kilo'],
    files: machine => {
      const folder = join(configFolder(machine), 'kilo')
      return [
        ...['kilo.jsonc', 'kilo.json'].map(name => jsonFile('user', join(folder, name), ['mcp'])),
        ...['kilo.jsonc', 'kilo.json'].map(name => jsonFile('project', join(machine.cwd, name), ['mcp'])),
      ]
    },
    read: readOpenCode,
    write: writeOpenCode,
    variable: braceVariable,
    http: true,
    isDesktop: false,
    processes: ['kilo'],
  },
  {
    id: 'copilot-cli',
    title: 'Copilot CLI',
    aliases: ['copilot', 'github-copilot-cli'],
    files: ({ home, env, cwd }) => [
      jsonFile('user', join(env['COPILOT_HOME'] || join(home, '.copilot'), 'mcp-config.json')),
      jsonFile('project', join(cwd, '.github', 'mcp.json')),
    ],
    read: entry => {
      const isLocal = isJsonObject(entry) && entry['type'] === 'local'
      return readEntry(isLocal ? { ...entry, type: 'stdio' } : entry, 'shell')
    },
    write: writeAs({ program: { type: 'local', tools: ['*'] }, address: { type: 'http', tools: ['*'] } }),
    variable: shellVariable,
    http: true,
    isDesktop: false,
    processes: ['copilot'],
  },
  {
    id: 'crush',
    title: 'Crush',
    files: machine => [
      jsonFile(
        'user',
        machine.platform === 'win32'
          ? join(localFolder(machine), 'crush', 'crush.json')
          : join(configFolder(machine), 'crush', 'crush.json'),
        ['mcp'],
      ),
      jsonFile('project', join(machine.cwd, '.crush.json'), ['mcp']),
    ],
    read: (entry, env) =>
      runsCommands(entry) ? { left: 'a command makes one of its values' } : readEntry(entry, 'dollar', env),
    write: writeAs({ program: { type: 'stdio' }, address: { type: 'http' } }),
    variable: dollarVariable,
    http: true,
    isDesktop: false,
    processes: ['crush'],
  },
  {
    id: 'goose',
    title: 'Goose',
    files: machine => [
      {
        file:
          machine.platform === 'win32'
            ? join(settingsFolder(machine), 'Block', 'goose', 'config', 'config.yaml')
            : join(configFolder(machine), 'goose', 'config.yaml'),
        scope: 'user',
        section: { path: ['extensions'], kind: 'table' },
        syntax: 'yaml',
      },
    ],
    read: readGoose,
    write: writeGoose,
    http: true,
    isDesktop: true,
    processes: ['goose', 'goosed'],
  },
  {
    id: 'continue',
    title: 'Continue',
    files: ({ home }) => [
      {
        file: join(home, '.continue', 'config.yaml'),
        scope: 'user',
        section: { path: ['mcpServers'], kind: 'list' },
        syntax: 'yaml',
      },
    ],
    read: entry => readEntry(entry, 'shell'),
    write: writeAs({ address: { type: 'streamable-http' } }),
    http: true,
    isDesktop: true,
    processes: [],
  },
]
