import { join } from 'node:path'
import type { ClientFile, Scope, Machine } from './application.ts'
import type { EntrySection } from '../formats/format.ts'

/** The folder of settings of the user: `~/.config`, `~/Library/Application Support` or `%APPDATA%`. */
export function settingsFolder({ platform, home, env }: Machine): string {
  if (platform === 'win32') return env['APPDATA'] || join(home, 'AppData', 'Roaming')
  if (platform === 'darwin') return join(home, 'Library', 'Application Support')
  return env['XDG_CONFIG_HOME'] || join(home, '.config')
}

export function localFolder({ home, env }: Machine): string {
  return env['LOCALAPPDATA'] || join(home, 'AppData', 'Local')
}

/** `~/.config`, on every platform. */
export function configFolder({ home, env }: Machine): string {
  return env['XDG_CONFIG_HOME'] || join(home, '.config')
}

export const MCP_SERVERS: EntrySection = { path: ['mcpServers'], kind: 'table' }

export function jsonFile(scope: Scope, file: string, path: readonly string[] = MCP_SERVERS.path): ClientFile {
  return { file, scope, section: { path, kind: 'table' }, syntax: 'jsonc' }
}
