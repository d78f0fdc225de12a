import { dirname, basename, isAbsolute, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Default locations of the file, in search order; relative ones are in the working directory. */
export function candidateFiles(
  cwd: string,
  home: string,
  env: Readonly<Record<string, string | undefined>>,
): string[] {
  const ours = join(env['XDG_CONFIG_HOME'] || join(home, '.config'), 'mcp-manifold', 'servers.json')
  return [...['servers.json', '.mcp.json', 'mcp.json'].map(name => join(cwd, name)), ours]
}

/** Default folder of the state; absolute. */
export function stateFolder(
  home: string,
  env: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform,
): string {
  const base =
    platform === 'win32'
      ? env['LOCALAPPDATA'] || join(home, 'AppData', 'Local')
      : env['XDG_STATE_HOME'] || join(home, '.local', 'state')
  return join(base, 'mcp-manifold')
}

/**
 * The project of a configuration file: its folder, or the parent when a client keeps the file in a folder of its own.
 */
export function projectFolder(file: string): string {
  const folder = dirname(file)
  return ['.vscode', '.cursor', '.windsurf', '.roo'].includes(basename(folder)) ? dirname(folder) : folder
}

/** An absolute path; `~/` is the home directory, and other relative paths start at `folder`. */
export function absolutePath(path: string, folder: string, home: string): string {
  if (path === '~' || /^~[\\/]/.test(path)) return join(home, path.slice(1))
  return isAbsolute(path) ? path : resolve(folder, path)
}

/** The `file://` URI of a path, or of a URI. */
export function fileUri(location: string, folder: string, home: string): string {
  return /^file:\/\//i.test(location)
    ? new URL(location).href
    : pathToFileURL(absolutePath(location, folder, home)).href
}
