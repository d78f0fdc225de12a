import { z } from 'zod'
import { FILE } from '../options/file.ts'
import { sectionSchema } from './checks.ts'

/**
 * Validates a file with expanded variables, one value at a time; conditions over several values are in
 * `config/validate`. Loaded only when a file is new or has changed.
 */
export const serversFile = sectionSchema(FILE)

/** JSON Schema of the file (draft 7, which editors support best). */
export function serversJsonSchema(): object {
  const schema = z.toJSONSchema(sectionSchema(FILE, true), { target: 'draft-7' })
  const { servers: alias, ...properties } = schema.properties ?? {}
  const description = typeof alias === 'object' ? (alias.description ?? '') : ''
  return {
    $schema: schema.$schema,
    title: 'servers.json of mcp-manifold',
    ...schema,
    // Both sections have the same properties, so one refers to the other.
    properties: { ...properties, servers: { description, allOf: [{ $ref: '#/properties/mcpServers' }] } },
  }
}
