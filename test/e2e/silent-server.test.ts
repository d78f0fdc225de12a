import { expect, test } from 'vitest'
import { makeScratch } from '../helpers/scratch.ts'
import { serveGateway } from '../helpers/served.ts'

interface Status {
  readonly state: string
  readonly error?: string
  readonly nextTry?: number | string
}

test('a server runs and never answers initialize: it has failed with a reason, also while it is tried again, and the next try is named', async () => {
  await using scratch = makeScratch()
  const script = `process.stdin.on('end', () => process.exit()).resume()`
  const file = scratch.write('servers.json', {
    mcpServers: { mute: { command: process.execPath, args: ['-e', script], startTimeout: '1s' } },
    gateway: { http: { port: 0 }, state: 'memory', log: 'error' },
  })
  await using gateway = await serveGateway(file)
  const status = async (): Promise<Status> => {
    const { servers } = (await (await fetch(`${gateway.origin}/readyz`)).json()) as { servers: Status[] }
    return servers[0] as Status
  }
  await expect.poll(async () => (await status()).state).toBe('failed')
  const tries = new Set<string>()
  // Until it has been seen before a try and during one.
  for (const until = Date.now() + 20_000; tries.size < 2 && Date.now() < until;) {
    const { state, error, nextTry } = await status()
    expect(['failed', 'stopped']).toContain(state)
    expect(error).toContain('Server "mute" did not answer initialize within 1 s.')
    expect(nextTry).toBeDefined()
    tries.add(typeof nextTry)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  expect([...tries].sort()).toEqual(['number', 'string'])
  expect(gateway.said).toMatch(/ mute .* failed +Server "mute" did not answer .* The next try is in \d+ s\./)
})
