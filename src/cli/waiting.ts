/** A shorter wait is not worth a word. */
const QUIET_MS = 1000

/** Says on the standard error what is waited for, if that takes longer than a second. */
export async function whileWaiting<T>(what: string, work: Promise<T>): Promise<T> {
  const isTerminal = process.stderr.isTTY
  let isSaid = false
  const timer = setTimeout(() => {
    isSaid = true
    process.stderr.write(isTerminal ? `${what} …` : `${what} …\n`)
  }, QUIET_MS)
  try {
    return await work
  } finally {
    clearTimeout(timer)
    if (isSaid && isTerminal) process.stderr.write('\r\u001b[K')
  }
}
