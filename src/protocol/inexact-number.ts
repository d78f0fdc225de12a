import { skipValue } from './json-text.ts'

const QUOTE = 34
const MINUS = 45
const ZERO = 48
const NINE = 57

/** Numbers with at most this many digits are parsed exactly. */
const EXACT_DIGITS = 15
/** Matches every number that may lose precision when parsed, and some others. */
const LONG_NUMBER = /[\d.]{16}|\d[eE]/

/**
 * The first number in `[start, end)` that loses precision when parsed to a double, as written; `undefined` when there
 * is none.
 */
export function inexactNumber(text: string, start: number, end: number): string | undefined {
  if (!LONG_NUMBER.test(text.slice(start, end))) return undefined
  for (let at = start; at < end;) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) at = skipValue(text, at)
    else if (code === MINUS || (code >= ZERO && code <= NINE)) {
      const from = at
      at = skipValue(text, at)
      const number = text.slice(from, at)
      if (!isExact(number)) return number
    } else at++
  }
  return undefined
}

function isExact(number: string): boolean {
  const digits = digitsOf(number)
  const value = Number(number)
  if (!Number.isFinite(value) || (value === 0 && digits !== '')) return false
  return digits.length <= EXACT_DIGITS || digits === digitsOf(String(value))
}

/** The significant digits of a number, without sign, point, exponent, leading and trailing zeros. */
function digitsOf(number: string): string {
  const mantissa = number.replace(/[eE].*$/, '').replace(/[-.]/g, '')
  let from = 0
  let to = mantissa.length
  while (mantissa.charCodeAt(from) === ZERO) from++
  while (to > from && mantissa.charCodeAt(to - 1) === ZERO) to--
  return mantissa.slice(from, to)
}
