/** A shorter wait is not worth a word. */
const QUIET_MS = 1000

/** What is said at the terminal at the moment, and goes when anything else is said. */
let isShown = false

/** Says on the standard error what is waited for, if that takes longer than a second. */
export async function whileWaiting<T>(what: string, work: Promise<T>): Promise<T> {
  const isTerminal = process.stderr.isTTY
  const timer = setTimeout(() => {
    isShown = isTerminal
    process.stderr.write(isTerminal ? `${what} …` : `${what} …\n`)
  }, QUIET_MS)
  try {
    return await work
  } finally {
    clearTimeout(timer)
    endWaitingLine()
  }
}

/** Makes room at the terminal for something else than the wait. */
export function endWaitingLine(): void {
  if (isShown) process.stderr.write('\r\u001b[K')
  isShown = false
}
