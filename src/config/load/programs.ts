import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'

/** Where a program is searched. */
export interface ProgramContext {
  /** Absolute path; base of a command that contains a path. */
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
}

export type Lookup = 'found' | 'absent' | 'not executable'

const IS_WINDOWS = process.platform === 'win32'

/** Whether a command contains a path, so that `PATH` is not searched. */
export function isPath(command: string): boolean {
  return command.includes('/') || (IS_WINDOWS && command.includes('\\'))
}

/** Searches a program as the system does when it starts one. */
export function findProgram(command: string, { cwd, env }: ProgramContext): Lookup {
  const folders = isPath(command)
    ? [cwd]
    : [...(IS_WINDOWS ? [cwd] : []), ...valueOf(env, 'PATH').split(delimiter)]
  const endings = IS_WINDOWS ? ['', ...(valueOf(env, 'PATHEXT') || '.EXE;.CMD;.BAT;.COM').split(';')] : ['']
  let result: Lookup = 'absent'
  for (const folder of folders)
    for (const ending of endings) {
      const found = look(resolve(cwd, isPath(command) ? command + ending : join(folder, command + ending)))
      if (found === 'found') return found
      if (found === 'not executable') result = found
    }
  return result
}

/** Whether a command that contains a path is a folder. */
export function isFolder(command: string, { cwd }: ProgramContext): boolean {
  try {
    return statSync(resolve(cwd, command)).isDirectory()
  } catch {
    return false
  }
}

function look(file: string): Lookup {
  try {
    if (!statSync(file).isFile()) return 'absent'
  } catch {
    return 'absent'
  }
  try {
    accessSync(file, constants.X_OK)
    return 'found'
  } catch {
    return 'not executable'
  }
}

/** Names of environment variables are case-insensitive on Windows. */
function valueOf(env: ProgramContext['env'], name: string): string {
  const key = IS_WINDOWS ? Object.keys(env).find(other => other.toUpperCase() === name) : name
  return (key === undefined ? undefined : env[key]) ?? ''
}
