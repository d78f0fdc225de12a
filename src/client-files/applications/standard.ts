import { join } from 'node:path'
import { configFolder, jsonFile, localFolder, settingsFolder } from './folders.ts'
import { readEntry, type VariableStyle } from './read-entry.ts'
import { editorVariable, shellVariable } from './variables.ts'
import { writeAs } from './write-entry.ts'
import type { Application, ReadEntry, Machine } from './application.ts'

/** Applications that have `mcpServers` in a file of JSON, with entries as Claude Desktop introduced them. */

const as =
  (variables: VariableStyle) =>
  (entry: unknown): ReadEntry =>
    readEntry(entry, variables)

/** The folder of the settings of an editor that descends from VS Code. */
export function editorFolder(machine: Machine, name: string): string {
  return join(settingsFolder(machine), name, 'User')
}

const EXTENSION = ['globalStorage', 'saoudrizwan.claude-dev', 'settings', 'cline_mcp_settings.json']
const ROO = ['globalStorage', 'rooveterinaryinc.roo-cline', 'settings', 'mcp_settings.json']

export const STANDARD: readonly Application[] = [
  {
    id: 'claude-desktop',
    title: 'Claude Desktop',
    aliases: ['claude-app'],
    files(machine) {
      const usual = jsonFile('user', join(settingsFolder(machine), 'Claude', 'claude_desktop_config.json'))
      if (machine.platform !== 'win32') return [usual]
      // An installation from the Microsoft Store sees a folder of its own in place of %APPDATA%.
      const store = join(localFolder(machine), 'Packages', 'Claude_pzs8sxrjxfjjc', 'LocalCache', 'Roaming')
      return [
        jsonFile('user', join(store, 'Claude', 'claude_desktop_config.json')),
        { ...usual, isUsual: true },
      ]
    },
    read: as('none'),
    write: writeAs(),
    http: false,
    isDesktop: true,
    limits: { nameChars: 64, namePrefix: entry => `${entry}:` },
    processes: ['claude desktop', 'claude-desktop'],
  },
  {
    id: 'claude-code',
    title: 'Claude Code',
    aliases: ['claude'],
    files({ platform, home, env, cwd }) {
      const own = join(env['CLAUDE_CONFIG_DIR'] || home, '.claude.json')
      const project = platform === 'win32' ? cwd.replaceAll('\\', '/') : cwd
      return [
        jsonFile('user', own),
        jsonFile('project', join(cwd, '.mcp.json')),
        jsonFile('project', own, ['projects', project, 'mcpServers']),
      ]
    },
    read: as('shell'),
    write: writeAs({ program: { type: 'stdio' }, address: { type: 'http' } }),
    http: true,
    isDesktop: false,
    limits: { nameChars: 64, namePrefix: entry => `mcp__${entry}__`, descriptionBytes: 2048 },
    processes: ['claude'],
  },
  {
    id: 'cursor',
    title: 'Cursor',
    files: ({ home, cwd }) => [
      jsonFile('user', join(home, '.cursor', 'mcp.json')),
      jsonFile('project', join(cwd, '.cursor', 'mcp.json')),
    ],
    read: as('editor'),
    write: writeAs(),
    variable: editorVariable,
    http: true,
    isDesktop: true,
    limits: { nameChars: 60, namePrefix: entry => `${entry}:`, tools: 40 },
    processes: ['cursor'],
  },
  {
    id: 'windsurf',
    title: 'Windsurf',
    files: ({ home }) => [jsonFile('user', join(home, '.codeium', 'windsurf', 'mcp_config.json'))],
    read: as('editor'),
    write: writeAs({}, 'serverUrl'),
    variable: editorVariable,
    http: true,
    isDesktop: true,
    limits: { tools: 100 },
    processes: ['windsurf'],
  },
  {
    id: 'cline',
    title: 'Cline',
    files: machine => [
      jsonFile('user', join(editorFolder(machine, 'Code'), ...EXTENSION)),
      jsonFile('user', join(editorFolder(machine, 'Cursor'), ...EXTENSION)),
    ],
    read: as('editor'),
    write: writeAs({ program: { disabled: false }, address: { type: 'streamableHttp', disabled: false } }),
    variable: editorVariable,
    http: true,
    isDesktop: true,
    processes: [],
  },
  {
    id: 'cline-cli',
    title: 'Cline CLI',
    files: ({ home, env }) => [
      jsonFile(
        'user',
        join(env['CLINE_DIR'] || join(home, '.cline'), 'data', 'settings', 'cline_mcp_settings.json'),
      ),
    ],
    read: as('editor'),
    write: writeAs({ program: { disabled: false }, address: { type: 'streamableHttp', disabled: false } }),
    variable: editorVariable,
    http: true,
    isDesktop: false,
    processes: ['cline'],
  },
  {
    id: 'roo-code',
    title: 'Roo Code',
    aliases: ['roo'],
    files: machine => [
      jsonFile('user', join(editorFolder(machine, 'Code'), ...ROO)),
      jsonFile('project', join(machine.cwd, '.roo', 'mcp.json')),
    ],
    read: as('editor'),
    write: writeAs({ address: { type: 'streamable-http' } }),
    variable: editorVariable,
    http: true,
    isDesktop: true,
    processes: [],
  },
  {
    id: 'kiro',
    title: 'Kiro',
    files: ({ home, cwd }) => [
      jsonFile('user', join(home, '.kiro', 'settings', 'mcp.json')),
      jsonFile('project', join(cwd, '.kiro', 'settings', 'mcp.json')),
    ],
    read: as('shell'),
    write: writeAs(),
    variable: shellVariable,
    http: true,
    isDesktop: true,
    processes: ['kiro', 'kiro-cli'],
  },
  {
    id: 'lm-studio',
    title: 'LM Studio',
    aliases: ['lmstudio'],
    files: ({ home }) => [
      jsonFile('user', join(home, '.lmstudio', 'mcp.json')),
      jsonFile('user', join(home, '.cache', 'lm-studio', 'mcp.json')),
    ],
    read: as('none'),
    write: writeAs(),
    http: true,
    isDesktop: true,
    processes: ['lm studio', 'lm-studio'],
  },
  {
    id: 'junie',
    title: 'JetBrains Junie',
    files: ({ home, cwd }) => [
      jsonFile('user', join(home, '.junie', 'mcp', 'mcp.json')),
      jsonFile('project', join(cwd, '.junie', 'mcp', 'mcp.json')),
    ],
    read: as('none'),
    write: writeAs(),
    http: true,
    isDesktop: true,
    processes: ['junie'],
  },
  {
    id: 'jetbrains',
    title: 'JetBrains AI Assistant',
    files: () => [],
    read: as('none'),
    write: writeAs(),
    http: true,
    isDesktop: true,
    processes: [],
  },
  {
    id: 'amp',
    title: 'Amp',
    files: machine => [
      jsonFile('user', join(configFolder(machine), 'amp', 'settings.json'), ['amp.mcpServers']),
      ...(machine.platform === 'win32'
        ? [jsonFile('user', join(settingsFolder(machine), 'amp', 'settings.json'), ['amp.mcpServers'])]
        : []),
      jsonFile('project', join(machine.cwd, '.amp', 'settings.json'), ['amp.mcpServers']),
    ],
    read: as('shell'),
    write: writeAs(),
    variable: shellVariable,
    http: true,
    isDesktop: false,
    processes: ['amp'],
  },
  {
    id: 'antigravity',
    title: 'Antigravity',
    files: ({ home }) => [
      jsonFile('user', join(home, '.gemini', 'config', 'mcp_config.json')),
      jsonFile('user', join(home, '.gemini', 'antigravity', 'mcp_config.json')),
    ],
    read: as('none'),
    write: writeAs({}, 'serverUrl'),
    http: true,
    isDesktop: true,
    processes: ['antigravity'],
  },
]
