import { CLIENT_OPTION } from './common-options.ts'
import { example } from './example.ts'
import type { Command } from 'commander'
import type { CallOptions } from './call.ts'
import type { CompleteOptions } from './complete.ts'
import type { PromptOptions } from './prompt.ts'
import type { ReadOptions } from './read.ts'
import type { ToolsOptions } from './tools.ts'

const AS_CLIENT = 'the client of the configuration that the command is (default: the local user)'

/** Declares the commands that use what the servers offer. */
export function declareUseCommands(program: Command): void {
  program
    .command('tools')
    .description('list the tools that clients are offered, with what each costs a model')
    .argument('[server]', 'only those of this server, under its own names')
    .option(`${CLIENT_OPTION} <name>`, AS_CLIENT)
    .option('--json', 'print JSON')
    .addHelpText('after', example('tools', 'tools files --json'))
    .action(async (server: string | undefined, _options: unknown, command: Command) => {
      const { runTools } = await import('./tools.ts')
      await runTools(server, command.optsWithGlobals<ToolsOptions>())
    })

  program
    .command('call')
    .description('call a tool. Exit code 1: the result is an error; 130: it was cancelled with Ctrl+C')
    .argument('<tool>', 'server.tool as the server names it, or the name that clients see')
    .argument('[arguments...]', 'key=value, whose type is that of the tool; key:=json; or one JSON object')
    .option('--stdin', 'take the arguments from the standard input, as a JSON object')
    .option(`${CLIENT_OPTION} <name>`, AS_CLIENT)
    .option('--json', 'print the whole result as JSON')
    .addHelpText(
      'after',
      example('call files.read_text_file path=notes.txt head=20', 'call search.query --stdin < query.json'),
    )
    .action(async (tool: string, words: string[], _options: unknown, command: Command) => {
      const { runCall } = await import('./call.ts')
      await runCall(tool, words, command.optsWithGlobals<CallOptions>())
    })

  program
    .command('read')
    .description('print a resource')
    .argument('<uri>', 'its URI, as clients see it')
    .option('--server <name>', 'ask this server, by its own URI')
    .option(`${CLIENT_OPTION} <name>`, AS_CLIENT)
    .option('--json', 'print the whole result as JSON')
    .addHelpText('after', example('read file:///home/ada/notes.txt'))
    .action(async (uri: string, _options: unknown, command: Command) => {
      const { runRead } = await import('./read.ts')
      await runRead(uri, command.optsWithGlobals<ReadOptions>())
    })

  program
    .command('prompt')
    .description('print the messages of a prompt')
    .argument('<prompt>', 'server.prompt as the server names it, or the name that clients see')
    .argument('[arguments...]', 'key=value')
    .option(`${CLIENT_OPTION} <name>`, AS_CLIENT)
    .option('--json', 'print the whole result as JSON')
    .addHelpText('after', example('prompt review.pull-request number=12'))
    .action(async (prompt: string, words: string[], _options: unknown, command: Command) => {
      const { runPrompt } = await import('./prompt.ts')
      await runPrompt(prompt, words, command.optsWithGlobals<PromptOptions>())
    })

  program
    .command('complete')
    .description('print the values that a server proposes for an argument')
    .argument('<ref>', 'a prompt, as for the command prompt, or the URI of a resource template')
    .argument('<argument>', 'name of its argument')
    .argument('[prefix]', 'what the value begins with', '')
    .option(`${CLIENT_OPTION} <name>`, AS_CLIENT)
    .option('--json', 'print the whole result as JSON')
    .addHelpText('after', example('complete review.pull-request repository man'))
    .action(async (ref: string, argument: string, prefix: string, _options: unknown, command: Command) => {
      const { runComplete } = await import('./complete.ts')
      await runComplete(ref, argument, prefix, command.optsWithGlobals<CompleteOptions>())
    })
}
