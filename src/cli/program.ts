import { Command, InvalidArgumentError, Option } from 'commander'
import { GATEWAY, HTTP, LOG_LEVELS } from '../config/options/gateway.ts'
import { isJsonObject } from '../core/json-object.ts'
import { VERSION } from '../version.ts'
import type { JsonObject } from '../core/exchange.ts'
import type { LogLevel } from '../core/logger.ts'
import type { ExportOptions, ImportOptions } from './credentials-transfer.ts'
import type { DrainOptions } from './drain.ts'
import type { ExplainOptions } from './explain.ts'
import type { LoginCommandOptions } from './login.ts'
import type { ReloadOptions } from './reload.ts'

interface CommonOptions {
  readonly config?: string
  readonly log?: LogLevel
  readonly profile?: string
}

interface ServeOptions extends CommonOptions {
  readonly host?: string
  readonly port?: number
  readonly allowAnonymous?: boolean
  readonly allowCommandAdmin?: boolean
}

interface KeyOptions {
  readonly expires?: string
  readonly note?: string
}

const CLIENT_OPTION = '--client'
const CLIENT_HELP = 'the client whose login it is, where each has its own (default: the local user)'

/** Handles everything except a plain start on stdio: commands, help, and errors. */
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
    })
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('Run mcp-manifold --help to see what there is.')

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
    .command('reload')
    .description(
      'have every running gateway of this configuration read it again, and wait until it is in effect; prints what is different',
    )
    .option('--dry-run', 'only print what would be different')
    .option('--json', 'print JSON')
    .action(async (_options: unknown, command: Command) => {
      const { runReload } = await import('./reload.ts')
      await runReload(command.optsWithGlobals<ReloadOptions>())
    })

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
    .action(async (client: string, options: KeyOptions, command: Command) => {
      const { createClientKey } = await import('./keys.ts')
      await createClientKey(client, { ...options, ...command.optsWithGlobals<CommonOptions>() })
    })

  keys
    .command('list')
    .description('show the keys there are')
    .argument('[client]', 'name in "clients"')
    .action(async (client: string | undefined, _options: unknown, command: Command) => {
      const { listKeys } = await import('./keys.ts')
      await listKeys(client, command.optsWithGlobals<CommonOptions>())
    })

  keys
    .command('revoke')
    .description('end a key; running gateways notice within seconds')
    .argument('<id>', 'as keys list shows it')
    .action(async (id: string, _options: unknown, command: Command) => {
      const { revokeKey } = await import('./keys.ts')
      await revokeKey(id, command.optsWithGlobals<CommonOptions>())
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

  program
    .command('drain')
    .description(
      'take a server or one of its replicas out of use, in all running gateways that share the state store, and wait for its calls',
    )
    .argument('<server>', 'name in "mcpServers"')
    .argument('[replica]', 'name of the replica; without it, all of them')
    .option('--undo', 'use it again')
    .option('--no-wait', 'do not wait until nothing is in flight')
    .action(async (server: string, replica: string | undefined, _options: unknown, command: Command) => {
      const { runDrain } = await import('./drain.ts')
      await runDrain(server, replica, command.optsWithGlobals<DrainOptions>())
    })

  program
    .command('login')
    .description('log in to a server in a browser, for the gateways that share the state')
    .argument('<server>', 'name in "mcpServers"')
    .option(`${CLIENT_OPTION} <name>`, CLIENT_HELP)
    .option('--device', 'log in on another device, by a code')
    .option('--no-browser', 'open no browser, only print the address')
    .option('--token-stdin', 'keep an access token that comes on stdin')
    .action(async (server: string, _options: unknown, command: Command) => {
      const { runLogin } = await import('./login.ts')
      await runLogin(server, command.optsWithGlobals<LoginCommandOptions>())
    })

  program
    .command('logout')
    .description('forget the login to a server, in all running gateways that share the state, and revoke it')
    .argument('<server>', 'name in "mcpServers"')
    .option(`${CLIENT_OPTION} <name>`, CLIENT_HELP)
    .action(async (server: string, _options: unknown, command: Command) => {
      const { runLogout } = await import('./logout.ts')
      await runLogout(server, command.optsWithGlobals<CommonOptions & { readonly client?: string }>())
    })

  const credentials = program
    .command('credentials')
    .description('list, revoke, export and import the logins to servers')

  credentials
    .command('list')
    .description('show the logins there are, without their tokens')
    .option('--server <name>', 'only those to this server')
    .option('--json', 'print JSON')
    .action(async (_options: unknown, command: Command) => {
      const { listCredentials } = await import('./credentials.ts')
      await listCredentials(
        command.optsWithGlobals<CommonOptions & { readonly json?: boolean; readonly server?: string }>(),
      )
    })

  credentials
    .command('revoke')
    .description('forget a login, also one to a server that is not configured any more, and revoke it')
    .argument('<server>', 'as credentials list shows it')
    .argument('[owner]', 'as credentials list shows it', 'gateway')
    .action(async (server: string, owner: string, _options: unknown, command: Command) => {
      const { revokeCredential } = await import('./credentials.ts')
      await revokeCredential(server, owner, command.optsWithGlobals<CommonOptions>())
    })

  credentials
    .command('export')
    .description('write logins in clear, for another place such as a container')
    .option('--file <path>', 'to a new file that only this user can read')
    .option('--stdout', 'to a pipe')
    .option('--server <name>', 'only those to this server')
    .action(async (_options: unknown, command: Command) => {
      const { exportCredentials } = await import('./credentials-transfer.ts')
      await exportCredentials(command.optsWithGlobals<ExportOptions>())
    })

  credentials
    .command('import')
    .description('seal exported logins in the state of this place')
    .argument('<file>', 'what export has written; - for the standard input')
    .option('--replace', 'also in place of logins that are there already')
    .action(async (file: string, _options: unknown, command: Command) => {
      const { importCredentials } = await import('./credentials-transfer.ts')
      await importCredentials(file, command.optsWithGlobals<ImportOptions>())
    })

  credentials
    .command('rotate')
    .description('seal all logins with the first key of "gateway.vault.keys"')
    .action(async (_options: unknown, command: Command) => {
      const { rotateCredentials } = await import('./credentials-transfer.ts')
      await rotateCredentials(command.optsWithGlobals<CommonOptions>())
    })

  const cache = program.command('cache').description('clear kept results, and show what they save')

  cache
    .command('clear')
    .description('forget kept results, in the state store and in running gateways that share it')
    .argument('[name]', 'only of this server, or of one of its tools: server/tool, as the server names it')
    .action(async (name: string | undefined, _options: unknown, command: Command) => {
      const { clearCache } = await import('./cache.ts')
      await clearCache(name, command.optsWithGlobals<CommonOptions>())
    })

  cache
    .command('stats')
    .description('print what kept results have saved in running gateways')
    .option('--json', 'print JSON')
    .action(async (_options: unknown, command: Command) => {
      const { showCacheStats } = await import('./cache.ts')
      await showCacheStats(command.optsWithGlobals<CommonOptions & { readonly json?: boolean }>())
    })

  await program.parseAsync([...args], { from: 'user' })
}

function toObject(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text)
    if (isJsonObject(value)) return value
  } catch {
    // Reported below.
  }
  throw new InvalidArgumentError('Expected a JSON object such as {"path":"a.txt"}.')
}

function toPort(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65_535) {
    throw new InvalidArgumentError(`Expected a number from ${HTTP.options.port.bounds}.`)
  }
  return port
}
