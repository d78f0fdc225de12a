import { isUsageDimension, USAGE_DIMENSIONS, USAGE_MEASURES } from '../observe/usage/usage-report.ts'
import { AdminProblem } from './problem-details.ts'
import { knownQuery, TEXT, type AdminRoute } from './route.ts'
import type { UsageRequest } from './service.ts'

const DAY = /^\d{4}-\d\d-\d\d$/
const NUMBER = { type: 'number' }
const DIMENSIONS = Object.fromEntries(USAGE_DIMENSIONS.map(by => [by, TEXT]))

/** What clients have used. */
export const USAGE_ROUTE: AdminRoute = {
  method: 'get',
  path: '/admin/usage',
  operationId: 'getUsage',
  summary:
    'What clients have used by day, client, server or tool, in all gateways that share the state store.',
  writes: false,
  query: {
    since: { ...TEXT, description: 'First day, such as `2026-11-28`, in the time zone of the gateway.' },
    until: { ...TEXT, description: 'Last day. Default: the last one there is.' },
    by: {
      ...TEXT,
      description: `One or more of ${USAGE_DIMENSIONS.join(', ')}, with commas. Default: client.`,
    },
    client: { ...TEXT, description: 'Only this client.' },
    server: { ...TEXT, description: 'Only this server.' },
    tool: { ...TEXT, description: 'Only the tool with this name at its server.' },
  },
  answer: {
    type: 'object',
    properties: {
      since: TEXT,
      until: TEXT,
      lines: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            of: { type: 'object', properties: DIMENSIONS },
            ...Object.fromEntries(USAGE_MEASURES.map(measure => [measure, NUMBER])),
          },
          required: ['of', ...USAGE_MEASURES],
        },
      },
    },
    required: ['since', 'until', 'lines'],
  },
  refusals: [404, 422],
  handle: async ({ service, query }) => ({ body: await service.usage(usageRequestIn(query)) }),
}

/** @throws AdminProblem 422 */
function usageRequestIn(query: URLSearchParams): UsageRequest {
  knownQuery(query, Object.keys(USAGE_ROUTE.query ?? {}))
  const by = (query.get('by') ?? 'client').split(',')
  if (!by.every(isUsageDimension))
    throw new AdminProblem(422, `"by" is one or more of ${USAGE_DIMENSIONS.join(', ')}, with commas between.`)
  const dayIn = (name: string, otherwise: string): string => {
    const day = query.get(name) ?? otherwise
    if (!DAY.test(day)) throw new AdminProblem(422, `"${name}" is a day, such as 2026-11-28.`)
    return day
  }
  const only = (name: string): string | undefined => query.get(name) ?? undefined
  return {
    by,
    since: dayIn('since', '0000-01-01'),
    until: dayIn('until', '9999-12-31'),
    client: only('client'),
    server: only('server'),
    tool: only('tool'),
  }
}
