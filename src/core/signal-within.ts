/**
 * A signal that ends with another one, or when `ms` have passed. In `AbortSignal.any([signal, AbortSignal.timeout(ms)])`,
 * Node.js 20 collects the timer as garbage, so that it never ends. The timer does not keep the process alive.
 */
export function signalWithin(signal: AbortSignal, ms: number): AbortSignal {
  const ending = new AbortController()
  const stop = (): void => {
    clearTimeout(late)
    ending.abort(signal.reason)
  }
  const late = setTimeout(() => {
    signal.removeEventListener('abort', stop)
    ending.abort(new DOMException(`There was no answer within ${ms / 1000} s`, 'TimeoutError'))
  }, ms)
  late.unref()
  if (signal.aborted) stop()
  else signal.addEventListener('abort', stop, { once: true })
  return ending.signal
}
