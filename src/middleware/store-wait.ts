import type { CallTrace } from '../core/call-trace.ts'

/** Resolves with an answer of the state store, and notes how long the request has waited for it. */
export async function storeWait<T>(answer: Promise<T>, trace: CallTrace): Promise<T> {
  const since = performance.now()
  try {
    return await answer
  } finally {
    trace.waitedForStore(performance.now() - since)
  }
}
