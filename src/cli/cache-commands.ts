import { example } from './example.ts'
import type { Command } from 'commander'
import type { CommonOptions } from './common-options.ts'

/** Declares the commands of kept results. */
export function declareCacheCommands(program: Command): void {
  const cache = program.command('cache').description('clear kept results, and show what they save')

  cache
    .command('clear')
    .description('forget kept results, in the state store and in running gateways that share it')
    .argument('[name]', 'only of this server, or of one of its tools: server/tool, as the server names it')
    .option('--json', 'print JSON')
    .addHelpText('after', example('cache clear search/query'))
    .action(async (name: string | undefined, _options: unknown, command: Command) => {
      const { clearCache } = await import('./cache.ts')
      await clearCache(name, command.optsWithGlobals<CommonOptions & { readonly json?: boolean }>())
    })

  cache
    .command('stats')
    .description('print what kept results have saved in running gateways')
    .option('--json', 'print JSON')
    .addHelpText('after', example('cache stats'))
    .action(async (_options: unknown, command: Command) => {
      const { showCacheStats } = await import('./cache.ts')
      await showCacheStats(command.optsWithGlobals<CommonOptions & { readonly json?: boolean }>())
    })
}
