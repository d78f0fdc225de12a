import type { LogFields, LogLevel } from '../core/logger.ts'
import { UNSEEN } from '../core/seen-text.ts'
import { isSecretName, redact } from './redact.ts'

/** A log record before redaction. */
export interface LogRecord {
  readonly time: Date
  readonly level: LogLevel
  readonly message: string
  readonly fields: LogFields
}

/** `text`: for people. `json`: one object per line, with `time`, `level`, `message` and the fields. */
export type LogFormat = 'text' | 'json'

/** Longer messages and values are cut, because a log must not hold payloads. */
const MAX_CHARS = 8192

/**
 * Renders one redacted line without its line break. The line contains no line break and no control character, whatever
 * the record holds.
 */
export function renderRecord(record: LogRecord, format: LogFormat): string {
  return format === 'json' ? renderJson(record) : renderText(record)
}

/** Prepares a record for another program: cut and redacted. */
export function cleanRecord(message: string, fields: LogFields): { message: string; fields: LogFields } {
  const cleaned: Record<string, string | number | boolean> = {}
  for (const [name, value] of Object.entries(fields))
    if (value !== undefined) cleaned[name] = cleanField(name, value)
  return { message: clean(message), fields: cleaned }
}

function renderJson({ time, level, message, fields }: LogRecord): string {
  const line: Record<string, unknown> = { time: time.toISOString(), level, message: clean(message) }
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined && !(name in line)) line[name] = cleanField(name, value)
  }
  // JSON escapes only C0 controls; other characters can start terminal sequences or break lines as well.
  return JSON.stringify(line).replace(UNSEEN, char => `\\u${hex(char, 4)}`)
}

function renderText({ time, level, message, fields }: LogRecord): string {
  const clock = `${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())}.${pad(time.getMilliseconds(), 3)}`
  let line = `${clock} ${level.toUpperCase().padEnd(5)} ${escapeControls(clean(message))}`
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue
    const text = escapeControls(String(cleanField(name, value)))
    line += ` ${name}=${/^[^\s"=]+$/.test(text) ? text : `"${text.replaceAll('"', '\\"')}"`}`
  }
  return line
}

function cleanField(name: string, value: string | number | boolean): string | number | boolean {
  if (typeof value !== 'string') return value
  return isSecretName(name) ? '***' : clean(value)
}

function clean(text: string): string {
  const cut = text.length > MAX_CHARS ? `${text.slice(0, MAX_CHARS)}… (${text.length} characters)` : text
  // Colours that servers print to stderr.
  // oxlint-disable-next-line no-control-regex
  return redact(cut.replace(/\x1b\[[\d;]*m/g, ''))
}

const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function escapeControls(text: string): string {
  return text.replace(UNSEEN, char => {
    return NAMED[char] ?? (char > '\xff' ? `\\u${hex(char, 4)}` : `\\x${hex(char, 2)}`)
  })
}

function hex(char: string, digits: number): string {
  return char.charCodeAt(0).toString(16).padStart(digits, '0')
}

function pad(number: number, digits = 2): string {
  return String(number).padStart(digits, '0')
}
