import { createInterface } from 'node:readline/promises'

/** Whether a person is there to answer. */
export function isInteractive(): boolean {
  return process.stdin.isTTY && process.stdout.isTTY
}

/** A question that is answered with yes or no. Ctrl+C ends the program. */
export async function ask(question: string, isYes: boolean): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stdout })
  lines.once('SIGINT', () => {
    lines.close()
    process.stdout.write('\nNothing was changed.\n')
    process.exit(130)
  })
  try {
    const answer = (await lines.question(`${question} ${isYes ? '[Y/n]' : '[y/N]'} `)).trim().toLowerCase()
    return answer === '' ? isYes : /^y(?:es)?$/.test(answer)
  } finally {
    lines.close()
  }
}

/** Says whether Ctrl+C was pressed. What is being written is finished first. */
export function stoppedByUser(): { isStopped(): boolean; done(): void } {
  let isStopped = false
  const stop = (): void => {
    isStopped = true
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  return {
    isStopped: () => isStopped,
    done: () => {
      process.off('SIGINT', stop).off('SIGTERM', stop)
      if (isStopped) process.exitCode = 130
    },
  }
}
