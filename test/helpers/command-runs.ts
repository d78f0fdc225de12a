import { spawn, type ChildProcess } from 'node:child_process'
import { onTestFinished } from 'vitest'
import { envOf } from './admin-client.ts'
import { BIN } from './served.ts'
import type { Scratch } from './scratch.ts'

/** What a command has printed, and its exit code. */
export interface CommandEnd {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command of the built program to its end. */
export function runCommand(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<CommandEnd> {
  return begin(args, env).end
}

/** Runs a command with this configuration to its end, with its state below the folder. */
export function runIn(folder: Scratch, file: string, ...args: readonly string[]): Promise<CommandEnd> {
  return runCommand([...args.slice(0, 1), '--config', file, ...args.slice(1)], envOf(folder))
}

/** A command that runs beside the test, and is ended with it. */
export interface BesideCommand {
  readonly child: ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
  readonly end: Promise<CommandEnd>
}

export function runBeside(folder: Scratch, file: string, ...args: readonly string[]): BesideCommand {
  const command = begin([...args, '--config', file], envOf(folder))
  onTestFinished(async () => {
    command.child.kill('SIGKILL')
    await command.end
  })
  return command
}

function begin(args: readonly string[], env: Readonly<Record<string, string>>): BesideCommand {
  const child = spawn(process.execPath, [BIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const end = new Promise<CommandEnd>(resolve => {
    child.once('close', code => resolve({ code, stdout, stderr }))
  })
  return { child, stdout: () => stdout, stderr: () => stderr, end }
}
