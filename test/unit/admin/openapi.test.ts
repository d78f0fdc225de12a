import { expect, test } from 'vitest'
import { MCP_PATH } from '../../../src/admin/conversations.ts'
import { openapiOf, OPENAPI_PATH } from '../../../src/admin/openapi.ts'
import { ROUTES } from '../../../src/admin/routes.ts'

/** The description of the admin API says what the table of routes says, and is one that tools can read. */

const document = openapiOf(ROUTES)

// eslint-disable-next-line
type Any = any

test('each route is described, and nothing else', () => {
  const described = Object.entries(document['paths'] as Any).flatMap(([path, methods]) =>
    Object.keys(methods as object).map(method => `${method} ${path}`),
  )
  expect(described.sort()).toEqual(
    [
      ...ROUTES.map(({ method, path }) => `${method} ${path}`),
      `get ${OPENAPI_PATH}`,
      `get ${MCP_PATH}`,
    ].sort(),
  )
})

test('the document has the form of OpenAPI 3.1', () => {
  expect(document).toMatchObject({
    openapi: '3.1.0',
    info: { title: expect.any(String) as string, version: expect.any(String) as string },
  })
  const ids = new Set<string>()
  for (const [path, methods] of Object.entries(document['paths'] as Any)) {
    expect(path).toMatch(/^\/(?:admin\/|metrics$)/)
    for (const [method, operation] of Object.entries<Any>(methods as Any)) {
      expect(ids).not.toContain(operation.operationId)
      ids.add(operation.operationId)
      expect(operation.summary).toMatch(/\.$/)
      const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      const inPath = (operation.parameters ?? []).filter((one: Any) => one.in === 'path')
      expect(inPath.map((one: Any) => one.name)).toEqual(names)
      for (const one of operation.parameters ?? [])
        expect(one).toMatchObject({
          required: one.in !== 'query',
          schema: { type: one.in === 'query' ? expect.any(String) : 'string' },
        })
      if (method === 'get') expect(operation.requestBody).toBeUndefined()
      for (const { schema } of Object.values<Any>(operation.requestBody?.content ?? {}))
        expect(isSchema(schema)).toBe(true)
      // After an upgrade there is no answer, but a conversation.
      const success = path === MCP_PATH ? '101' : '200'
      expect(operation.responses[success].description).toBeTypeOf('string')
      for (const { schema } of Object.values<Any>(operation.responses[success].content ?? {}))
        expect(isSchema(schema)).toBe(true)
      if (success === '200') expect(operation.responses[success]).toHaveProperty('content')
      for (const [status, answer] of Object.entries<Any>(operation.responses as Any)) {
        expect(status).toMatch(/^[1-5]\d\d$/)
        if (status !== success) expect(resolve(answer.$ref)).toHaveProperty('content')
      }
    }
  }
})

test('a write of the configuration needs If-Match, and says which statuses it has', () => {
  for (const route of ROUTES.filter(({ etag }) => etag === 'required')) {
    const operation = (document['paths'] as Any)[route.path][route.method]
    expect(operation.parameters).toContainEqual(expect.objectContaining({ name: 'If-Match', in: 'header' }))
    for (const status of [403, 409, 412, 422, 428]) expect(operation.responses).toHaveProperty(String(status))
  }
})

/** What a reference within the document stands for. */
function resolve(reference: string): unknown {
  expect(reference).toMatch(/^#\//)
  return reference
    .slice(2)
    .split('/')
    .reduce((at: Any, step) => at?.[step], document)
}

/** Types and members that JSON Schema knows, all the way down. */
function isSchema(schema: Any): boolean {
  const types = ['object', 'array', 'string', 'integer', 'number', 'boolean', 'null']
  const known = ['type', 'properties', 'required', 'items', 'description', 'additionalProperties', 'enum']
  return (
    [schema.type].flat().every((type: string) => types.includes(type)) &&
    Object.keys(schema).every(key => known.includes(key)) &&
    (schema.required ?? []).every((name: string) => Object.hasOwn(schema.properties, name)) &&
    Object.values(schema.properties ?? {}).every(isSchema) &&
    (schema.items === undefined || isSchema(schema.items))
  )
}
