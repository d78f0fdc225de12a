import { isJsonObject } from '../../core/json-object.ts'

/** How values are written as YAML. */

/** Texts that every reader takes for a text without quotes. */
const PLAIN = /^[A-Za-z_/][\w./@-]*$/
/** Words that are something else to some readers. */
const WORDS = /^(?:y|n|yes|no|on|off|true|false|null|nan|inf)$/i

/** The lines of an object or a list in block style, each with its line break. */
export function blockLines(value: unknown, indent: string, eol: string): string {
  if (Array.isArray(value))
    return value
      .map(item => {
        if (!isFilled(item)) return `${indent}- ${flow(item)}${eol}`
        // The first line of the item stands beside its dash.
        return `${indent}- ${blockLines(item, `${indent}  `, eol).slice(indent.length + 2)}`
      })
      .join('')
  return Object.entries(value as Readonly<Record<string, unknown>>)
    .map(([key, child]) => {
      const head = `${indent}${textOf(key)}:`
      return isFilled(child)
        ? `${head}${eol}${blockLines(child, `${indent}  `, eol)}`
        : `${head} ${flow(child)}${eol}`
    })
    .join('')
}

/** A value in one line. */
export function flow(value: unknown): string {
  if (typeof value === 'string') return textOf(value)
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`
  if (!isJsonObject(value)) return JSON.stringify(value)
  // Quoted keys, because such a text may as well be JSON.
  const members = Object.entries(value).map(([key, child]) => `${JSON.stringify(key)}: ${jsonOf(child)}`)
  return `{${members.join(', ')}}`
}

function jsonOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(jsonOf).join(', ')}]`
  return isJsonObject(value) ? flow(value) : JSON.stringify(value)
}

function textOf(text: string): string {
  return PLAIN.test(text) && !WORDS.test(text) ? text : JSON.stringify(text)
}

function isFilled(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0
}
