import type { IncomingHttpHeaders } from 'node:http'
import { isJsonObject } from '../core/json-object.ts'
import type { JsonObject } from '../core/exchange.ts'
import type { ConfigFile } from './config-file.ts'
import { AdminProblem } from './problem-details.ts'
import type { AdminService } from './service.ts'

/** A request that has passed all checks. */
export interface AdminRequest {
  readonly service: AdminService
  readonly config: ConfigFile
  /** Decoded path parameters. */
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  /** The parsed body; `undefined` without one. */
  readonly body: unknown
  readonly headers: IncomingHttpHeaders
}

export interface AdminAnswer {
  readonly body: object
  /** In place of the body: lines that are sent as they come. */
  readonly lines?: AsyncIterableIterator<string>
  /** In place of the body: a text of this type. */
  readonly text?: { readonly text: string; readonly contentType: string }
  readonly headers?: Readonly<Record<string, string>>
  /** Description of the change, for the audit log. */
  readonly detail?: string
}

/** JSON Schema of a body, in the dialect of OpenAPI 3.1. */
export type Schema = JsonObject

export interface AdminRoute {
  readonly method: 'get' | 'post' | 'put' | 'patch'
  /** In OpenAPI notation: `/admin/config/servers/{name}`. */
  readonly path: string
  readonly operationId: string
  /** One sentence. */
  readonly summary: string
  /** Whether requests are recorded in the audit log; a function decides by the body. */
  readonly writes: boolean | ((body: unknown) => boolean)
  /** Parameters of the query, all optional. */
  readonly query?: Readonly<Record<string, Schema>>
  readonly requestBody?: { readonly schema: Schema; readonly required: boolean; readonly type?: string }
  /** Whether the response has an `ETag`, or the request requires `If-Match`. */
  readonly etag?: 'answer' | 'required'
  readonly answer: Schema
  /** Default `application/json`. */
  readonly answerType?: string
  /** Error statuses besides those of every route. */
  readonly refusals: readonly number[]
  handle(request: AdminRequest): Promise<AdminAnswer> | AdminAnswer
}

export const TEXT: Schema = { type: 'string' }

/**
 * The members of a body.
 * @throws AdminProblem 422 for an unknown member
 */
export function fields(body: unknown, known: readonly string[]): JsonObject {
  const given = body ?? {}
  if (!isJsonObject(given)) throw new AdminProblem(422, 'The body is a JSON object.')
  const unknown = Object.keys(given).find(key => !known.includes(key))
  if (unknown === undefined) return given
  const shown = JSON.stringify(unknown.slice(0, 60))
  throw new AdminProblem(422, `The body has ${shown}, which is not known. It may have: ${known.join(', ')}.`)
}

/**
 * A query whose parameters are all known to its route.
 * @throws AdminProblem 422
 */
export function knownQuery(query: URLSearchParams, known: readonly string[]): URLSearchParams {
  const unknown = [...query.keys()].find(key => !known.includes(key))
  if (unknown === undefined) return query
  const names = known.map(key => `"${key}"`)
  const listed = names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
  throw new AdminProblem(422, `The query may have ${listed}, and nothing else.`)
}

/**
 * A parameter that is `true` or `false`, the latter when left out.
 * @throws AdminProblem 422
 */
export function flagIn(query: URLSearchParams, name: string): boolean {
  const text = query.get(name) ?? 'false'
  if (text !== 'true' && text !== 'false') throw new AdminProblem(422, `"${name}" is true or false.`)
  return text === 'true'
}

/** A text of a body. @throws AdminProblem 422 */
export function textIn(given: JsonObject, name: string): string {
  const value = given[name]
  if (typeof value === 'string' && value !== '' && value.length <= 512) return value
  throw new AdminProblem(422, `The body needs "${name}", a text of 1 to 512 characters.`)
}
