import { Command, InvalidArgumentError, Option } from 'commander'
import { HTTP_HOST, HTTP_PORT, LOG_DEFAULT, LOG_LEVEL_NAMES } from '../config/defaults.ts'
import { VERSION } from '../version.ts'
import type { LogLevel } from '../core/logger.ts'

interface CommonOptions {
  readonly config?: string
  readonly log?: LogLevel
}

interface ServeOptions extends CommonOptions {
  readonly host?: string
  readonly port?: number
}

/** Everything that is not a plain start on stdio: commands, help, and mistakes. */
export async function runProgram(args: readonly string[]): Promise<void> {
  const program = new Command('mcp-manifold')
    .description(
      'One MCP server in front of many.\n\nWithout a command it speaks MCP on stdin and stdout, for clients that start programs.',
    )
    .version(VERSION, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .option(
      '-c, --config <file>',
      'configuration file (default: servers.json, .mcp.json or mcp.json here, then the one of the user)',
    )
    .addOption(
      new Option('--log <level>', `what is logged to stderr (default: ${LOG_DEFAULT})`).choices(
        LOG_LEVEL_NAMES,
      ),
    )
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('Run mcp-manifold --help to see what there is.')

  program
    .command('serve')
    .description('offer the servers over HTTP')
    .option('--host <address>', `address to listen on (default: ${HTTP_HOST})`)
    .option('--port <number>', `port to listen on, 0 for a free one (default: ${HTTP_PORT.default})`, toPort)
    .action(async (_options: unknown, command: Command) => {
      const { runServe } = await import('./serve.ts')
      await runServe(command.optsWithGlobals<ServeOptions>())
    })

  program
    .command('check')
    .description('check a configuration file and start nothing')
    .argument('[file]', 'configuration file')
    .action(async (file: string | undefined, _options: unknown, command: Command) => {
      const { runCheck } = await import('./check.ts')
      await runCheck(file ?? command.optsWithGlobals<CommonOptions>().config)
    })

  program
    .command('usage')
    .description('print what clients, servers and tools have used of their quotas')
    .argument('[client]', 'only this client')
    .option('--json', 'print JSON')
    .action(async (client: string | undefined, _options: unknown, command: Command) => {
      const { runUsage } = await import('./usage.ts')
      await runUsage(client, command.optsWithGlobals<CommonOptions & { readonly json?: boolean }>())
    })

  await program.parseAsync([...args], { from: 'user' })
}

function toPort(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > HTTP_PORT.max) {
    throw new InvalidArgumentError(`Expected a number from ${HTTP_PORT.min} to ${HTTP_PORT.max}.`)
  }
  return port
}
