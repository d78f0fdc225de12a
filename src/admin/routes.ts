import { isJsonObject } from '../core/json-object.ts'
import type { WriteResult } from './config-file.ts'
import { CREDENTIAL_ROUTES } from './credential-routes.ts'
import { AdminProblem } from './problem-details.ts'
import {
  fields,
  TEXT,
  textIn,
  type AdminAnswer,
  type AdminRoute,
  type Schema,
  flagIn,
  knownQuery,
} from './route.ts'
import type { DrainTarget, ReloadAnswer } from './service.ts'
import { CALLS_ROUTE } from './calls-route.ts'
import { USAGE_ROUTE } from './usage-route.ts'

const OBJECT: Schema = { type: 'object' }
const TEXTS: Schema = { type: 'array', items: TEXT }

function listOf(properties: Readonly<Record<string, Schema>>): Schema {
  return { type: 'array', items: { type: 'object', properties, required: Object.keys(properties) } }
}

const TARGET: Schema = {
  type: 'object',
  properties: { server: TEXT, replica: { ...TEXT, description: 'All replicas when left out.' } },
  required: ['server'],
  additionalProperties: false,
}

const DRAINED: Schema = {
  type: 'object',
  properties: {
    server: TEXT,
    replica: TEXT,
    drained: { type: 'boolean' },
    inFlight: { type: 'integer', description: 'Calls in flight there, at this gateway.' },
  },
  required: ['server', 'drained', 'inFlight'],
}

const ENDINGS = listOf({ client: TEXT, connections: { type: 'integer' }, reason: TEXT })

const RELOADED: Schema = {
  type: 'object',
  properties: {
    dryRun: { type: 'boolean' },
    applied: { type: 'boolean' },
    superseded: { type: 'boolean', description: 'A later reload took the place of this one.' },
    changes: { ...TEXTS, description: 'What is different, in words.' },
    lastApplied: {
      type: 'object',
      properties: { secondsAgo: { type: 'integer' }, changes: TEXTS, endings: ENDINGS },
      required: ['secondsAgo', 'changes', 'endings'],
      description: 'What was applied last, when nothing is left to change.',
    },
    restarts: {
      ...listOf({ server: TEXT, keys: TEXTS }),
      description: 'Servers that get new links, with the keys that cause it.',
    },
    endings: { ...ENDINGS, description: 'Clients that are disconnected.' },
    notReloadable: {
      ...listOf({ key: TEXT, reason: TEXT }),
      description: 'Keys that take effect at the next start.',
    },
    unusable: {
      ...listOf({ server: TEXT, runsOn: { type: 'boolean' } }),
      description: 'Servers whose entry has a problem: they run on as they were, or are left out.',
    },
    problems: { ...TEXT, description: 'The problems of these entries.' },
  },
  required: [
    'dryRun',
    'applied',
    'superseded',
    'changes',
    'restarts',
    'endings',
    'notReloadable',
    'unusable',
  ],
}

const CONFIG_REFUSALS = [404, 409, 412, 422, 428] as const

/**
 * Every route of the admin API except that of its description. The application and the description are generated from
 * it.
 */
export const ROUTES: readonly AdminRoute[] = [
  {
    method: 'get',
    path: '/admin/status',
    operationId: 'getStatus',
    summary: 'The state of the gateway and of each server.',
    writes: false,
    answer: {
      type: 'object',
      properties: {
        version: TEXT,
        pid: { type: 'integer' },
        config: { ...TEXT, description: 'Path of the configuration file.' },
        startedAt: { type: 'integer', description: 'Unix milliseconds.' },
        ready: { type: 'boolean' },
        servers: { type: 'array', items: OBJECT },
      },
      required: ['version', 'pid', 'startedAt', 'ready', 'servers'],
    },
    refusals: [],
    handle: ({ service }) => ({ body: service.status() }),
  },
  {
    method: 'get',
    path: '/metrics',
    operationId: 'getMetrics',
    summary: 'The metrics, in the format of OpenMetrics where "Accept" has it, else in that of Prometheus.',
    writes: false,
    answer: TEXT,
    answerType: 'text/plain',
    refusals: [404],
    handle: async ({ service, headers }) => {
      const isOpen = headers.accept?.includes('application/openmetrics-text') === true
      return { body: {}, text: await service.metrics(isOpen ? 'openmetrics' : 'prometheus') }
    },
  },
  {
    method: 'get',
    path: '/admin/logs',
    operationId: 'getLogs',
    summary:
      'The last records of the log, a JSON object a line, without secrets; with "follow=true" until it ends.',
    writes: false,
    query: {
      server: {
        ...TEXT,
        description: 'Only what is about this server, with what its program prints to stderr.',
      },
      follow: { type: 'boolean' },
    },
    answer: {
      type: 'object',
      properties: { time: TEXT, level: TEXT, message: TEXT, server: TEXT, source: TEXT },
      required: ['time', 'level', 'message'],
    },
    answerType: 'application/x-ndjson',
    refusals: [422],
    handle: ({ service, query }) => {
      knownQuery(query, ['server', 'follow'])
      return { body: {}, lines: service.log(query.get('server') ?? undefined, flagIn(query, 'follow')) }
    },
  },
  {
    method: 'get',
    path: '/admin/config',
    operationId: 'getConfig',
    summary: 'The configuration file as it is written, with "***" in place of secrets.',
    writes: false,
    etag: 'answer',
    answer: OBJECT,
    refusals: [404, 409],
    handle: async ({ config }) => {
      const { value, etag } = await config.show()
      return { body: value, headers: { etag } }
    },
  },
  {
    method: 'put',
    path: '/admin/config',
    operationId: 'putConfig',
    summary: 'Changes the configuration file to say this, with its comments kept, and takes it over.',
    writes: true,
    requestBody: { schema: OBJECT, required: true },
    etag: 'required',
    answer: RELOADED,
    refusals: CONFIG_REFUSALS,
    handle: async ({ config, body, headers }) =>
      answerOf(await config.replace(given(body), headers['if-match'])),
  },
  {
    method: 'patch',
    path: '/admin/config/servers/{name}',
    operationId: 'patchServer',
    summary: 'Changes one server by a JSON merge patch (RFC 7396), and takes it over; `null` removes it.',
    writes: true,
    requestBody: {
      schema: { type: ['object', 'null'] },
      required: true,
      type: 'application/merge-patch+json',
    },
    etag: 'required',
    answer: RELOADED,
    refusals: CONFIG_REFUSALS,
    handle: async ({ config, params, body, headers }) =>
      answerOf(await config.patchServer(params['name'] ?? '', given(body), headers['if-match'])),
  },
  {
    method: 'post',
    path: '/admin/reload',
    operationId: 'reload',
    summary: 'Reads the configuration again and takes it over; answers when it is in effect.',
    writes: body => !(isJsonObject(body) && body['dryRun'] === true),
    requestBody: {
      schema: {
        type: 'object',
        properties: { dryRun: { type: 'boolean', description: 'Only says what would change.' } },
        additionalProperties: false,
      },
      required: false,
    },
    answer: RELOADED,
    refusals: [422],
    handle: async ({ service, body }) => {
      const { dryRun = false } = fields(body, ['dryRun'])
      if (typeof dryRun !== 'boolean') throw new AdminProblem(422, '"dryRun" is true or false.')
      const answer = await service.reload({ dryRun })
      return { body: answer, detail: detailOf(answer) }
    },
  },
  {
    method: 'post',
    path: '/admin/drain',
    operationId: 'drain',
    summary:
      'Takes a server, or one of its replicas, out of use in all gateways that share the state store; calls in flight are answered.',
    writes: true,
    requestBody: { schema: TARGET, required: true },
    answer: DRAINED,
    refusals: [422],
    handle: async ({ service, body }) => {
      const target = targetOf(body)
      return { body: await service.drain(target), detail: nameOf(target) }
    },
  },
  {
    method: 'post',
    path: '/admin/undrain',
    operationId: 'undrain',
    summary: 'Uses a drained server or replica again.',
    writes: true,
    requestBody: { schema: TARGET, required: true },
    answer: DRAINED,
    refusals: [422],
    handle: async ({ service, body }) => {
      const target = targetOf(body)
      return { body: await service.undrain(target), detail: nameOf(target) }
    },
  },
  {
    method: 'post',
    path: '/admin/restart',
    operationId: 'restart',
    summary: 'Opens new links to a server for new calls; calls in flight end on the old ones.',
    writes: true,
    requestBody: {
      schema: {
        type: 'object',
        properties: { server: TEXT },
        required: ['server'],
        additionalProperties: false,
      },
      required: true,
    },
    answer: {
      type: 'object',
      properties: { server: TEXT, drainedLinks: { type: 'integer' } },
      required: ['server', 'drainedLinks'],
    },
    refusals: [422],
    handle: async ({ service, body }) => {
      const server = textIn(fields(body, ['server']), 'server')
      return { body: await service.restart(server), detail: server }
    },
  },
  CALLS_ROUTE,
  USAGE_ROUTE,
  ...CREDENTIAL_ROUTES,
]

function answerOf({ etag, reload }: WriteResult): AdminAnswer {
  return { body: reload, headers: { etag }, detail: detailOf(reload) }
}

function detailOf({ superseded, changes }: ReloadAnswer): string {
  if (superseded) return 'A later reload took the place of this one.'
  return changes.length > 0 ? changes.join(' ') : 'Nothing has changed.'
}

function given(body: unknown): unknown {
  if (body === undefined) throw new AdminProblem(422, 'The body is missing.')
  return body
}

function targetOf(body: unknown): DrainTarget {
  const given = fields(body, ['server', 'replica'])
  return {
    server: textIn(given, 'server'),
    replica: given['replica'] === undefined ? undefined : textIn(given, 'replica'),
  }
}

function nameOf({ server, replica }: DrainTarget): string {
  return replica === undefined ? server : `${server}/${replica}`
}
