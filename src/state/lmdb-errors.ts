/** The reason of a failed commit is in a promise of its own, rejected a moment later. */
export async function writeError(name: string, error: unknown): Promise<Error> {
  let cause = error
  const reason = (error as { commitError?: unknown }).commitError
  if (reason instanceof Promise) {
    const soon = new Promise(resolve => setTimeout(resolve, 100, error).unref())
    cause = await Promise.race([reason.catch((found: unknown) => found), soon])
  }
  return new Error(`The state store ${name} could not write. Fix: look for a full or read-only disk.`, {
    cause,
  })
}
