import { answerElicitation } from './elicitation.ts'
import { oneLine } from './terminal.ts'
import { endWaitingLine } from './waiting.ts'
import type { Hearing } from './local-client.ts'

/** What comes beside an answer: progress and log go to the standard error, questions are asked at the terminal. */
export const AT_TERMINAL: Hearing = {
  progress: ({ progress, total, message }) => {
    const far = total === undefined ? String(progress) : `${String(progress)}/${String(total)}`
    endWaitingLine()
    process.stderr.write(`${oneLine(message === undefined ? far : `${far} ${String(message)}`)}\n`)
  },
  log: ({ level, data }) => {
    const text = typeof data === 'string' ? data : JSON.stringify(data)
    endWaitingLine()
    process.stderr.write(`${oneLine(`${String(level)}: ${text}`)}\n`)
  },
  elicit: answerElicitation,
}

/** How a command hears that only lists. */
export const QUIETLY: Hearing = { progress: () => {}, log: () => {}, elicit: answerElicitation }
