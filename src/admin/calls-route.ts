import { CALL_STAGES } from '../observe/activity/call-record.ts'
import { AdminProblem } from './problem-details.ts'
import { flagIn, knownQuery, TEXT, type AdminRoute } from './route.ts'

const NUMBER = { type: 'number' }
const BOOLEAN = { type: 'boolean' }
const LIMIT = { most: 1000, otherwise: 100 }

const CALL = {
  type: 'object',
  properties: {
    nth: { type: 'integer', description: 'Number since the start of the gateway.' },
    time: { type: 'integer', description: 'When it arrived; Unix milliseconds.' },
    client: TEXT,
    application: TEXT,
    era: TEXT,
    method: TEXT,
    server: TEXT,
    name: TEXT,
    result: { type: 'string', enum: ['ok', 'tool_error', 'server_error', 'failed'] },
    code: TEXT,
    errorId: TEXT,
    durationMs: NUMBER,
    stages: { type: 'object', properties: Object.fromEntries(CALL_STAGES.map(stage => [stage, NUMBER])) },
    cache: TEXT,
    replica: TEXT,
    repeats: { type: 'integer' },
    fallbackFrom: TEXT,
    rule: TEXT,
    bytesIn: { type: 'integer' },
    bytesOut: { type: 'integer' },
    traceId: TEXT,
  },
  required: ['nth', 'time', 'client', 'method', 'result', 'durationMs', 'stages'],
}

/** The last calls. */
export const CALLS_ROUTE: AdminRoute = {
  method: 'get',
  path: '/admin/calls',
  operationId: 'getCalls',
  summary:
    'The last calls, without arguments and results; with "follow=true" those that come, a JSON object a line.',
  writes: false,
  query: {
    client: { ...TEXT, description: 'Only this client.' },
    server: { ...TEXT, description: 'Only this server.' },
    tool: { ...TEXT, description: 'Only what has this name at its server.' },
    failed: { ...BOOLEAN, description: 'Only those that were not answered with a result.' },
    slow: { ...BOOLEAN, description: 'The slowest of the last hour, the slowest first.' },
    limit: {
      type: 'integer',
      description: `Most of them, up to ${LIMIT.most}. Default: ${LIMIT.otherwise}.`,
    },
    follow: BOOLEAN,
  },
  answer: { type: 'object', properties: { calls: { type: 'array', items: CALL } }, required: ['calls'] },
  refusals: [422],
  handle: ({ service, query }) => {
    knownQuery(query, Object.keys(CALLS_ROUTE.query ?? {}))
    const only = (name: string): string | undefined => query.get(name) ?? undefined
    const filter = {
      client: only('client'),
      server: only('server'),
      tool: only('tool'),
      failed: flagIn(query, 'failed'),
    }
    if (flagIn(query, 'follow')) return { body: {}, lines: service.followCalls(filter) }
    return { body: service.calls({ ...filter, slow: flagIn(query, 'slow'), limit: limitIn(query) }) }
  },
}

/** @throws AdminProblem 422 */
function limitIn(query: URLSearchParams): number {
  const limit = Number(query.get('limit') ?? LIMIT.otherwise)
  if (Number.isInteger(limit) && limit >= 1 && limit <= LIMIT.most) return limit
  throw new AdminProblem(422, `"limit" is a whole number from 1 to ${LIMIT.most}.`)
}
