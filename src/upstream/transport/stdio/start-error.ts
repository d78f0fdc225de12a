import { statSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import type { StdioEndpoint } from '../../../config/replica-types.ts'
import { GatewayError } from '../../../core/errors.ts'

/** The error for a command that could not be started, with the fix. */
export function startError(server: string, endpoint: StdioEndpoint, error: unknown): GatewayError {
  const message = `Server "${server}" could not be started: ${reasonOf(endpoint, error)}`
  return new GatewayError('upstream_start_failed', message, { cause: error, server })
}

function reasonOf({ command, cwd }: StdioEndpoint, error: unknown): string {
  // The system reports a missing directory as a missing command.
  if (!isDirectory(cwd))
    return `its working directory "${cwd}" does not exist. Fix: create it, or correct "cwd".`
  const code = (error as NodeJS.ErrnoException).code
  const path = isAbsolute(command) || /[/\\]/.test(command)
  switch (code) {
    case 'ENOENT':
      if (/\s/.test(command))
        return `there is no program "${command}": arguments do not belong into "command". Fix: move what follows "${firstWord(command)}" to "args".`
      return path
        ? `there is no file "${command}", or the interpreter it names is missing. Fix: correct "command".`
        : `command "${command}" was not found on PATH. Fix: install it, or give its absolute path as "command".`
    case 'EACCES':
      return `command "${command}" may not be executed. Fix: make it executable (chmod +x), or correct "command".`
    case 'ENOEXEC':
      return `command "${command}" is no program of this machine. Fix: name its interpreter as "command" and the file in "args".`
    case 'E2BIG':
      return `its arguments and environment are too long for this system. Fix: shorten "args" or "env".`
    case 'EMFILE':
      return `the gateway has as many files open as it may (EMFILE). Fix: raise the limit of open files (ulimit -n), or let fewer clients and servers connect.`
    case 'EAGAIN':
    case 'ENFILE':
    case 'ENOMEM':
      return `this machine is out of processes, files or memory (${code}). Fix: stop what is not needed, or raise its limits.`
    default:
      return `the system refused (${code ?? 'no reason given'}). Fix: run "${command}" in a terminal to see why.`
  }
}

function firstWord(command: string): string {
  return /\S+/.exec(command)?.[0] ?? ''
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}
