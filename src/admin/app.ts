import express from 'express'
import type { ErrorRequestHandler, Express, Request, RequestHandler, Response } from 'express'
import { isNestedTooDeep, MAX_DEPTH } from '../config/load/nesting.ts'
import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { ConfigFile } from './config-file.ts'
import type { AdminCaller, AdminGuard } from './guard.ts'
import { MCP_PATH } from './conversations.ts'
import { OPENAPI_PATH, openapiOf } from './openapi.ts'
import { AdminProblem, problemOf } from './problem-details.ts'
import { ROUTES } from './routes.ts'
import { type AdminRoute } from './route.ts'
import type { AdminService } from './service.ts'

export interface AppOptions {
  readonly service: AdminService
  readonly config: ConfigFile
  readonly guard: AdminGuard
  readonly logger: Logger
}

/** Maximum body size: a configuration with thousands of servers. */
const MAX_BODY_BYTES = 4 * 1024 * 1024
const JSON_TYPES = ['application/json', 'application/merge-patch+json']

/** The application of the admin API, made from the route table. Loaded with the first request. */
export function createApp({ service, config, guard, logger }: AppOptions): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('query parser', false)
  app.enable('strict routing')
  app.enable('case sensitive routing')
  const callers = new WeakMap<Request, AdminCaller>()

  app.use((request, response, next) => {
    response.set({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
    callers.set(request, guard.check(request))
    next()
  })
  app.use(checkType)
  app.use(
    express.json({
      limit: MAX_BODY_BYTES,
      type: JSON_TYPES,
      strict: false,
      // Checked before parsing, to bound the recursion over the value.
      verify: (_request, _response, bytes) => checkDepth(bytes.toString('utf8')),
    }),
  )

  const description = openapiOf(ROUTES)
  app.get(OPENAPI_PATH, (_request, response) => void response.json(description))
  for (const route of ROUTES) app[route.method](expressPath(route.path), handlerOf(route, service))
  for (const [path, methods] of methodsByPath())
    app.all(path, () => {
      const allow = methods.join(', ').toUpperCase()
      throw new AdminProblem(405, `The method is not offered here. Use: ${allow}.`, { allow })
    })
  app.get(MCP_PATH, () => {
    throw new AdminProblem(
      426,
      'Ask for an upgrade: send "Connection: Upgrade" and "Upgrade: mcp". Only the socket of the gateway offers it.',
      { upgrade: 'mcp' },
    )
  })
  app.use(() => {
    throw new AdminProblem(404, `There is no such path. ${OPENAPI_PATH} lists all of them.`)
  })

  const onError: ErrorRequestHandler = (error: unknown, request, response, next) => {
    const problem = problemOf(readable(error))
    if (problem.status === 500)
      logger.error('The admin API failed.', { path: request.path, cause: describeError(error) })
    const route = ROUTES.find(({ method, path }) => isMethod(request, method) && matches(path, request.path))
    const caller = callers.get(request)
    if (route && caller && isWrite(route, request))
      note(service, caller, request, problem.status, problem.message)
    if (response.headersSent) return next(error)
    const send = (): void => {
      response.status(problem.status).set(problem.headers).type('application/problem+json')
      response.send(JSON.stringify(problem.document))
    }
    // A caller that is still sending would not read the response.
    if (problem.status === 413 && !request.complete) request.resume().once('end', send)
    else send()
  }
  app.use(onError)
  return app

  function handlerOf(route: AdminRoute, to: AdminService): RequestHandler {
    return async (request: Request, response: Response) => {
      const params = request.params as Record<string, string>
      const { headers } = request
      const answer = await route.handle({
        service: to,
        config,
        params,
        query: new URL(request.url, 'http://localhost').searchParams,
        body: request.body as unknown,
        headers,
      })
      const caller = callers.get(request)
      if (caller && isWrite(route, request)) note(to, caller, request, 200, answer.detail)
      if (answer.lines) return await sendLines(answer.lines, route.answerType, response)
      if (answer.text) {
        // `send` would add another character set to the type.
        response.set('content-type', answer.text.contentType)
        return void response.end(answer.text.text)
      }
      response.set(answer.headers ?? {}).json(answer.body)
    }
  }
}

/** Sends lines as they come, until they end or the caller leaves. A slow caller is waited for. */
async function sendLines(
  lines: AsyncIterableIterator<string>,
  type: string | undefined,
  response: Response,
): Promise<void> {
  response.once('close', () => void lines.return?.())
  response.type(type ?? 'application/x-ndjson')
  response.flushHeaders()
  for await (const line of lines) {
    if (response.destroyed) break
    if (!response.write(`${line}\n`))
      await new Promise<void>(resolve => {
        const go = (): void => {
          response.off('drain', go).off('close', go)
          resolve()
        }
        response.on('drain', go).on('close', go)
      })
  }
  response.end()
}

function isWrite({ writes }: AdminRoute, request: Request): boolean {
  return typeof writes === 'function' ? writes(request.body) : writes
}

function note(
  service: AdminService,
  { by, from }: AdminCaller,
  { method, path }: Request,
  status: number,
  detail: string | undefined,
): void {
  service.noteWrite({ by, from, action: `${method} ${path}`, status, detail })
}

/** A web page can send some content types without a CORS preflight, so other types are refused rather than ignored. */
const checkType: RequestHandler = (request, _response, next) => {
  const { 'content-length': length, 'transfer-encoding': encoding, 'content-type': type } = request.headers
  const hasBody = encoding !== undefined || (length !== undefined && length !== '0')
  if (hasBody && !JSON_TYPES.includes((type ?? '').split(';')[0]?.trim().toLowerCase() ?? ''))
    throw new AdminProblem(415, 'The body is JSON: send "Content-Type: application/json".')
  next()
}

/** Throws a plain error, because the body parser adds its own members to it. */
function checkDepth(text: string): void {
  if (isNestedTooDeep(text)) throw new Error('nested too deep')
}

/** Translates errors of the body parser. */
function readable(error: unknown): unknown {
  const { type, status } = (error ?? {}) as { type?: unknown; status?: unknown }
  if (type === 'entity.too.large')
    return new AdminProblem(413, `The body has more than ${MAX_BODY_BYTES} bytes, which is the most.`)
  if (type === 'entity.verify.failed')
    return new AdminProblem(400, `Objects and lists in the body are nested more than ${MAX_DEPTH} deep.`)
  if (type === 'entity.parse.failed') return new AdminProblem(400, 'The body is not valid JSON.')
  if (type === 'encoding.unsupported' || type === 'charset.unsupported')
    return new AdminProblem(415, 'The body is JSON in UTF-8, compressed or not.')
  if (
    error instanceof Error &&
    !(error instanceof AdminProblem) &&
    typeof status === 'number' &&
    status < 500
  )
    return new AdminProblem(400, 'The request cannot be read.')
  return error
}

function methodsByPath(): Map<string, string[]> {
  const methods = new Map<string, string[]>([[OPENAPI_PATH, ['get']]])
  for (const { method, path } of ROUTES)
    methods.set(expressPath(path), [...(methods.get(expressPath(path)) ?? []), method])
  return methods
}

function expressPath(path: string): string {
  return path.replace(/\{(\w+)\}/g, ':$1')
}

function isMethod(request: Request, method: string): boolean {
  return request.method.toLowerCase() === method
}

function matches(path: string, asked: string): boolean {
  return new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`).test(asked)
}
