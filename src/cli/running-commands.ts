import { example } from './example.ts'
import type { Command } from 'commander'
import type { CallsOptions } from './calls.ts'
import type { ListOptions } from './list.ts'
import type { LogsOptions } from './logs.ts'
import type { RestartOptions } from './restart.ts'
import type { StatusOptions } from './status.ts'

/** Declares the commands that look at the servers of a configuration, and at the gateways that run with it. */
export function declareRunningCommands(program: Command): void {
  program
    .command('status')
    .description(
      'say how each server stands in the running gateways of this configuration. Exit code 1: a gateway is not ready; 3: none runs',
    )
    .option('--json', 'print JSON')
    .addHelpText('after', example('status'))
    .action(async (_options: unknown, command: Command) => {
      const { runStatus } = await import('./status.ts')
      await runStatus(command.optsWithGlobals<StatusOptions>())
    })

  program
    .command('list')
    .description('list the servers of the configuration, with their state and how many tools each had')
    .option('--json', 'print JSON')
    .addHelpText('after', example('list'))
    .action(async (_options: unknown, command: Command) => {
      const { runList } = await import('./list.ts')
      await runList(command.optsWithGlobals<ListOptions>())
    })

  program
    .command('restart')
    .description('have every running gateway of this configuration open new links to a server')
    .argument('<server>', 'name in "mcpServers"')
    .option('--json', 'print JSON')
    .addHelpText('after', example('restart files'))
    .action(async (server: string, _options: unknown, command: Command) => {
      const { runRestart } = await import('./restart.ts')
      await runRestart(server, command.optsWithGlobals<RestartOptions>())
    })

  const filtered = (command: Command): Command =>
    command
      .option('--client <name>', 'only those of this client')
      .option('--server <name>', 'only those of this server')
      .option('--tool <name>', 'only those of this tool, by its name at the server')
      .option('--failed', 'only those that were not answered with a result')

  filtered(
    program
      .command('calls')
      .description('print the last calls of the running gateways, and where the time of each went'),
  )
    .option('--slow', 'the slowest of the last hour, in place of the last ones')
    .option('--limit <count>', 'how many (default: 20)')
    .option('--json', 'print JSON')
    .addHelpText('after', example('calls --failed', 'calls --slow --server files'))
    .action(async (_options: unknown, command: Command) => {
      const { runCalls } = await import('./calls.ts')
      await runCalls(command.optsWithGlobals<CallsOptions>())
    })

  filtered(
    program.command('tail').description('print the calls of the running gateways as they end, until Ctrl+C'),
  )
    .option('--json', 'print each as a line of JSON')
    .addHelpText('after', example('tail --server files'))
    .action(async (_options: unknown, command: Command) => {
      const { runTail } = await import('./tail.ts')
      await runTail(command.optsWithGlobals<CallsOptions>())
    })

  program
    .command('logs')
    .description('print the last records of the running gateways, with what servers print to stderr')
    .argument('[server]', 'only what is about this server')
    .option('-f, --follow', 'go on with what comes, until Ctrl+C')
    .option('--json', 'print the records as they are: a JSON object a line')
    .addHelpText('after', example('logs', 'logs files --follow'))
    .action(async (server: string | undefined, _options: unknown, command: Command) => {
      const { runLogs } = await import('./logs.ts')
      await runLogs(server, command.optsWithGlobals<LogsOptions>())
    })
}
