import { VERSION } from '../version.ts'
import type { JsonObject } from '../core/exchange.ts'
import { MCP_PATH } from './conversations.ts'
import type { AdminRoute, Schema } from './route.ts'

/** Error statuses of every route. */
const COMMON = [400, 401, 403, 413, 415, 429, 500, 503] as const

export const OPENAPI_PATH = '/admin/openapi.json'

const PROBLEM: Schema = {
  type: 'object',
  description: 'RFC 9457.',
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string', description: 'The cause and the fix.' },
  },
  required: ['type', 'title', 'status', 'detail'],
}

/** The OpenAPI document, generated from the route table. */
export function openapiOf(routes: readonly AdminRoute[]): JsonObject {
  const paths: Record<string, JsonObject> = {}
  for (const route of routes) paths[route.path] = { ...paths[route.path], [route.method]: operationOf(route) }
  paths[MCP_PATH] = {
    get: {
      operationId: 'converse',
      summary:
        'Only on the socket: after the upgrade, the connection is MCP as on stdio, a message a line, as the local user.',
      parameters: ['endpoint', 'client'].map(name => ({
        name,
        in: 'query',
        required: false,
        schema: { type: 'string' },
        description:
          name === 'client'
            ? 'The configured client that is served, in place of the local user.'
            : 'A profile or a server; everything when left out.',
      })),
      responses: {
        101: { description: 'From here on, both sides send messages of JSON-RPC, each on a line.' },
        ...refusals([400, 403, 404, 422, 426, 429]),
      },
    },
  }
  paths[OPENAPI_PATH] = {
    get: {
      operationId: 'getOpenapi',
      summary: 'This document.',
      responses: { 200: answer({ type: 'object' }), ...refusals(COMMON) },
    },
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'mcp-manifold admin API',
      version: VERSION,
      description: 'Reads and changes a running gateway.',
    },
    security: [{ token: [] }, {}],
    paths,
    components: {
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'The token of `gateway.admin.token`; the socket needs none.',
        },
      },
      schemas: { Problem: PROBLEM },
      responses: {
        Problem: {
          description: 'What is wrong, and how to mend it.',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
    },
  }
}

function operationOf(route: AdminRoute): JsonObject {
  const { operationId, summary, query = {}, requestBody, etag } = route
  const names = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
  const parameters = [
    ...names.map(name => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
    ...Object.entries(query).map(([name, schema]) => ({ name, in: 'query', required: false, schema })),
    ...(etag === 'required'
      ? [
          {
            name: 'If-Match',
            in: 'header',
            required: true,
            schema: { type: 'string' },
            description: 'The `ETag` of the configuration that the change is made to.',
          },
        ]
      : []),
  ]
  const headers = etag === undefined ? undefined : { ETag: { required: true, schema: { type: 'string' } } }
  return {
    operationId,
    summary,
    ...(parameters.length > 0 && { parameters }),
    ...(requestBody && {
      requestBody: {
        required: requestBody.required,
        content: { [requestBody.type ?? 'application/json']: { schema: requestBody.schema } },
      },
    }),
    responses: {
      200: answer(route.answer, headers, route.answerType),
      ...refusals([...COMMON, ...route.refusals]),
    },
  }
}

function answer(schema: Schema, headers?: JsonObject, type = 'application/json'): JsonObject {
  return { description: 'Done.', ...(headers && { headers }), content: { [type]: { schema } } }
}

function refusals(statuses: readonly number[]): JsonObject {
  return Object.fromEntries(statuses.map(status => [status, { $ref: '#/components/responses/Problem' }]))
}
