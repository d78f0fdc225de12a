import { spawn, type ChildProcess } from 'node:child_process'
import { onTestFinished } from 'vitest'
import { envOf, runCommand } from './admin-client.ts'
import { BIN } from './served.ts'
import type { Scratch } from './scratch.ts'

/** What a command has printed, and its exit code. */
export interface CommandEnd {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
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
  const child = spawn(process.execPath, [BIN, ...args, '--config', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...envOf(folder) },
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const end = new Promise<CommandEnd>(resolve => {
    child.once('close', code => resolve({ code, stdout, stderr }))
  })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await end
  })
  return { child, stdout: () => stdout, stderr: () => stderr, end }
}
