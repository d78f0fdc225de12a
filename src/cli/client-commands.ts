import { toObject } from './arguments.ts'
import { example } from './example.ts'
import type { Command } from 'commander'
import type { JsonObject } from '../core/exchange.ts'
import type { CommonOptions } from './common-options.ts'
import type { UsageOptions } from './usage.ts'
import type { UsageByOptions } from './usage-by.ts'
import type { ExplainOptions } from './explain.ts'

interface KeyOptions {
  readonly expires?: string
  readonly note?: string
  readonly json?: boolean
}

/** Declares the commands of clients: their keys, what they may use, what they have used. */
export function declareClientCommands(program: Command): void {
  program
    .command('explain')
    .description(
      'say what a client may use and why; starts nothing. Exit code 0: allowed, 2: denied, 3: it depends',
    )
    .argument('<client>', 'client of the configuration; "local" and "anonymous" are those without one')
    .argument('<name>', 'server/name as the server has it, or the name that clients see')
    .argument('[arguments]', 'arguments of the call, as JSON', toObject)
    .option('--prompt', 'the name is that of a prompt')
    .option('--resource', 'the name is the URI of a resource')
    .option('--role <name...>', 'roles that the credentials bring')
    .option('--json', 'print JSON')
    .addHelpText('after', example('explain ci files/write_file'))
    .action(
      async (client: string, name: string, args: JsonObject | undefined, _options, command: Command) => {
        const { runExplain } = await import('./explain.ts')
        await runExplain(client, name, args, command.optsWithGlobals<ExplainOptions>())
      },
    )

  const keys = program.command('keys').description('make, list and revoke API keys of clients')

  keys
    .command('create')
    .description('make a key and print it, once')
    .argument('<client>', 'name in "clients"')
    .option('--expires <duration>', 'how long it counts, such as 90d (default: until it is revoked)')
    .option('--note <text>', 'what it is for')
    .option('--json', 'print JSON')
    .addHelpText('after', example('keys create ci --expires 90d'))
    .action(async (client: string, options: KeyOptions, command: Command) => {
      const { createClientKey } = await import('./keys.ts')
      await createClientKey(client, { ...options, ...command.optsWithGlobals<CommonOptions>() })
    })

  keys
    .command('list')
    .description('show the keys there are')
    .argument('[client]', 'name in "clients"')
    .option('--json', 'print JSON')
    .addHelpText('after', example('keys list'))
    .action(async (client: string | undefined, _options: unknown, command: Command) => {
      const { listKeys } = await import('./keys.ts')
      await listKeys(client, command.optsWithGlobals<CommonOptions & { readonly json?: boolean }>())
    })

  keys
    .command('revoke')
    .description('end a key; running gateways notice within seconds')
    .argument('<id>', 'as keys list shows it')
    .option('--json', 'print JSON')
    .addHelpText('after', example('keys revoke 4f1c2a90'))
    .action(async (id: string, _options: unknown, command: Command) => {
      const { revokeKey } = await import('./keys.ts')
      await revokeKey(id, command.optsWithGlobals<CommonOptions & { readonly json?: boolean }>())
    })

  program
    .command('usage')
    .description(
      'print what clients, servers and tools have used of their quotas; with --by, all that was used, day by day',
    )
    .argument('[client]', 'only this client')
    .option('--by <what>', 'sum what was used by day, client, server or tool; several with commas')
    .option('--since <day>', 'with --by: from this day on, as 7d or 2026-11-28')
    .option('--until <day>', 'with --by: up to this day')
    .option('--server <name>', 'with --by: only this server')
    .option('--tool <name>', 'with --by: only this tool, by its name at the server')
    .option('--json', 'print JSON')
    .option('--csv', 'with --by: print CSV')
    .addHelpText('after', example('usage ci --json', 'usage --by client,server --since 7d'))
    .action(async (client: string | undefined, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<UsageByOptions | UsageOptions>()
      if ('by' in options && options.by !== undefined) {
        const { runUsageBy } = await import('./usage-by.ts')
        return await runUsageBy(client, options)
      }
      const { runUsage } = await import('./usage.ts')
      await runUsage(client, options)
    })
}
