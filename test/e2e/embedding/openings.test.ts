import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createGateway } from '../../../src/index.ts'
import { freePort } from '../../helpers/served.ts'
import { withKeys } from '../../helpers/callers.ts'
import { post } from '../../helpers/http-client.ts'

/** Listeners that are opened while the gateway is reloaded or closed. */

const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
})

const everywhere = { mcpServers: {}, gateway: { http: { host: '0.0.0.0', port: 0 } } }

// The first of them is first because it takes time only once to load what answers HTTP.
// By when the listener is asked for: before a reload (-1), and in the turns in which that is built.
test.each([-1, 0, 1, 2, 4, 8])(
  'a reload without clients and a listener that opens (%i turns in between) open no gateway to all',
  async turns => {
    const gateway = await createGateway({ ...everywhere, clients: withKeys({ ci: {} }) })
    const first = turns < 0 ? gateway.listen() : undefined
    const reloaded = gateway.reload(everywhere)
    for (let at = 0; at < turns; at++) await turn()
    const [listening, reload] = await Promise.allSettled([first ?? gateway.listen(), reloaded])
    if (listening.status === 'fulfilled') {
      const { status } = await post(`http://127.0.0.1:${listening.value.port}/mcp`, INITIALIZE)
      expect(status).toBe(401)
    }
    const refused = [listening, reload].flatMap(one =>
      one.status === 'rejected' ? [String(one.reason)] : [],
    )
    expect(refused).toEqual([expect.stringContaining('would serve every caller that reaches 0.0.0.0')])
    await gateway.close({ timeoutMs: 0 })
  },
)

test.each([0, 5000])(
  'a listener that opens while the gateway closes within %i ms is refused and leaves its port free',
  async timeoutMs => {
    for (const turns of [0, 1, 2, 4]) {
      const port = await freePort()
      const gateway = await createGateway({ mcpServers: {}, gateway: { http: { port } } })
      gateway.handler()
      const listening = gateway.listen().then(
        () => 'open',
        (error: unknown) => String(error),
      )
      for (let at = 0; at < turns; at++) await turn()
      await gateway.close({ timeoutMs })
      // One that was open before is closed with the gateway.
      if (turns === 0) expect(await listening).toContain('it does not begin to listen')
      await listening
      await expect(fetch(`http://127.0.0.1:${port}/healthz`)).rejects.toThrow()
      await pause(50)
      await expect(fetch(`http://127.0.0.1:${port}/healthz`)).rejects.toThrow()
    }
  },
)
