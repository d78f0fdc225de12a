/**
 * Matches URIs against a template (RFC 6570), with the results of the official SDK: a variable matches one or more
 * characters except `/` and `,`, a reserved one (`{+a}`, `{#a}`) any characters of one line, a query variable any
 * characters except `&`. A template is a sequence of parts. For each part, one pass over the URI computes where it may
 * end, given where it may begin. There is no backtracking, so the time is the number of parts times the length of the
 * URI.
 */
export class UriTemplate {
  /** The parts between the literal texts at both ends. */
  readonly #middle: readonly Part[]
  /** The literal text before the first expression. */
  readonly head: string
  readonly #tail: string
  readonly #least: number

  private constructor(parts: readonly Part[]) {
    const head = parts[0]?.literal
    const tail = parts.length > 1 ? parts.at(-1)?.literal : undefined
    this.head = head ?? ''
    this.#tail = tail ?? ''
    this.#middle = parts.slice(head === undefined ? 0 : 1, tail === undefined ? undefined : -1)
    this.#least = parts.reduce((sum, { literal }) => sum + (literal?.length ?? 1), 0)
  }

  /** `undefined` for an invalid template, or one that exceeds the maximum length or number of variables. */
  static parse(text: string): UriTemplate | undefined {
    const template = UriTemplate.#parse(text)
    return typeof template === 'string' ? undefined : template
  }

  /** The exceeded bound of a template, in a sentence; `undefined` when it exceeds none. */
  static excess(text: string): string | undefined {
    const template = UriTemplate.#parse(text)
    return typeof template === 'string' ? template : undefined
  }

  /** A template, nothing for an invalid text, or the exceeded bound. */
  static #parse(text: string): UriTemplate | string | undefined {
    if (text.length > MAX_TEMPLATE_CHARS)
      return `it has ${text.length} characters; at most ${MAX_TEMPLATE_CHARS} are taken of a template`
    const parts: Part[] = []
    for (let at = 0; at < text.length;) {
      const open = text.indexOf('{', at)
      addLiteral(parts, text.slice(at, open < 0 ? text.length : open))
      if (open < 0) break
      const close = text.indexOf('}', open)
      if (close < 0) return undefined
      addExpression(parts, text.slice(open + 1, close))
      at = close + 1
    }
    const variables = parts.reduce((sum, { literal }) => (literal === undefined ? sum + 1 : sum), 0)
    return variables > MAX_VARIABLES
      ? `it has ${variables} variables; at most ${MAX_VARIABLES} are taken of a template`
      : new UriTemplate(parts)
  }

  /** Whether the template matches a URI; `undefined` when the steps do not suffice. */
  matches(uri: string, steps: StepsLeft): boolean | undefined {
    // Cost of comparing the literal beginning in full.
    steps.left -= 1 + (this.head.length >> 4)
    if (steps.left < 0) return undefined
    return uri.startsWith(this.head) && this.matchesRest(uri, steps)
  }

  /**
   * The same for a URI that begins as the template does. Comparing the end takes steps by its length. Each part takes a
   * step per character between the ends, and a fixed number.
   */
  matchesRest(uri: string, steps: StepsLeft): boolean | undefined {
    steps.left -= STEPS_OF_A_TEMPLATE + (this.#tail.length >> 2)
    if (steps.left < 0) return undefined
    if (uri.length < this.#least || !uri.endsWith(this.#tail)) return false
    const text = uri.slice(this.head.length, uri.length - this.#tail.length)
    // Where the current part may begin; afterwards, where it may end.
    let begins: Uint8Array | undefined
    let ends: Uint8Array | undefined
    for (const part of this.#middle) {
      if (text.length + STEPS_OF_A_PART > steps.left) return undefined
      steps.left -= text.length + STEPS_OF_A_PART
      if (!begins || !ends) {
        begins = new Uint8Array(text.length + 1)
        ends = new Uint8Array(text.length + 1)
        begins[0] = 1
      } else ends.fill(0)
      if (!part.advance(text, begins, ends)) return false
      ;[begins, ends] = [ends, begins]
    }
    return begins ? begins[text.length] === 1 : text === ''
  }
}

/** A budget of steps that matching consumes. */
export interface StepsLeft {
  left: number
}

const MAX_TEMPLATE_CHARS = 8192
const MAX_VARIABLES = 32

/** Fixed cost of a template in steps of about ten nanoseconds. */
const STEPS_OF_A_TEMPLATE = 8
const STEPS_OF_A_PART = 16

const OPERATORS = '+#./?&'
const SLASH = 47
const COMMA = 44
const AMPERSAND = 38

interface Part {
  readonly literal?: string
  /**
   * Marks in `ends` where the part may end, given where it may begin.
   * @returns whether it can end anywhere
   */
  advance(uri: string, begins: Uint8Array, ends: Uint8Array): boolean
}

/** Literal characters. Occurrences are found with the Knuth–Morris–Pratt algorithm, in linear time. */
class Literal implements Part {
  readonly literal: string
  /** For each length of a prefix, the length of its longest proper prefix that is also a suffix. */
  readonly #falls: Uint16Array

  constructor(literal: string) {
    this.literal = literal
    this.#falls = new Uint16Array(literal.length + 1)
    for (let at = 1, length = 0; at < literal.length; at++) {
      while (length > 0 && literal[at] !== literal[length]) length = this.#falls[length] as number
      if (literal[at] === literal[length]) length++
      this.#falls[at + 1] = length
    }
  }

  advance(uri: string, begins: Uint8Array, ends: Uint8Array): boolean {
    const { literal } = this
    let any = false
    for (let at = 0, length = 0; at < uri.length; at++) {
      while (length > 0 && (length === literal.length || uri[at] !== literal[length]))
        length = this.#falls[length] as number
      if (uri[at] === literal[length]) length++
      if (length === literal.length && begins[at + 1 - length] === 1) {
        ends[at + 1] = 1
        any = true
      }
    }
    return any
  }
}

/** One or more characters of a class. */
class Some implements Part {
  readonly #excludes: (code: number) => boolean

  constructor(excludes: (code: number) => boolean) {
    this.#excludes = excludes
  }

  advance(uri: string, begins: Uint8Array, ends: Uint8Array): boolean {
    let any = false
    let inside = false
    for (let at = 0; at < uri.length; at++) {
      inside = (inside || begins[at] === 1) && !this.#excludes(uri.charCodeAt(at))
      if (!inside) continue
      ends[at + 1] = 1
      any = true
    }
    return any
  }
}

/** Values separated by commas. */
class Several implements Part {
  advance(uri: string, begins: Uint8Array, ends: Uint8Array): boolean {
    let any = false
    let inside = false
    let afterComma = false
    for (let at = 0; at < uri.length; at++) {
      const code = uri.charCodeAt(at)
      const begun: boolean = inside || afterComma || begins[at] === 1
      afterComma = inside && code === COMMA
      inside = begun && !isBetweenValues(code)
      if (!inside) continue
      ends[at + 1] = 1
      any = true
    }
    return any
  }
}

function isBetweenValues(code: number): boolean {
  return code === SLASH || code === COMMA
}

function endsLine(code: number): boolean {
  return code === 10 || code === 13 || code === 0x2028 || code === 0x2029
}

const VALUE = new Some(isBetweenValues)
const RESERVED = new Some(endsLine)
const QUERY_VALUE = new Some(code => code === AMPERSAND)
const VALUES = new Several()

/** Merges adjacent literals. */
function addLiteral(parts: Part[], text: string): void {
  if (text === '') return
  const before = parts.at(-1)?.literal
  if (before !== undefined) parts.pop()
  parts.push(new Literal((before ?? '') + text))
}

function addExpression(parts: Part[], expression: string): void {
  const operator = OPERATORS.includes(expression.charAt(0)) ? expression.charAt(0) : ''
  if (operator === '?' || operator === '&') {
    const names = expression
      .slice(1)
      .split(',')
      .map(name => name.replace('*', '').trim())
      .filter(name => name !== '')
    names.forEach((name, index) => {
      addLiteral(parts, `${index === 0 ? operator : '&'}${name}=`)
      parts.push(QUERY_VALUE)
    })
    return
  }
  if (operator === '+' || operator === '#') {
    parts.push(RESERVED)
    return
  }
  addLiteral(parts, operator)
  parts.push(expression.includes('*') && operator !== '.' ? VALUES : VALUE)
}
