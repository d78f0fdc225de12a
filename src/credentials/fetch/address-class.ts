import { BlockList, isIP } from 'node:net'

/**
 * How far an address reaches. `metadata`: where clouds hand out credentials of the machine. `unusable`: multicast,
 * broadcast, and ranges that are never the address of a host.
 */
export type AddressClass = 'public' | 'private' | 'loopback' | 'link-local' | 'metadata' | 'unusable'

type Range = readonly [network: string, prefix: number]

/** In the order in which they are tried. */
const IPV4: readonly (readonly [AddressClass, readonly Range[]])[] = [
  [
    'metadata',
    [
      ['169.254.169.254', 32],
      ['169.254.169.253', 32],
      ['169.254.170.2', 32],
      ['169.254.170.23', 32],
      ['100.100.100.200', 32],
      ['168.63.129.16', 32],
      ['192.0.0.192', 32],
    ],
  ],
  // A connection to 0.0.0.0 ends at this machine.
  [
    'loopback',
    [
      ['127.0.0.0', 8],
      ['0.0.0.0', 32],
    ],
  ],
  ['link-local', [['169.254.0.0', 16]]],
  [
    'private',
    [
      ['10.0.0.0', 8],
      ['172.16.0.0', 12],
      ['192.168.0.0', 16],
      // Shared by the customers of a provider (RFC 6598), and for benchmarks (RFC 2544).
      ['100.64.0.0', 10],
      ['198.18.0.0', 15],
    ],
  ],
  [
    'unusable',
    [
      ['0.0.0.0', 8],
      ['192.0.0.0', 24],
      ['192.0.2.0', 24],
      ['192.88.99.0', 24],
      ['198.51.100.0', 24],
      ['203.0.113.0', 24],
      ['224.0.0.0', 3],
    ],
  ],
]

/** Only 2000::/3 is given to hosts of the Internet; whatever is not named here is outside of it or unusable. */
const IPV6: readonly (readonly [AddressClass, readonly Range[]])[] = [
  [
    'metadata',
    [
      ['fd00:ec2::254', 128],
      ['fd00:ec2::23', 128],
      ['fd20:ce::254', 128],
    ],
  ],
  [
    'loopback',
    [
      ['::1', 128],
      ['::', 128],
    ],
  ],
  ['link-local', [['fe80::', 10]]],
  [
    'private',
    [
      ['fc00::', 7],
      ['fec0::', 10],
      // Translated inside of a network (RFC 8215).
      ['64:ff9b:1::', 48],
    ],
  ],
  [
    'unusable',
    [
      ['2001::', 23],
      ['2001:db8::', 32],
      ['3fff::', 20],
    ],
  ],
  ['public', [['2000::', 3]]],
]

const LISTS = {
  ipv4: IPV4.map(([name, ranges]) => [name, listOf(ranges, 'ipv4')] as const),
  ipv6: IPV6.map(([name, ranges]) => [name, listOf(ranges, 'ipv6')] as const),
}

/** The class of an IP address, without brackets. An IPv4 address inside an IPv6 address counts as what it is. */
export function addressClass(address: string): AddressClass {
  const [plain = ''] = address.split('%')
  switch (isIP(plain)) {
    case 4:
      return LISTS.ipv4.find(([, list]) => list.check(plain, 'ipv4'))?.[0] ?? 'public'
    case 6: {
      const inner = embeddedIPv4(plain)
      return inner === undefined
        ? (LISTS.ipv6.find(([, list]) => list.check(plain, 'ipv6'))?.[0] ?? 'unusable')
        : addressClass(inner)
    }
    default:
      return 'unusable'
  }
}

/** The IPv4 address that a connection to an IPv6 address ends at: mapped, compatible, translated, NAT64, 6to4. */
function embeddedIPv4(address: string): string | undefined {
  const words = wordsOf(address)
  const startsWith = (...first: number[]): boolean => first.every((word, at) => words[at] === word)
  const at = (index: number): string =>
    [words[index] ?? 0, words[index + 1] ?? 0].flatMap(word => [word >> 8, word & 255]).join('.')
  if (startsWith(0, 0, 0, 0, 0, 0xffff) || startsWith(0, 0, 0, 0, 0xffff, 0)) return at(6)
  if (startsWith(0x64, 0xff9b, 0, 0, 0, 0)) return at(6)
  if (startsWith(0x2002)) return at(1)
  // `::` and `::1` are addresses of their own.
  if (startsWith(0, 0, 0, 0, 0, 0) && (words[6] !== 0 || (words[7] ?? 0) > 1)) return at(6)
  return undefined
}

function wordsOf(address: string): number[] {
  const { hostname } = new URL(`http://[${address}]/`)
  const [head = '', tail] = hostname.slice(1, -1).split('::')
  const words = (part: string): number[] =>
    part === '' ? [] : part.split(':').map(word => parseInt(word, 16))
  const [first, last] = [words(head), words(tail ?? '')]
  return [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last]
}

function listOf(ranges: readonly Range[], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList()
  for (const [network, prefix] of ranges) list.addSubnet(network, prefix, family)
  return list
}
