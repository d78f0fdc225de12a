import { createRequire } from 'node:module'

/** Version of the installed package. */
export const VERSION: string = (
  createRequire(import.meta.url)('mcp-manifold/package.json') as { version: string }
).version
