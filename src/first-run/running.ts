import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Application } from '../client-files/applications/application.ts'

const TIMEOUT_MS = 3000
const MAX_BYTES = 4 * 1024 * 1024

/** Names of the programs that run, in lower case; empty where the system does not say. */
export async function runningPrograms(platform: NodeJS.Platform): Promise<ReadonlySet<string>> {
  const [command, args] =
    platform === 'win32' ? ['tasklist', ['/fo', 'csv', '/nh']] : ['ps', ['-A', '-o', 'comm=']]
  try {
    const run = promisify(execFile)
    const { stdout } = await run(command as string, args as string[], {
      timeout: TIMEOUT_MS,
      maxBuffer: MAX_BYTES,
      windowsHide: true,
    })
    const names = stdout.split('\n').map(line => (/^"([^"]*)"/.exec(line)?.[1] ?? line).trim().toLowerCase())
    return new Set(names.map(name => name.replace(/^.*[\\/]/, '').replace(/\.exe$/, '')))
  } catch {
    return new Set()
  }
}

export function isRunning({ processes }: Application, programs: ReadonlySet<string>): boolean {
  return processes.some(name => programs.has(name))
}
