import { printParseErrorCode } from 'jsonc-parser'
import type { ParseError } from 'jsonc-parser'
import { wrongBracket } from './brackets.ts'
import { Positions } from './positions.ts'
import type { Problem } from '../problem.ts'

/** An error at an offset of a text, and its fix. */
interface Mistake {
  readonly offset: number
  readonly cause: string
  readonly fix: string
}

/** Literals of other languages. */
const WORDS: Readonly<Record<string, string>> = {
  True: 'true',
  TRUE: 'true',
  False: 'false',
  FALSE: 'false',
  None: 'null',
  nil: 'null',
  undefined: 'null',
}

const SIGNS: Readonly<Record<string, string>> = {
  '=': 'A colon stands between a key and its value.',
  ';': 'A comma stands between two values.',
  '#': 'A comment begins with //.',
}

const SINGLE_QUOTE = "'"
const TYPOGRAPHIC_QUOTES = '“”„‟‘’‚«»`´'

/**
 * The first error of a text that is not JSON, `undefined` when there is none. It shows keys, but no values.
 * @param errors the errors of the parser
 */
export function syntaxProblem(text: string, errors: readonly ParseError[]): Problem | undefined {
  const [first] = [...errors].sort((a, b) => a.offset - b.offset)
  if (first === undefined) return undefined
  const about = 'hidden value'
  // In a text with an unterminated string, brackets may be part of that string.
  const hasOpenText = errors.some(error => nameOf(error) === 'UnexpectedEndOfString')
  const bracket = hasOpenText || isWrongWord(first) ? undefined : wrongBracket(text)
  if (bracket !== undefined) return { path: [], about, ...bracket }
  const { offset, cause, fix } = mistakeAt(text, first)
  const { line, column } = new Positions(text).at(offset)
  return { path: [], about, cause: `is not JSON at line ${line}, column ${column}: ${cause}`, fix }
}

/** Whether the error is a wrong word, which no bracket can have caused. */
function isWrongWord(error: ParseError): boolean {
  return ['InvalidSymbol', 'InvalidEscapeCharacter'].includes(nameOf(error))
}

function nameOf({ error }: ParseError): string {
  return printParseErrorCode(error)
}

function mistakeAt(text: string, error: ParseError): Mistake {
  const { offset, length } = error
  const name = nameOf(error)
  const token = text.slice(offset, offset + length)
  switch (name) {
    case 'InvalidSymbol':
      if (isWhole(text.slice(0, offset)))
        return { offset, cause: 'more after its end', fix: fixOfRest(token) }
      return wrongSymbol(text, offset, token)
    case 'InvalidEscapeCharacter':
    case 'InvalidUnicode':
      return {
        offset: offset + wrongEscape(token),
        cause: 'a backslash that begins no escape',
        fix: String.raw`Write each backslash of a path twice, as in "C:\\Users".`,
      }
    case 'UnexpectedEndOfString': {
      const fix = String.raw`Add the double quote that is missing, or write \n for a line break.`
      return { offset, cause: 'a text does not end in its line', fix }
    }
    case 'InvalidCharacter': {
      const fix = String.raw`Write it as an escape, such as \t for a tab.`
      return { offset, cause: 'a text holds a control character', fix }
    }
    case 'UnexpectedEndOfComment':
      return { offset, cause: 'a comment does not end', fix: 'Add the missing "*/".' }
    case 'CommaExpected':
      return { offset, cause: 'a comma is missing', fix: 'Write one before it.' }
    case 'ColonExpected': {
      const fix = 'Write one between the key and its value.'
      return { offset, cause: 'a colon is missing', fix }
    }
    case 'EndOfFileExpected':
      return { offset, cause: 'more after its end', fix: fixOfRest(token) }
    case 'PropertyNameExpected':
    case 'ValueExpected':
      if (token === ',') return { offset, cause: 'there is a comma too much', fix: 'Remove it.' }
      return name === 'ValueExpected'
        ? { offset, cause: 'a value is missing', fix: 'Write it there.' }
        : { offset, cause: 'a key is missing', fix: 'A key is a text in double quotes.' }
    default:
      return { offset, cause: 'it is not complete', fix: 'Add what is missing.' }
  }
}

function isWhole(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function fixOfRest(token: string): string {
  if (token === ':') return 'Put a "{" before all and a "}" after it.'
  return token === '{' ? 'A file is one object: join the two.' : 'Remove it.'
}

function wrongSymbol(text: string, offset: number, token: string): Mistake {
  const sign = token.charAt(0)
  const isKey = /^\s*:/.test(text.slice(offset + token.length, offset + token.length + 1000))
  const name = token.replace(/^\P{L}+|(?<![^\p{L}\p{N}])[^\p{L}\p{N}]+$/gu, '')
  if (sign === SINGLE_QUOTE || TYPOGRAPHIC_QUOTES.includes(sign)) {
    const cause = sign === SINGLE_QUOTE ? 'a single quote' : 'a typographic quote'
    const example = isKey && name !== '' ? `: write ${JSON.stringify(name)}` : ''
    return { offset, cause, fix: `JSON takes double quotes${example}.` }
  }
  if (Object.hasOwn(SIGNS, sign)) return { offset, cause: `"${sign}"`, fix: SIGNS[sign] ?? '' }
  if (text.charAt(offset - 1) === '"')
    return { offset, cause: 'a text ends before it', fix: 'Add the double quote that is missing.' }
  if (Object.hasOwn(WORDS, token))
    return { offset, cause: 'not as JSON writes it', fix: `Write ${WORDS[token]}.` }
  if (isKey && name !== '')
    return { offset, cause: 'a key without quotes', fix: `Write ${JSON.stringify(name)}.` }
  return { offset, cause: 'a text without quotes', fix: 'Put it in double quotes.' }
}

/** Offset of the first invalid backslash in a string with its quotes. */
function wrongEscape(token: string): number {
  for (const { 0: escape, index } of token.matchAll(/\\(?:["\\/bfnrt]|u[\da-f]{4})?/gi))
    if (escape === '\\') return index
  return 0
}
