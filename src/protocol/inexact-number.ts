import { skipValue } from './json-text.ts'

const QUOTE = 34
const MINUS = 45
const ZERO = 48
const NINE = 57

/** Up to so many digits a number is read as it is written. */
const EXACT_DIGITS = 15
/** Only such numbers may lose something when they are parsed. */
const LONG_NUMBER = /[\d.]{16}|\d[eE]/

/** The first number in `[start, end)` of which parsing to a double loses something, as it is written; `undefined` when there is none. */
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

/** The digits of a number without zeros at either end, sign, point and exponent. */
function digitsOf(number: string): string {
  const mantissa = number.replace(/[eE].*$/, '').replace(/[-.]/g, '')
  let from = 0
  let to = mantissa.length
  while (mantissa.charCodeAt(from) === ZERO) from++
  while (to > from && mantissa.charCodeAt(to - 1) === ZERO) to--
  return mantissa.slice(from, to)
}
