import { describe, expect, test } from 'vitest'
import { Destinations } from '../../../../src/credentials/fetch/destinations.ts'

const NAMES: Readonly<Record<string, readonly string[]>> = {
  'public.test': ['8.8.8.8', '2606:4700::1111'],
  'private.test': ['10.0.0.1'],
  'mixed.test': ['8.8.8.8', '10.0.0.1'],
  'metadata.test': ['169.254.169.254'],
  'loopback.test': ['127.0.0.1'],
  'empty.test': [],
}

async function mayLead(serverUrl: string, url: string): Promise<string> {
  const destinations = new Destinations(serverUrl, host => {
    const found = NAMES[host]
    if (!found) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })
    return Promise.resolve(found)
  })
  return await destinations.addressesOf(new URL(url)).then(
    addresses => addresses.join(' '),
    (error: unknown) => (error as { failure?: string }).failure ?? String(error),
  )
}

describe('a server at a public address', () => {
  test.each([
    ['https://public.test/', '8.8.8.8 2606:4700::1111'],
    ['https://8.8.8.8/', '8.8.8.8'],
    ['http://public.test/', 'url'],
    ['ftp://public.test/', 'url'],
    ['https://user:password@public.test/', 'url'],
    ['https://private.test/', 'address'],
    ['https://mixed.test/', 'address'],
    ['https://metadata.test/', 'address'],
    ['https://loopback.test/', 'address'],
    ['https://localhost/', 'address'],
    ['https://a.localhost/', 'address'],
    ['http://localhost/', 'address'],
    ['https://127.0.0.1./', 'address'],
    ['https://2130706433/', 'address'],
    ['https://0177.0.0.1/', 'address'],
    ['https://0x7f.1/', 'address'],
    ['https://127.1/', 'address'],
    ['https://0/', 'address'],
    ['https://[::]/', 'address'],
    ['https://[::ffff:127.0.0.1]/', 'address'],
    ['https://[::ffff:7f00:1]/', 'address'],
    ['https://[64:ff9b::a9fe:a9fe]/', 'address'],
    ['https://①②⑦.0.0.1/', 'address'],
    ['https://[fe80::1]/', 'address'],
    ['https://[ff02::1]/', 'address'],
    ['https://169.254.169.254/latest/meta-data/', 'address'],
    ['https://unknown.test/', 'unreachable'],
    ['https://empty.test/', 'unreachable'],
  ])('leads to %s: %s', async (url, expected) => {
    expect(await mayLead('https://public.test/mcp', url)).toBe(expected)
    expect(await mayLead('https://8.8.8.8/mcp', url)).toBe(expected)
  })
})

test.each([
  // A server on this machine.
  ['http://127.0.0.1:3000/mcp', 'http://127.0.0.1:4000/', '127.0.0.1'],
  ['http://localhost:3000/mcp', 'http://localhost:4000/', '127.0.0.1 ::1'],
  ['https://localhost:3000/mcp', 'http://[::1]:4000/', '::1'],
  ['http://0.0.0.0:3000/mcp', 'http://127.0.0.1/', '127.0.0.1'],
  ['http://localhost:3000/mcp', 'https://private.test/', '10.0.0.1'],
  ['http://localhost:3000/mcp', 'https://public.test/', '8.8.8.8 2606:4700::1111'],
  ['http://localhost:3000/mcp', 'http://public.test/', 'url'],
  ['http://localhost:3000/mcp', 'https://metadata.test/', 'address'],
  // A server at a private address.
  ['http://10.0.0.5/mcp', 'http://private.test/', '10.0.0.1'],
  ['https://10.0.0.5/mcp', 'https://private.test/', '10.0.0.1'],
  ['https://10.0.0.5/mcp', 'http://private.test/', 'url'],
  ['https://10.0.0.5/mcp', 'https://localhost/', '127.0.0.1 ::1'],
  ['https://10.0.0.5/mcp', 'https://[fe80::1]/', 'address'],
  ['https://10.0.0.5/mcp', 'https://metadata.test/', 'address'],
  // A name opens less than an address does.
  ['https://private.test/mcp', 'https://10.9.9.9/', '10.9.9.9'],
  ['https://private.test/mcp', 'https://localhost/', 'address'],
  ['https://mixed.test/mcp', 'https://private.test/', 'address'],
  ['https://loopback.test/mcp', 'https://localhost/', 'address'],
  ['https://metadata.test/mcp', 'https://metadata.test/', 'address'],
])('the server %s leads to %s: %s', async (server, url, expected) => {
  expect(await mayLead(server, url)).toBe(expected)
})

test('a server whose name was public once opens nothing private later', async () => {
  let own = '8.8.8.8'
  const destinations = new Destinations('https://server.test/mcp', host =>
    Promise.resolve(host === 'server.test' ? [own] : ['10.0.0.1']),
  )
  const to = new URL('https://inside.test/')
  await expect(destinations.addressesOf(to)).rejects.toMatchObject({ failure: 'address' })
  own = '10.0.0.2'
  await expect(destinations.addressesOf(to)).rejects.toMatchObject({ failure: 'address' })
})

test('an error names the hosts, the cause and the fix, and no address, path or password', async () => {
  const destinations = new Destinations('https://public.test/mcp?key=s3cret', host =>
    Promise.resolve(NAMES[host] ?? []),
  )
  const error: unknown = await destinations
    .addressesOf(new URL('https://private.test:8443/token?code=s3cret'))
    .catch((error: unknown) => error)
  expect((error as Error).message).toBe(
    'private.test:8443 has a private address, and the server public.test, which leads there, does not. Fix: check what public.test names as its authorization server, and the DNS records of private.test:8443.',
  )
})
