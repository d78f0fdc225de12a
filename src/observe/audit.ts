import { createHash, hash, randomFillSync } from 'node:crypto'
import { CLOCK } from '../core/clock.ts'
import type { ErrorCode } from '../core/errors.ts'
import type { EventBus } from '../core/event-bus.ts'
import type { AccessRefused, AdminActed, EventOf, EventType, RequestEnded } from '../core/events.ts'
import type { Logger } from '../core/logger.ts'
import { RequestView } from '../core/request-view.ts'
import { TraceView, type RouteFacts } from '../core/trace-view.ts'
import type { Principal } from '../core/principal.ts'
import { rawAt } from '../protocol/json-text.ts'
import { AppendFile } from './append-file.ts'
import { isSecretName, redact } from './redact.ts'
import { traceParentOf } from './trace-parent.ts'

export interface AuditOptions {
  /** Absolute path. */
  readonly file: string
  /** `digest`: the first 16 hex digits of the SHA-256 of the arguments as written. `full`: the redacted arguments. */
  readonly args: 'digest' | 'full'
  readonly maxBytes: number
  readonly maxFiles: number
  readonly logger: Logger
}

/** Errors that are a decision of the gateway to refuse; every other error is a failure. */
const DENIALS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'unknown_method',
  'unknown_name',
  'resource_not_found',
  'denied',
  'rate_limited',
  'quota_exhausted',
  'quota_unavailable',
  'overloaded',
  'unauthenticated',
  'forbidden',
])

/** Methods whose `arguments` come from the client. */
const WITH_ARGUMENTS: ReadonlySet<string> = new Set(['tools/call', 'prompts/get'])
/** Longer arguments are logged as their digest, because a log must not hold payloads. */
const MAX_ARGS_CHARS = 16 * 1024
/** Deeper values are left out. */
const MAX_ARGS_DEPTH = 64
type CredentialEventType = Extract<EventType, `credential.${string}`>
/** Names from clients have no bound of their own. */
const MAX_NAME_CHARS = 500

/**
 * Writes a line of JSON for every client request, with its result. It never contains a secret that is recognizable by
 * its form or its name.
 */
export class Audit {
  readonly #file: AppendFile
  readonly #full: boolean

  constructor({ args, ...options }: AuditOptions) {
    this.#full = args === 'full'
    this.#file = new AppendFile({
      ...options,
      lost: count => `{"time":"${timeText(Date.now())}","event":"lost","dropped":${count}}`,
    })
  }

  /** Writes lines for requests, refusals and credentials from `events`, until the returned function is called. */
  listen(events: Pick<EventBus, 'hear'>): () => void {
    const ends = [
      events.hear('request.ended', event => this.#ended(event)),
      events.hear('access.refused', event => this.#refused(event)),
      events.hear('admin.acted', event => this.#acted(event)),
      events.hear('credential.login_began', event => this.#credential(event, 'login_began')),
      events.hear('credential.login_ended', event =>
        this.#credential(event, 'login_ended', `,"outcome":"${event.outcome}"`),
      ),
      events.hear('credential.renewed', event =>
        this.#credential(event, 'credential_renewed', `,"cause":"${event.cause}"`),
      ),
      events.hear('credential.refused', event =>
        this.#credential(
          event,
          'credential_refused',
          `,"status":${event.status},"code":"${event.error.code}"`,
        ),
      ),
    ]
    return () => ends.forEach(end => end())
  }

  #ended(event: RequestEnded): void {
    let line: string
    try {
      line = auditLine(event, this.#full)
    } catch {
      // A short line is the fallback, so that every request has one.
      line = shortLine(event)
    }
    this.#file.write(line)
  }

  /** A request was rejected before it was authenticated. */
  #refused({ status, reason, address }: AccessRefused): void {
    const code = status === 401 ? 'unauthenticated' : 'forbidden'
    const from = address === undefined ? '' : `,"from":${quoted(address)}`
    this.#file.write(
      `{"time":"${timeText(Date.now())}","event":"deny","code":"${code}","status":${status}${from},"reason":${JSON.stringify(redact(cut(reason)))}}`,
    )
  }

  #acted({ by, from, action, status, detail }: AdminActed): void {
    const address = from === undefined ? '' : `,"from":${quoted(from)}`
    const about = detail === undefined ? '' : `,"detail":${JSON.stringify(redact(cut(detail)))}`
    this.#file.write(
      `{"time":"${timeText(Date.now())}","event":"admin","by":${quoted(by)}${address},"action":${quoted(cut(action))},"status":${status}${about}}`,
    )
  }

  #credential({ time, server, owner }: EventOf<CredentialEventType>, event: string, more = ''): void {
    this.#file.write(
      `{"time":"${timeText(Math.floor(time))}","event":"${event}","server":${quoted(server)},"owner":${quoted(owner)}${more}}`,
    )
  }

  /** Number of lines that could not be written. */
  get lost(): number {
    return this.#file.lost
  }

  /** Writes the remaining lines. */
  async close(): Promise<void> {
    await this.#file.close()
  }
}

/** The line of a request whose full line could not be built. */
function shortLine({ principal, request, error }: RequestEnded): string {
  const event = !error ? 'allow' : DENIALS.has(error.code) ? 'deny' : 'error'
  const code = error ? `,"code":"${error.code}"` : ''
  const method = JSON.stringify(cut(request.method))
  return `{"time":"${timeText(Math.floor(CLOCK.wall()))}","event":"${event}","principal":${quoted(principal.id)},"method":${method}${code},"cut":true}`
}

/** The line, without its line break. */
export function auditLine(ended: RequestEnded, full: boolean): string {
  const { error } = ended
  const trace = TraceView.behind(ended.trace)
  const request = RequestView.behind(ended.request)
  const { params } = request
  const event = !error ? 'allow' : DENIALS.has(error.code) ? 'deny' : 'error'
  const withArguments = WITH_ARGUMENTS.has(request.method)
  const rule = ended.rule
  const common = withArguments && trace.route ? commonOf(ended, rule, trace.route) : whatOf(ended, rule)
  let line = `{"time":"${timeText(ended.time)}","event":"${event}",${common}`
  if (trace.shadowed !== undefined) line += `,"shadowed":${quoted(trace.shadowed)}`
  if (error && typeof error.data?.limit === 'string') line += `,"quota":${quoted(error.data.limit)}`
  if (error) line += `,"code":"${error.code}"`
  else if (ended.result === 'server_error') line += `,"code":${ended.serverCode ?? null}`
  else if (ended.result === 'tool_error') line += ',"isError":true'
  if (trace.cache !== undefined) line += `,"cache":"${trace.cache}"`
  if (trace.fallbackFrom !== undefined) line += `,"fallbackFrom":${quoted(trace.fallbackFrom)}`
  line += `,"waitedMs":${tenths(trace.waitedMs)},"upstreamMs":${tenths(trace.upstreamMs)}`
  line += `,"durationMs":${tenths(ended.durationMs)}`
  line += `,"bytesIn":${ended.bytesIn},"bytesOut":${ended.bytesOut}`
  line += `,"trace":"${traceOf(params?.value._meta)}"`
  if (params && withArguments) {
    const text = rawAt(params.text, 'arguments')
    if (text !== undefined)
      line += `,"args":${full ? redacted(params.value.arguments, text) : `"${digest(text)}"`}`
  }
  if (error?.errorId !== undefined) line += `,"errorId":${JSON.stringify(error.errorId)}`
  return `${line}}`
}

let second = Number.NaN
let prefix = ''

/** ISO 8601 in UTC, with milliseconds. */
function timeText(now: number): string {
  const ms = now % 1000
  if (now - ms !== second) {
    second = now - ms
    prefix = new Date(now).toISOString().slice(0, 20)
  }
  return `${prefix}${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z`
}

/** Texts that need no escapes in JSON. */
const PLAIN = /^[\w .:/@*-]*$/

/** Quoted forms of frequent texts, such as rule locations and replica names. */
const quotedTexts = new Map<string, string>()
const MAX_QUOTED = 5000

function quoted(text: string): string {
  const known = quotedTexts.get(text)
  if (known !== undefined) return known
  const made = PLAIN.test(text) ? `"${text}"` : JSON.stringify(text)
  if (quotedTexts.size >= MAX_QUOTED) quotedTexts.clear()
  quotedTexts.set(text, made)
  return made
}

function cut(text: string): string {
  return text.length > MAX_NAME_CHARS ? `${text.slice(0, MAX_NAME_CHARS)}…` : text
}

/** The fields that most calls of one thing by one caller share. */
interface Common {
  readonly view: string
  readonly modern: boolean
  readonly method: string
  readonly rule: string | undefined
  readonly replica: string | undefined
  readonly text: string
}

/** Cached as one string each. The routes of listed tools and prompts are the same objects from call to call. */
const commons = new WeakMap<Principal, WeakMap<RouteFacts, Common>>()

function commonOf(ended: RequestEnded, rule: string | undefined, route: RouteFacts): string {
  const { principal, view, modern, request } = ended
  const { replica } = TraceView.behind(ended.trace)
  let ofPrincipal = commons.get(principal)
  if (!ofPrincipal) commons.set(principal, (ofPrincipal = new WeakMap()))
  const known = ofPrincipal.get(route)
  if (
    known?.view === view &&
    known.modern === modern &&
    known.method === request.method &&
    known.rule === rule &&
    known.replica === replica
  )
    return known.text
  const text = flat(whatOf(ended, rule))
  ofPrincipal.set(route, { view, modern, method: request.method, rule, replica, text })
  return text
}

/** Caller, method, target and rule of a request. */
function whatOf(ended: RequestEnded, rule: string | undefined): string {
  const { principal, era, endpoint } = ended
  const { id, client, roles } = principal
  const { method, params } = RequestView.behind(ended.request)
  const { route, replica } = TraceView.behind(ended.trace)
  let text = `"principal":${quoted(id)}`
  if (client !== undefined) text += `,"client":${quoted(client)}`
  if (roles.length > 0) text += `,"roles":${JSON.stringify(roles)}`
  text += `,"era":"${era}","endpoint":${quoted(endpoint)},"method":${quoted(cut(method))}`
  if (route) text += WITH_ARGUMENTS.has(method) ? listedPart(route) : locatedPart(route)
  else {
    const asked = params?.value.name ?? params?.value.uri
    if (typeof asked === 'string') text += `,"exposed":${JSON.stringify(redact(cut(asked)))}`
  }
  if (rule !== undefined) text += `,"rule":${quoted(rule)}`
  return replica === undefined ? text : `${text},"replica":${quoted(replica)}`
}

function listedPart({ server, own, exposed }: RouteFacts): string {
  return `,"server":${quoted(server)},"name":${quoted(own)},"exposed":${quoted(exposed)}`
}

/** URIs may come from clients with any content, and task ids carry no information, so neither is cached. */
function locatedPart({ server, own, exposed }: RouteFacts): string {
  const uri = (text: string): string => JSON.stringify(redact(cut(text)))
  return `,"server":${quoted(server)},"name":${uri(own)},"exposed":${uri(exposed)}`
}

/** V8 represents a concatenated string as a tree until it is read; this flattens it. */
function flat(text: string): string {
  return Buffer.from(text).toString()
}

/** Rounded to a tenth, without the cost of printing a fraction exactly. */
function tenths(value: number): string {
  const rounded = Math.max(0, Math.round(value * 10))
  const rest = rounded % 10
  const whole = (rounded - rest) / 10
  return rest === 0 ? `${whole}` : `${whole}.${rest}`
}

const TRACE_CHARS = 32
const randomPool = Buffer.alloc(4096)
/** Unused random hex digits. */
let traces = ''
let tracesAt = 0

/** The trace id of a request (W3C Trace Context), or a new one. */
function traceOf(meta: unknown): string {
  const parent = traceParentOf(meta)
  if (parent) return parent.traceId
  if (tracesAt === traces.length) {
    traces = randomFillSync(randomPool).toString('hex')
    tracesAt = 0
  }
  tracesAt += TRACE_CHARS
  return traces.slice(tracesAt - TRACE_CHARS, tracesAt)
}

/** Node 20.12 and later provide it as one call. */
const sha256: (text: string) => string =
  typeof hash === 'function'
    ? text => hash('sha256', text, 'hex')
    : text => createHash('sha256').update(text).digest('hex')

function digest(text: string): string {
  return sha256(text).slice(0, 16)
}

/** Arguments without secrets recognizable by name or form, and with a note where they are cut. Valid JSON. */
function redacted(value: unknown, text: string): string {
  if (text.length > MAX_ARGS_CHARS) return `"${digest(text)}","argsCut":"size"`
  let isCut = false
  const shown = (at: unknown, depth: number): string => {
    if (typeof at === 'string') return JSON.stringify(redact(at))
    if (typeof at !== 'object' || at === null) return JSON.stringify(at)
    if (depth === MAX_ARGS_DEPTH) {
      isCut = true
      return '"…"'
    }
    if (Array.isArray(at)) return `[${at.map(item => shown(item, depth + 1)).join(',')}]`
    const members = Object.entries(at).map(
      ([key, inner]) => `${JSON.stringify(key)}:${isSecretName(key) ? '"***"' : shown(inner, depth + 1)}`,
    )
    return `{${members.join(',')}}`
  }
  const args = shown(value, 0)
  return isCut ? `${args},"argsCut":"depth"` : args
}
