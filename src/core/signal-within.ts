/**
 * A signal that ends with another one, or when `ms` have passed. The timer does not keep the process alive. In place of
 * `AbortSignal.any([signal, AbortSignal.timeout(ms)])`, whose timer Node.js 20 collects as garbage: it never ends.
 */
export function signalWithin(signal: AbortSignal, ms: number): AbortSignal {
  // The timer holds it. A listener at `signal`, which may live long, would stay there until the time is over.
  const late = new AbortController()
  const end = (): void =>
    late.abort(new DOMException(`There was no answer within ${ms / 1000} s`, 'TimeoutError'))
  setTimeout(end, ms).unref()
  return AbortSignal.any([signal, late.signal])
}
