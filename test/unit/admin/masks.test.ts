import { expect, test } from 'vitest'
import { masked } from '../../../src/admin/masks.ts'

test('a server and a tool that are named as a key with secrets are shown, and their own secrets are masked', () => {
  const entry = { command: 'x', timeout: '5s', env: { A: 'sekrit' }, tools: { headers: { fallback: 'b' } } }
  const shown = { ...entry, env: { A: '***' } }
  const remote = { url: 'https://a.example', headers: { 'x-a': 'sekrit' } }
  const config = { mcpServers: { env: entry, headers: remote }, clients: { env: { rate: '3/min' } } }
  expect(masked(config)).toEqual({
    mcpServers: { env: shown, headers: { ...remote, headers: { 'x-a': '***' } } },
    clients: config.clients,
  })
})

test('what the format does not have below a name stays masked, since it may be a misplaced variable', () => {
  const misplaced = { env: { PROXY: 'sekrit' } }
  expect(masked({ mcpServers: misplaced, servers: { a: { environment: misplaced } } })).toEqual({
    mcpServers: { env: { PROXY: '***' } },
    servers: { a: { environment: { env: { PROXY: '***' } } } },
  })
})

test('the keys of the vault are masked, unless they are variables', () => {
  const vault = { keys: ['sekrit', '${VAULT_KEY}'], keySource: 'file' }
  expect(masked({ gateway: { vault } })).toEqual({
    gateway: { vault: { keys: ['***', '${VAULT_KEY}'], keySource: 'file' } },
  })
})
