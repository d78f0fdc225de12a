import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { BIN } from '../../helpers/served.ts'

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the built program to its end, with `input` on its stdin, in an environment without the user's own files. */
export async function runProgram(
  args: readonly string[],
  options: { cwd: string; input?: string; env?: Record<string, string>; nodeArgs?: readonly string[] },
): Promise<Ended> {
  const { cwd, input = '', env = {}, nodeArgs = [] } = options
  const child = spawn(process.execPath, [...nodeArgs, BIN, ...args], {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', HOME: cwd, XDG_STATE_HOME: `${cwd}/state`, ...env },
  })
  child.stdin.end(input)
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { code, stdout, stderr }
}
