import { expect, test } from 'vitest'
import { configFrom } from '../../../src/config/load/load.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { clientPrincipal } from '../../../src/core/principal.ts'
import { atOnce } from '../../../src/core/slices.ts'
import { merging } from '../../../src/catalog/merging.ts'
import { View } from '../../../src/catalog/view.ts'
import { compilePolicies } from '../../../src/policy/policies.ts'

/** The tool that logs in at a server is there for the clients that may use anything of the server. */

async function toolsOf(client: string, needsLogin: boolean): Promise<string[]> {
  const config = await configFrom(
    {
      mcpServers: { mail: { url: 'https://mail.example/mcp' }, other: { url: 'https://other.example/mcp' } },
      clients: {
        reads: { allow: ['mail/read_*'] },
        elsewhere: { allow: ['other/*'] },
        open: {},
      },
    },
    { env: {} },
  )
  const [server] = config.servers
  if (!server) throw new Error('no server')
  const member = { server, prefix: 'mail', snapshot: undefined, needsLogin }
  const policies = await compilePolicies(config, SILENT)
  const merged = atOnce(merging({ members: [member], maxNameLength: 64, logger: SILENT }))
  const view = atOnce(
    View.making({
      name: '',
      merged,
      policy: policies.of(clientPrincipal(client)),
      pageSize: 100,
      ttlMs: 0,
      personal: true,
      serverInfo: '{}',
    }),
  )
  const [route] = view.entries('tools').map(({ route: found }) => view.tool(found.exposed))
  if (route) expect(route).toMatchObject({ server: 'mail', isLogin: true, exposed: 'mail__log_in' })
  return view.entries('tools').map(({ route: { exposed } }) => exposed)
}

test.each([
  ['open', true, ['mail__log_in']],
  ['reads', true, ['mail__log_in']],
  ['elsewhere', true, []],
  ['open', false, []],
])('client %s, the server needs a login: %s', async (client, needsLogin, tools) => {
  expect(await toolsOf(client, needsLogin)).toEqual(tools)
})
