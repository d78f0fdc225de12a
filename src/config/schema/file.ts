import { z } from 'zod'
import { FILE } from '../options/file.ts'
import { sectionSchema } from './checks.ts'

/**
 * Checks a file whose variables are expanded, one value at a time; what concerns several values is in `config/validate`. Loaded only
 * when a file is new or has changed.
 */
export const serversFile = sectionSchema(FILE)

/** JSON Schema (draft 7, which editors know best) of the file. */
export function serversJsonSchema(): object {
  const schema = z.toJSONSchema(sectionSchema(FILE, true), { target: 'draft-7' })
  const { servers: alias, ...properties } = schema.properties ?? {}
  const description = typeof alias === 'object' ? (alias.description ?? '') : ''
  return {
    $schema: schema.$schema,
    title: 'servers.json of mcp-manifold',
    ...schema,
    // Both hold the same, and once is enough to read.
    properties: { ...properties, servers: { description, allOf: [{ $ref: '#/properties/mcpServers' }] } },
  }
}
