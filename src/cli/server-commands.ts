import { Option, type Command } from 'commander'
import { example } from './example.ts'
import { collected } from './arguments.ts'
import type { AddOptions } from './add-options.ts'
import type { EditOptions } from './edited.ts'

/** Declares the commands that change which servers the configuration has. */
export function declareServerCommands(program: Command): void {
  program
    .command('add')
    .description(
      'add a server to the configuration file, with its comments kept, and have running gateways take it over',
    )
    .argument(
      '<source>',
      'name for the server; or alone: its name in the registry, or the path of a bundle (.mcpb)',
    )
    .argument('[target...]', 'address of the server; or after --, its command with arguments')
    .option('--env <NAME=value>', 'environment variable of the command; may be repeated', collected)
    .option('--header <"Name: value">', 'header of requests to the address; may be repeated', collected)
    .addOption(new Option('--transport <kind>', 'how the address speaks').choices(['stdio', 'http', 'sse']))
    .option('--name <name>', 'name for the server, in place of that of the registry or bundle')
    .option('--set <name=value>', 'value that the registry or bundle asks for; may be repeated', collected)
    .addOption(
      new Option('--package <kind>', 'what to take of the registry (default: what runs here)').choices([
        'npm',
        'pypi',
        'oci',
        'remote',
      ]),
    )
    .option(
      '--registry <url>',
      'address of the registry (default: MCP_MANIFOLD_REGISTRY, or the official one)',
    )
    .option('--replace', 'in place of a server of this name')
    .option('-y, --yes', 'agree to what a registry or bundle would run')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      example(
        'add files -- npx -y @modelcontextprotocol/server-filesystem .',
        'add search https://mcp.example.com/mcp --header "Authorization: Bearer ${SEARCH_TOKEN}"',
        'add io.github.owner/server',
        'add ./server.mcpb --set directory=/home/ada/notes',
      ),
    )
    .action(async (source: string, target: string[], _options: unknown, command: Command) => {
      const { runAdd } = await import('./add.ts')
      await runAdd(source, target, command.optsWithGlobals<AddOptions>())
    })

  program
    .command('remove')
    .description('remove a server from the configuration file, and have running gateways take it over')
    .argument('<server>', 'name in "mcpServers"')
    .option('--json', 'print JSON')
    .addHelpText('after', example('remove files'))
    .action(async (server: string, _options: unknown, command: Command) => {
      const { runRemove } = await import('./remove.ts')
      await runRemove(server, command.optsWithGlobals<EditOptions>())
    })

  program
    .command('enable')
    .description('switch a disabled server of the configuration file on')
    .argument('<server>', 'name in "mcpServers"')
    .option('--json', 'print JSON')
    .addHelpText('after', example('enable files'))
    .action(async (server: string, _options: unknown, command: Command) => {
      const { runEnable } = await import('./enable.ts')
      await runEnable(server, true, command.optsWithGlobals<EditOptions>())
    })

  program
    .command('disable')
    .description('switch a server of the configuration file off')
    .argument('<server>', 'name in "mcpServers"')
    .option('--json', 'print JSON')
    .addHelpText('after', example('disable files'))
    .action(async (server: string, _options: unknown, command: Command) => {
      const { runDisable } = await import('./disable.ts')
      await runDisable(server, command.optsWithGlobals<EditOptions>())
    })
}
