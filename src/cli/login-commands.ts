import { CLIENT_OPTION } from './common-options.ts'
import { example } from './example.ts'
import type { Command } from 'commander'
import type { JsonOptions } from './common-options.ts'
import type { ExportOptions, ImportOptions } from './credentials-transfer.ts'
import type { LoginCommandOptions } from './login.ts'
import type { LogoutOptions } from './logout.ts'

const CLIENT_HELP = 'the client whose login it is, where each has its own (default: the local user)'

/** Declares the commands of logins to servers. */
export function declareLoginCommands(program: Command): void {
  program
    .command('login')
    .description('log in to a server in a browser, for the gateways that share the state')
    .argument('<server>', 'name in "mcpServers"')
    .option(`${CLIENT_OPTION} <name>`, CLIENT_HELP)
    .option('--device', 'log in on another device, by a code')
    .option('--no-browser', 'open no browser, only print the address')
    .option('--token-stdin', 'keep an access token that comes on stdin')
    .option('--json', 'print the address and the end as a JSON object a line')
    .addHelpText('after', example('login mail', 'login mail --device'))
    .action(async (server: string, _options: unknown, command: Command) => {
      const { runLogin } = await import('./login.ts')
      await runLogin(server, command.optsWithGlobals<LoginCommandOptions>())
    })

  program
    .command('logout')
    .description('forget the login to a server, in all running gateways that share the state, and revoke it')
    .argument('<server>', 'name in "mcpServers"')
    .option(`${CLIENT_OPTION} <name>`, CLIENT_HELP)
    .option('--json', 'print JSON')
    .addHelpText('after', example('logout mail'))
    .action(async (server: string, _options: unknown, command: Command) => {
      const { runLogout } = await import('./logout.ts')
      await runLogout(server, command.optsWithGlobals<LogoutOptions>())
    })

  const credentials = program
    .command('credentials')
    .description('list, revoke, export and import the logins to servers')

  credentials
    .command('list')
    .description('show the logins there are, without their tokens')
    .option('--server <name>', 'only those to this server')
    .option('--json', 'print JSON')
    .addHelpText('after', example('credentials list'))
    .action(async (_options: unknown, command: Command) => {
      const { listCredentials } = await import('./credentials.ts')
      await listCredentials(command.optsWithGlobals<JsonOptions & { readonly server?: string }>())
    })

  credentials
    .command('revoke')
    .description('forget a login, also one to a server that is not configured any more, and revoke it')
    .argument('<server>', 'as credentials list shows it')
    .argument('[owner]', 'as credentials list shows it', 'gateway')
    .option('--json', 'print JSON')
    .addHelpText('after', example('credentials revoke mail'))
    .action(async (server: string, owner: string, _options: unknown, command: Command) => {
      const { revokeCredential } = await import('./credentials.ts')
      await revokeCredential(server, owner, command.optsWithGlobals<JsonOptions>())
    })

  credentials
    .command('export')
    .description('write logins in clear, for another place such as a container')
    .option('--file <path>', 'to a new file that only this user can read')
    .option('--stdout', 'to a pipe')
    .option('--server <name>', 'only those to this server')
    .addHelpText('after', example('credentials export --file logins.json'))
    .action(async (_options: unknown, command: Command) => {
      const { exportCredentials } = await import('./credentials-transfer.ts')
      await exportCredentials(command.optsWithGlobals<ExportOptions>())
    })

  credentials
    .command('import')
    .description('seal exported logins in the state of this place')
    .argument('<file>', 'what export has written; - for the standard input')
    .option('--replace', 'also in place of logins that are there already')
    .option('--json', 'print JSON')
    .addHelpText('after', example('credentials import logins.json'))
    .action(async (file: string, _options: unknown, command: Command) => {
      const { importCredentials } = await import('./credentials-transfer.ts')
      await importCredentials(file, command.optsWithGlobals<ImportOptions>())
    })

  credentials
    .command('rotate')
    .description('seal all logins with the first key of "gateway.vault.keys"')
    .option('--json', 'print JSON')
    .addHelpText('after', example('credentials rotate'))
    .action(async (_options: unknown, command: Command) => {
      const { rotateCredentials } = await import('./credentials-transfer.ts')
      await rotateCredentials(command.optsWithGlobals<JsonOptions>())
    })
}
