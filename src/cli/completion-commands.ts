import { Argument, type Command } from 'commander'
import { example } from './example.ts'
import type { CompletionOptions } from './complete-words.ts'

const SHELLS = ['bash', 'zsh', 'fish', 'powershell'] as const

/** Declares the completion of shells, and the command that it asks. */
export function declareCompletionCommands(program: Command): void {
  program
    .command('completion')
    .description('print the completion of a shell: commands, options, and the names of servers and tools')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .addHelpText(
      'after',
      example(
        'completion bash > ~/.local/share/bash-completion/completions/mcp-manifold',
        'completion zsh > ~/.zfunc/_mcp-manifold',
        'completion fish > ~/.config/fish/completions/mcp-manifold.fish',
        'completion powershell | Out-String | Invoke-Expression',
      ),
    )
    .action(async (shell: (typeof SHELLS)[number]) => {
      const { runCompletion } = await import('./completion.ts')
      runCompletion(shell)
    })

  program
    .command('complete-words', { hidden: true })
    .description('print what may stand in place of the last word, one a line; for the completion of shells')
    .argument('[words...]', 'the words after the program; the last one is completed')
    .option('--next', 'the word to complete is a new one, after these')
    .action(async (words: string[], options: CompletionOptions) => {
      const { runCompleteWords } = await import('./complete-words.ts')
      await runCompleteWords(program, words, options)
    })
}
