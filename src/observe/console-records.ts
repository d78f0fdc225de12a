import { format } from 'node:util'
import type { Logger } from '../core/logger.ts'
import { redact } from './redact.ts'

/** Interval at which a repeated text is logged, with its count. */
const EVERY_MS = 60_000
/** Texts that are distinguished; all further ones count as one. */
const MAX_TEXTS = 50
const MAX_CHARS = 300
const METHODS = ['error', 'warn', 'log', 'info', 'debug', 'trace'] as const

/**
 * Redirects console output of libraries to the log: the first line of a text, immediately when it is new, then once a
 * minute with a count. A native store writes a raw line for each failed commit.
 * @returns a function that ends the redirection
 */
export function logConsole(logger: Logger): () => void {
  const repeats = new Map<string, { count: number; timer: NodeJS.Timeout }>()
  const write = (...parts: unknown[]): void => {
    const [first = ''] = format(...parts).split('\n', 1)
    const text = redact(first.slice(0, MAX_CHARS))
    const key = repeats.has(text) || repeats.size < MAX_TEXTS ? text : ''
    const repeat = repeats.get(key)
    if (repeat) {
      repeat.count++
      return
    }
    say(text)
    repeats.set(key, { count: 0, timer: later(key) })
  }
  const say = (text: string, times?: number): void =>
    logger.warn(`A library reports: ${text || 'several other problems'}`, { times })
  const later = (key: string): NodeJS.Timeout =>
    setTimeout(() => {
      const count = repeats.get(key)?.count ?? 0
      repeats.delete(key)
      if (count === 0) return
      say(key, count)
      repeats.set(key, { count: 0, timer: later(key) })
    }, EVERY_MS).unref()

  const before = METHODS.map(method => [method, console[method]] as const)
  for (const method of METHODS) console[method] = write
  return () => {
    for (const { timer } of repeats.values()) clearTimeout(timer)
    for (const [method, original] of before) console[method] = original
  }
}
