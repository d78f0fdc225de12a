import { expect, test } from 'vitest'
import { configFrom } from '../../../../src/config/load/load.ts'
import { Reloader } from '../../../../src/config/source/reloader.ts'
import { SILENT } from '../../../../src/core/logger.ts'

test('a configuration that comes while the gateway ends is not said to be in effect', async () => {
  const [config, next] = await Promise.all(
    [{}, { a: { command: 'a' } }].map(mcpServers => configFrom({ mcpServers }, { env: {} })),
  )
  if (!config || !next) throw new Error('no configuration')
  const said: string[] = []
  const reloader = new Reloader({
    config,
    source: {
      name: 'The file',
      read: () => Promise.resolve({ config: next, digest: 'd', problems: undefined, problem: undefined }),
      watch: () => Promise.resolve(),
      close: () => Promise.resolve(),
    } as never,
    target: {
      reload: () => Promise.resolve({ applied: false, superseded: false, notReloadable: [] }),
      unreadable: () => {},
    },
    logger: { ...SILENT, info: text => void said.push(text), error: text => void said.push(text) },
  })
  expect(await reloader.reload()).toMatchObject({
    outcome: 'invalid',
    problem: expect.stringContaining('shutting down') as string,
  })
  expect(reloader.config).toBe(config)
  expect(said.join(' ')).not.toContain('is in effect')
  await reloader.close()
})
