/**
 * Whether a URI is one that a template (RFC 6570) stands for, with the verdicts of the official SDK: a variable is one or more characters
 * without `/` and `,`, a reserved one (`{+a}`, `{#a}`) any characters of one line, one of a query any without `&`. A template is a sequence of parts; for
 * each part one pass over the URI finds where it may end, given where it may begin. Nothing is tried again, so the time is that of the parts times that
 * of the URI.
 */
export class UriTemplate {
  /** Those between the literal texts at the ends. */
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

  /** `undefined` for a text that is no template, or one that is longer or has more variables than is allowed. */
  static parse(text: string): UriTemplate | undefined {
    const template = UriTemplate.#parse(text)
    return typeof template === 'string' ? undefined : template
  }

  /** The bound that a template exceeds, in a sentence; `undefined` where it exceeds none. */
  static excess(text: string): string | undefined {
    const template = UriTemplate.#parse(text)
    return typeof template === 'string' ? template : undefined
  }

  /** A template, nothing for a text that is none, or the bound that it exceeds. */
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

  /** Whether a URI is one that the template stands for; `undefined` where the steps do not suffice to say. */
  matches(uri: string, steps: StepsLeft): boolean | undefined {
    // The literal begin is compared in full at most.
    steps.left -= 1 + (this.head.length >> 4)
    if (steps.left < 0) return undefined
    return uri.startsWith(this.head) && this.matchesRest(uri, steps)
  }

  /**
   * The same for a URI that begins as the template does. The look at its end takes steps by the length of that end. Each
   * part takes as many as the URI has characters between the ends, and some for its beginning.
   */
  matchesRest(uri: string, steps: StepsLeft): boolean | undefined {
    steps.left -= STEPS_OF_A_TEMPLATE + (this.#tail.length >> 2)
    if (steps.left < 0) return undefined
    if (uri.length < this.#least || !uri.endsWith(this.#tail)) return false
    const text = uri.slice(this.head.length, uri.length - this.#tail.length)
    // Where the part at hand may begin; afterwards, where it may end.
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

/** A budget that matching uses up. */
export interface StepsLeft {
  left: number
}

const MAX_TEMPLATE_CHARS = 8192
const MAX_VARIABLES = 32

/** What it takes to begin, in steps: those are about ten nanoseconds each. */
const STEPS_OF_A_TEMPLATE = 8
const STEPS_OF_A_PART = 16

const OPERATORS = '+#./?&'
const SLASH = 47
const COMMA = 44
const AMPERSAND = 38

interface Part {
  readonly literal?: string
  /** Marks in `ends` where the part may end, by where it may begin. @returns whether it may anywhere */
  advance(uri: string, begins: Uint8Array, ends: Uint8Array): boolean
}

/** Characters as they are. Occurrences are found by Knuth, Morris and Pratt, whatever repeats in them. */
class Literal implements Part {
  readonly literal: string
  /** For each length of a beginning, that of the longest shorter beginning with which it ends. */
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

/** One or more characters of a kind. */
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

/** Values with commas between them. */
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

/** Literals that follow each other are one. */
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
