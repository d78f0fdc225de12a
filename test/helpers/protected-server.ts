import { fileURLToPath } from 'node:url'
import { startProtectedServer } from '../fixtures/servers/protected/server.js'
import type { ProtectedServer, ProtectedServerOptions } from '../fixtures/servers/protected/server.d.ts'
import { serve } from './served.ts'

export { startProtectedServer }
export type { ProtectedServer, ProtectedServerOptions }

const MAIN = fileURLToPath(new URL('../fixtures/servers/protected/main.js', import.meta.url))

/** Starts a protected MCP server in a process of its own. */
export async function spawnProtectedServer(options: ProtectedServerOptions): Promise<ProtectedServer> {
  const served = await serve([MAIN, JSON.stringify(options)], { ready: /listening (\{.*\})\n/ })
  const control = /control (\S+)/.exec(served.said)?.[1] ?? ''
  const call = async <T>(name: string, ...args: unknown[]): Promise<T> => {
    const answer = await fetch(control, { method: 'POST', body: JSON.stringify({ call: name, args }) })
    return ((await answer.json()) as { result: T }).result
  }
  return {
    ...(JSON.parse(served.origin) as Pick<ProtectedServer, 'url' | 'metadataUrl'>),
    requests: () => call('requests'),
    refuse: refusal => call('refuse', refusal),
    move: (issuer, introspection) => call('move', issuer, introspection),
    [Symbol.asyncDispose]: () => served[Symbol.asyncDispose](),
  }
}
