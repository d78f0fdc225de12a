/**
 * A signal that ends with another one, or when `ms` have passed. The timer does not keep the process alive. In place of
 * `AbortSignal.any([signal, AbortSignal.timeout(ms)])`, whose timer Node.js 20 collects as garbage: it never ends.
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
