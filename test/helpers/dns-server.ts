import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIP } from 'node:net'

export interface SrvRecord {
  readonly target: string
  readonly port: number
  readonly priority?: number
  readonly weight?: number
}

/** A name server on loopback that says what a test lets it say. */
export interface DnsServer extends AsyncDisposable {
  /** For `gateway.dns.servers`. */
  readonly address: string
  /** Name → addresses of either family. */
  readonly addresses: Map<string, readonly string[]>
  readonly services: Map<string, readonly SrvRecord[]>
  /** Whether it answers with a failure of its own (SERVFAIL). */
  failing: boolean
  /** Names in the order in which they were asked for. */
  readonly asked: string[]
}

const TYPES = { A: 1, AAAA: 28, SRV: 33 }

export async function startDnsServer(): Promise<DnsServer> {
  const socket = createSocket('udp4')
  const server = {
    address: '',
    addresses: new Map<string, readonly string[]>(),
    services: new Map<string, readonly SrvRecord[]>(),
    failing: false,
    asked: [] as string[],
    async [Symbol.asyncDispose]() {
      socket.close()
      await once(socket, 'close')
    },
  }
  socket.on('message', (query, { address, port }) => {
    const { name, type, end } = questionOf(query)
    server.asked.push(name)
    const records = server.failing ? [] : recordsOf(server, name, type)
    const known = server.addresses.has(name) || server.services.has(name)
    const header = Buffer.alloc(12)
    query.copy(header, 0, 0, 2)
    // A response to a standard query; SERVFAIL, no error, or NXDOMAIN.
    header.writeUInt16BE(0x8180 | (server.failing ? 2 : known ? 0 : 3), 2)
    header.writeUInt16BE(1, 4)
    header.writeUInt16BE(records.length, 6)
    const answers = records.map(data => {
      const fixed = Buffer.alloc(12)
      // The name is that of the question, at offset 12.
      fixed.writeUInt16BE(0xc00c, 0)
      fixed.writeUInt16BE(type, 2)
      fixed.writeUInt16BE(1, 4)
      fixed.writeUInt32BE(0, 6)
      fixed.writeUInt16BE(data.length, 10)
      return Buffer.concat([fixed, data])
    })
    socket.send(Buffer.concat([header, query.subarray(12, end), ...answers]), port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  server.address = `127.0.0.1:${socket.address().port}`
  return server
}

function questionOf(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 }
}

function recordsOf({ addresses, services }: DnsServer, name: string, type: number): Buffer[] {
  const of = (family: number): string[] =>
    (addresses.get(name) ?? []).filter(address => isIP(address) === family)
  if (type === TYPES.A) return of(4).map(address => Buffer.from(address.split('.').map(Number)))
  if (type === TYPES.AAAA) return of(6).map(bytesOfV6)
  if (type !== TYPES.SRV) return []
  return (services.get(name) ?? []).map(({ target, port, priority = 0, weight = 0 }) => {
    const fixed = Buffer.alloc(6)
    fixed.writeUInt16BE(priority, 0)
    fixed.writeUInt16BE(weight, 2)
    fixed.writeUInt16BE(port, 4)
    const labels = target.split('.').map(label => Buffer.from([label.length, ...Buffer.from(label)]))
    return Buffer.concat([fixed, ...labels, Buffer.from([0])])
  })
}

function bytesOfV6(address: string): Buffer {
  const [head = '', tail] = address.split('::')
  const words = (part: string): number[] =>
    part.split(':').flatMap(word => (word === '' ? [] : parseInt(word, 16)))
  const first = words(head)
  const last = tail === undefined ? [] : words(tail)
  const all = [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last]
  return Buffer.from(all.flatMap(word => [word >> 8, word & 255]))
}
