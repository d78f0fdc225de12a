import type { Socket } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { ClientCertificates } from '../../../src/auth/certificates.ts'
import { Principals } from '../../../src/auth/principals.ts'
import { configFrom } from '../../../src/config/load/load.ts'

/** Which client a connection is by the certificate that it was opened with. */

afterEach(() => {
  vi.useRealTimers()
})

test('a certificate that has expired since its connection was opened is refused', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  const { clients: configured } = await configFrom({ mcpServers: {}, clients: { ci: {} } }, { env: {} })
  const clients = configured.map(client => ({ ...client, certificates: ['ci.example'] }))
  const certificates = new ClientCertificates(clients, new Principals(clients))
  const valid_to = new Date(Date.now() + 3_600_000).toUTCString()
  const shown = { subject: { CN: 'ci.example' }, valid_to }
  const socket = { authorized: true, getPeerCertificate: () => shown } as unknown as Socket
  expect(certificates.credential(socket)).toMatchObject({ expiresAt: Date.parse(valid_to) })
  vi.setSystemTime(Date.now() + 3_600_000)
  expect(() => certificates.credential(socket)).toThrow('has expired')
})
