import { GatewayError, withHelp } from '../core/errors.ts'
import { parseDirect } from './direct.ts'
import { say } from './say.ts'
import { ToldError } from './told-error.ts'

/**
 * Runs the command line. Each command is loaded on demand; the gateway on stdio even without the argument parser.
 * @param args without the program and the script
 */
export async function main(args: readonly string[]): Promise<void> {
  try {
    const direct = parseDirect(args)
    if (direct) await (await import('./stdio.ts')).runStdio(direct)
    else await (await import('./program.ts')).runProgram(args)
  } catch (error) {
    say(saidOf(error))
    // Not `process.exit()`, so that pending output is written. All resources are closed by now.
    process.exitCode ||= error instanceof ToldError ? error.exitCode : 1
  }
}

function saidOf(error: unknown): string {
  if (error instanceof GatewayError) return withHelp(error)
  return error instanceof ToldError ? error.message : String((error as Error)?.stack ?? error)
}
