import { Command, Option } from 'commander'
import { GATEWAY, LOG_LEVELS } from '../config/options/gateway.ts'
import { describeError } from '../core/errors.ts'
import { VERSION } from '../version.ts'
import { declareCacheCommands } from './cache-commands.ts'
import { declareClientCommands } from './client-commands.ts'
import { CLIENT_OPTION } from './common-options.ts'
import { declareDoctorCommands } from './doctor-commands.ts'
import { declareCompletionCommands } from './completion-commands.ts'
import { declareFirstRunCommands } from './first-run-commands.ts'
import { declareGatewayCommands } from './gateway-commands.ts'
import { declareLoginCommands } from './login-commands.ts'
import { say } from './say.ts'
import { declareServerCommands } from './server-commands.ts'
import { declareRunningCommands } from './running-commands.ts'
import { declareUseCommands } from './use-commands.ts'

/** Handles everything except a plain start on stdio: commands, help, and errors. */
export async function runProgram(args: readonly string[]): Promise<void> {
  await declaredProgram().parseAsync([...args], { from: 'user' })
}

/** The program with all its commands. */
export function declaredProgram(): Command {
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
      new Option(
        '--log <level>',
        `what is logged to stderr (default: ${GATEWAY.options.log.default})`,
      ).choices(LOG_LEVELS),
    )
    .option(
      '--profile <name>',
      'offer or explain only what this profile selects; not for serve, which has them all',
    )
    .option(
      '--client <name>',
      'on stdio: the client of the configuration that is served (default: the local user)',
    )
    .hook('preAction', (command, action) => {
      const isGiven = command.opts<{ client?: string }>().client !== undefined
      if (isGiven && !action.options.some(({ long }) => long === CLIENT_OPTION))
        command.error('error: --client is for the gateway on stdio, which has no command')
      // A gateway goes on without its output.
      if (action.name() === 'serve') return
      process.stdout.on('error', endWithoutOutput)
      // There is nowhere left to say it.
      process.stderr.on('error', () => {})
    })
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('Run mcp-manifold --help to see what there is.')

  declareFirstRunCommands(program)
  declareGatewayCommands(program)
  declareRunningCommands(program)
  declareServerCommands(program)
  declareUseCommands(program)
  declareClientCommands(program)
  declareLoginCommands(program)
  declareCacheCommands(program)
  declareDoctorCommands(program)
  declareCompletionCommands(program)
  return program
}

/** A reader such as `head` has seen enough. Anything else, such as a full disk, is said. */
function endWithoutOutput(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit()
  say(`The output cannot be written: ${describeError(error)}.`)
  process.exit(1)
}
