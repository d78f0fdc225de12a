import { createRequire } from 'node:module'
import { delimiter, dirname } from 'node:path'
import { shellWord } from '../core/shell-word.ts'

const NAME = 'mcp-manifold'

/** How a client starts this program: by its path, unless it is in npx's cache, which may be cleared. */
export function thisProgram(): { command: string; args: string[] } {
  const path = createRequire(import.meta.url).resolve('#program')
  return /[\\/]_npx[\\/]/.test(path)
    ? { command: 'npx', args: ['-y', NAME] }
    : { command: process.execPath, args: [path] }
}

/**
 * A command of this program as typed in a shell, in any folder.
 * @param rest the command and its options, as they are typed
 * @param file the configuration that it has to read; `undefined`: the default one
 */
export function typed(rest: string, file: string | undefined): string {
  const { command, args } = thisProgram()
  const program =
    process.argv[1] !== undefined && isOnPath(process.argv[1])
      ? [NAME]
      : [command === process.execPath && hasFolder(command) ? 'node' : command, ...args]
  const words = [
    ...program.map(word => shellWord(word)),
    rest,
    ...(file === undefined ? [] : ['--config', shellWord(file)]),
  ]
  return words.join(' ')
}

/** Whether the program was started by its name. npm adds folders to PATH that shells do not have. */
function isOnPath(script: string): boolean {
  return /[\\/]mcp-manifold$/.test(script) && !/[\\/]node_modules[\\/]/.test(script) && hasFolder(script)
}

function hasFolder(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).includes(dirname(program))
}
