import { expect, test } from 'vitest'
import { startDnsServer } from '../../helpers/dns-server.ts'
import { startGateway } from '../../helpers/gateway.ts'
import { startOddServer } from '../../helpers/odd-authorization-server.ts'

test('an authorization server is looked up at the name servers of the configuration', async () => {
  await using dns = await startDnsServer()
  dns.addresses.set('as.test', ['127.0.0.1'])
  await using odd = await startOddServer()
  odd.named = odd.origin.replace('127.0.0.1', 'as.test')
  odd.oddities.calls = odd.named
  await using gateway = await startGateway({
    gateway: { dns: { servers: [dns.address] } },
    mcpServers: { odd: { url: odd.url } },
  })
  const { url } = await gateway.gateway.operations.beginLogin('odd', 'gateway')
  expect(url).toContain('/oauth/login/')
  expect(dns.asked).toContain('as.test')
})
