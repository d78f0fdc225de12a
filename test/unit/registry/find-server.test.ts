import { expect, onTestFinished, test } from 'vitest'
import { findServer, usableAddress } from '../../../src/registry/find-server.ts'
import { GatewayError } from '../../../src/core/errors.ts'
import { startRegistry } from '../../fixtures/servers/registry.ts'

async function registryWith(
  answer: Parameters<typeof startRegistry>[0],
): Promise<Awaited<ReturnType<typeof startRegistry>>> {
  const registry = await startRegistry(answer)
  onTestFinished(() => registry.close())
  return registry
}

test('pages are read until the server is found, and the cursor is sent back as it is', async () => {
  let page = 0
  const registry = await registryWith((_request, response) => {
    page++
    const name = page === 3 ? 'io.good/notes' : `io.good/other${page}`
    response.end(JSON.stringify({ servers: [{ server: { name } }], metadata: { nextCursor: `a&b ${page}` } }))
  })
  const { server } = await findServer('io.good/notes', usableAddress(`${registry.url}/`))
  expect(server?.name).toBe('io.good/notes')
  expect(registry.asked.map(path => new URL(path, registry.url).searchParams.get('cursor'))).toEqual([
    null,
    'a&b 1',
    'a&b 2',
  ])
})

test('a registry whose pages have no end is left after five', async () => {
  const registry = await registryWith({
    servers: [{ server: { name: 'a/other' } }],
    metadata: { nextCursor: 'x' },
  })
  expect(await findServer('a/b', usableAddress(registry.url))).toEqual({
    server: undefined,
    names: ['a/other'],
  })
  expect(registry.asked).toHaveLength(5)
})

test('a signal ends the request, with its reason', async () => {
  const registry = await registryWith(() => undefined)
  const stopping = new AbortController()
  const found = findServer('a/b', usableAddress(registry.url), stopping.signal)
  await expect.poll(() => registry.asked.length).toBe(1)
  stopping.abort(new Error('stopped'))
  await expect(found).rejects.toThrow('stopped')
})

test.each([
  ['http://registry.example', 'only https:// is used'],
  ['http://127.0.0.1.evil.example', 'only https:// is used'],
  ['ftp://registry.example', 'no address of HTTP'],
  ['registry.example', 'no address'],
  ['http://ada:sekrit@registry.example', 'http://registry.example has no TLS'],
])('the address %s is refused, without its password', (base, why) => {
  let message = ''
  try {
    usableAddress(base)
  } catch (error) {
    if (error instanceof GatewayError) ({ message } = error)
  }
  expect(message).toContain(why)
  expect(message).not.toContain('sekrit')
})

test.each(['https://registry.example/', 'http://localhost:8080', 'http://[::1]:80/', 'http://127.0.0.1/a/'])(
  'the address %s is used',
  base => {
    expect(usableAddress(base).url('/v0.1/servers?x=y').href).toBe(
      `${base.replace(/\/$/, '').replace('[::1]:80', '[::1]')}/v0.1/servers?x=y`,
    )
  },
)
