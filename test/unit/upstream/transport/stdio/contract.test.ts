import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import { SILENT } from '../../../../../src/core/logger.ts'
import { createReaper } from '../../../../../src/upstream/transport/stdio/orphan-reaper.ts'
import { createStdioTransport } from '../../../../../src/upstream/transport/stdio/stdio.ts'
import { STDIO_TRAITS } from '../../../../../src/upstream/transport/stdio/traits.ts'
import type { Transport } from '../../../../../src/upstream/transport/shared/transport.ts'
import { describeTransport } from '../../../../contract/transport.ts'

const RAW = fileURLToPath(new URL('../../../../fixtures/servers/raw.js', import.meta.url))

function transportTo(command: string, args: readonly string[], maxMessageBytes: number): Transport {
  const reaper = createReaper()
  afterAll(() => reaper.close())
  return createStdioTransport({
    server: 'peer',
    endpoint: { kind: 'stdio', command, args, env: {}, cwd: process.cwd() },
    maxMessageBytes,
    logger: SILENT,
    reaper,
  })
}

describeTransport('stdio', {
  create: async ({ maxMessageBytes }) => ({
    transport: transportTo(process.execPath, [RAW], maxMessageBytes),
    stop: async () => {},
  }),
  unreachable: async () => transportTo('no-such-command-anywhere', [], 1000),
  traits: STDIO_TRAITS,
})
