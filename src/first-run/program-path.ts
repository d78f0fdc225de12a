import { statSync } from 'node:fs'
import { delimiter, isAbsolute } from 'node:path'
import { findProgram, isPath } from '../config/load/programs.ts'
import type { Machine } from '../client-files/applications/application.ts'

/** Folders on the PATH of programs that a desktop starts. */
export const DESKTOP_PATH = ['/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin', '/sbin']

/** Folders that are on a PATH for one terminal, package or command only; and those of Windows in WSL. */
const PASSING = /[\\/](?:node_modules|_npx|fnm_multishells)(?:[\\/]|$)|^\/mnt\/[a-z]\//
/** A longer PATH was not made by hand. */
const MOST = 60

/** The folders on the PATH of this terminal that will be there later as well. */
export function lastingPath({ env, platform }: Pick<Machine, 'env' | 'platform'>): string[] {
  const folders = (env['PATH'] ?? '').split(delimiter)
  if (platform === 'win32') return folders
  return folders
    .filter(folder => isAbsolute(folder) && !PASSING.test(folder) && isFolder(folder))
    .slice(0, MOST)
}

/** Whether a program is found by its name in some folders. */
export function isOn(folders: readonly string[], command: string): boolean {
  return (
    !isPath(command) && findProgram(command, { cwd: '/', env: { PATH: folders.join(delimiter) } }) === 'found'
  )
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
