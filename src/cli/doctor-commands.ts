import { example } from './example.ts'
import type { Command } from 'commander'
import type { CommonOptions } from './common-options.ts'
import type { DoctorOptions } from './doctor.ts'

/** Declares what says what is wrong: `doctor`, and `help` for commands and codes of errors. */
export function declareDoctorCommands(program: Command): void {
  program
    .command('doctor')
    .description(
      'look for what is wrong, layer by layer, and say how to mend it. Exit code 0: no error, else that of the first layer with one',
    )
    .argument('[servers...]', 'names in "mcpServers"; without one, all')
    .option('--fix', 'do what is safe: modes of folders, sockets that were left behind, former names of keys')
    .option('--online', 'also ask the npm registry for a newer version')
    .option('--json', 'print JSON')
    .addHelpText('after', example('doctor search --json'))
    .action(async (servers: readonly string[], _options: unknown, command: Command) => {
      const { runDoctor } = await import('./doctor.ts')
      await runDoctor(servers, command.optsWithGlobals<CommonOptions & DoctorOptions>())
    })

  program.helpCommand(false)
  program
    .command('help')
    .description('print the help of a command, or the page of an error code')
    .argument('[topic...]', 'a command, or a code such as upstream_timeout')
    .addHelpText('after', example('help upstream_timeout', 'help keys create'))
    .action(async (topic: readonly string[]) => {
      const { runHelp } = await import('./help.ts')
      await runHelp(topic, program)
    })
}
