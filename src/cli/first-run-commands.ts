import { Option } from 'commander'
import { example } from './example.ts'
import type { Command } from 'commander'
import type { InitOptions } from './init.ts'
import type { InstallOptions } from './install.ts'
import type { UndoOptions } from './undo.ts'

/** Declares the commands of client files: the first run, its undoing, and the entry of the gateway. */
export function declareFirstRunCommands(program: Command): void {
  program
    .command('init')
    .description('find the servers of your applications, and put the gateway in their place')
    .option('--dry-run', 'only print what would be done')
    .option('-y, --yes', 'do it without asking')
    .option('--only <application...>', 'look at these applications only, such as cursor')
    .option('--project', 'also take the servers of the project in this folder')
    .option('--keep', 'only write the configuration, and change no file of an application')
    .option('--name <name>', 'name of the entry of the gateway', 'gw')
    .addOption(
      new Option('--secrets <place>', 'where secrets go that stand in entries')
        .choices(['config', 'keyring'])
        .default('config'),
    )
    .option('--json', 'print the plan as JSON, or with --apply what was done')
    .option('--apply <plan>', 'do what a plan says that --json has printed')
    .addHelpText('after', example('init --dry-run --only claude-desktop cursor'))
    .action(async (_options: unknown, command: Command) => {
      const { runInit } = await import('./init.ts')
      await runInit(command.optsWithGlobals<InitOptions>())
    })

  program
    .command('undo')
    .description('give the files that init, install or uninstall changed last their content back')
    .option('-y, --yes', 'do it without asking')
    .option('--list', 'print what can be undone')
    .option('--forget', 'change no file, and forget what was changed last')
    .option('--json', 'print JSON; without --yes, what would be done')
    .addHelpText('after', example('undo --yes'))
    .action(async (_options: unknown, command: Command) => {
      const { runUndo } = await import('./undo.ts')
      await runUndo(command.optsWithGlobals<UndoOptions>())
    })

  for (const name of ['install', 'uninstall'] as const) {
    const isInstall = name === 'install'
    const declared = program
      .command(name)
      .description(
        isInstall
          ? 'add the entry of the gateway to the file of an application'
          : 'remove the entry of the gateway from the files of an application',
      )
      .argument('[application]', 'such as claude-desktop; without it, those that are known are printed')
      .addOption(
        new Option(
          '--scope <scope>',
          isInstall ? 'file of the user or of the project' : 'only this file',
        ).choices(['user', 'project']),
      )
    if (isInstall)
      declared
        .option('--http', 'name the URL of a gateway that runs (serve), rather than start one')
        .option('--key <key>', 'with --http: key of the application, or its own reference to one')
        .option('--name <name>', 'name of the entry', 'gw')
        .option('--print', 'only print what to paste')
    declared
      .option('--json', 'print JSON')
      .addHelpText('after', example(`${name} cursor --scope project`))
      .action(async (application: string | undefined, _options: unknown, command: Command) => {
        const { runInstall, runUninstall } = await import('./install.ts')
        const run = isInstall ? runInstall : runUninstall
        await run(application, command.optsWithGlobals<InstallOptions>())
      })
  }
}
