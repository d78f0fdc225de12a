import { HTTP } from '../config/options/gateway.ts'
import { toPort } from './arguments.ts'
import { example } from './example.ts'
import type { Command } from 'commander'
import type { CommonOptions } from './common-options.ts'
import type { DrainOptions } from './drain.ts'
import type { ReloadOptions } from './reload.ts'
import type { ServeOptions } from './serve.ts'

/** Declares the commands of gateways as a whole: their start, their configuration, what they use. */
export function declareGatewayCommands(program: Command): void {
  program
    .command('serve')
    .description('offer the servers over HTTP')
    .option('--host <address>', `address to listen on (default: ${HTTP.options.host.default})`)
    .option(
      '--port <number>',
      `port to listen on, 0 for a free one (default: ${HTTP.options.port.default})`,
      toPort,
    )
    .option(
      '--allow-anonymous',
      'serve every caller that reaches the address, without any clients configured',
    )
    .option('--allow-command-admin', 'let the admin API define and change what programs the gateway starts')
    .option('--json', 'print what becomes of the start as a JSON object a line')
    .addHelpText('after', example('serve', 'serve --port 3334'))
    .action(async (_options: unknown, command: Command) => {
      const { runServe } = await import('./serve.ts')
      await runServe(command.optsWithGlobals<ServeOptions>())
    })

  program
    .command('check')
    .alias('validate')
    .description('check a configuration file and start nothing')
    .argument('[file]', 'configuration file')
    .option('--json', 'print JSON')
    .addHelpText('after', example('check', 'validate servers.json --json'))
    .action(async (file: string | undefined, _options: unknown, command: Command) => {
      const { runCheck } = await import('./check.ts')
      const { config, json } = command.optsWithGlobals<CommonOptions & { readonly json?: boolean }>()
      await runCheck(file ?? config, json)
    })

  program
    .command('reload')
    .description(
      'have every running gateway of this configuration read it again, and wait until it is in effect; prints what is different',
    )
    .option('--dry-run', 'only print what would be different')
    .option('--json', 'print JSON')
    .addHelpText('after', example('reload --dry-run', 'reload'))
    .action(async (_options: unknown, command: Command) => {
      const { runReload } = await import('./reload.ts')
      await runReload(command.optsWithGlobals<ReloadOptions>())
    })

  program
    .command('drain')
    .description(
      'take a server or one of its replicas out of use, in all running gateways that share the state store, and wait for its calls',
    )
    .argument('<server>', 'name in "mcpServers"')
    .argument('[replica]', 'name of the replica; without it, all of them')
    .option('--undo', 'use it again')
    .option('--no-wait', 'do not wait until nothing is in flight')
    .option('--json', 'print JSON at the end')
    .addHelpText('after', example('drain files', 'drain files --undo'))
    .action(async (server: string, replica: string | undefined, _options: unknown, command: Command) => {
      const { runDrain } = await import('./drain.ts')
      await runDrain(server, replica, command.optsWithGlobals<DrainOptions>())
    })
}
