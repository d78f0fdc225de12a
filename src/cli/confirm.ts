import { NotAnswered } from './stopped.ts'
import { askPerson } from './terminal.ts'

/** Asks until the answer is yes or no; without an answer, `otherwise`. @throws NotAnswered */
export async function confirm(question: string, otherwise = true, signal?: AbortSignal): Promise<boolean> {
  for (;;) {
    const answer = (await askPerson(`${question} [${otherwise ? 'Y/n' : 'y/N'}] `, { signal })).toLowerCase()
    if (answer === '') return otherwise
    if (answer === 'y' || answer === 'yes') return true
    if (answer === 'n' || answer === 'no') return false
  }
}

/** As `confirm`; `undefined`, and exit code 130, after Ctrl+C or Ctrl+D. */
export async function confirmOrStop(question: string): Promise<boolean | undefined> {
  try {
    return await confirm(question)
  } catch (error) {
    if (!(error instanceof NotAnswered)) throw error
    process.exitCode = 130
    return undefined
  }
}
