// @ts-check
import { createSocket } from 'node:dgram'
import { once } from 'node:events'

/**
 * A name server for A and SRV records that change at will (RFC 1035, RFC 2782). Everything else has no records.
 */

const TYPE_A = 1
const TYPE_SRV = 33
const CLASS_IN = 1
const NO_SUCH_NAME = 3

/** @typedef {{ port: number, target: string }} Service */

export class NameServer {
  #socket = createSocket('udp4')
  /** @type {Map<string, readonly string[]>} */
  #addresses = new Map()
  /** @type {Map<string, readonly Service[]>} */
  #services = new Map()
  /** How often each name was asked for since it was last set. @type {Map<string, number>} */
  #asked = new Map()

  async listen() {
    this.#socket.on('message', (query, from) => {
      const reply = this.#answer(query)
      if (reply) this.#socket.send(reply, from.port, from.address)
    })
    this.#socket.bind(0, '127.0.0.1')
    await once(this.#socket, 'listening')
  }

  /** `address:port` */
  get address() {
    return `127.0.0.1:${this.#socket.address().port}`
  }

  /** @param {string} name @param {readonly string[]} addresses IPv4 */
  setAddresses(name, addresses) {
    this.#addresses.set(name, addresses)
    this.#asked.delete(name)
  }

  /** @param {string} name as `_service._protocol.host` @param {readonly Service[]} services */
  setServices(name, services) {
    this.#services.set(name, services)
    this.#asked.delete(name)
  }

  /** How often the name was asked for since it was last set. @param {string} name */
  asked(name) {
    return this.#asked.get(name) ?? 0
  }

  close() {
    this.#socket.close()
  }

  /** @param {Buffer} query @returns {Buffer | undefined} */
  #answer(query) {
    if (query.length < 17) return undefined
    const { labels, end } = nameAt(query, 12)
    const name = labels.join('.').toLowerCase()
    const type = query.readUInt16BE(end)
    const question = query.subarray(12, end + 4)
    const known = this.#addresses.has(name) || this.#services.has(name)
    const records =
      type === TYPE_A
        ? (this.#addresses.get(name) ?? []).map(address => Buffer.from(address.split('.').map(Number)))
        : type === TYPE_SRV
          ? (this.#services.get(name) ?? []).map(serviceData)
          : []
    if (records.length > 0) this.#asked.set(name, this.asked(name) + 1)
    const head = Buffer.alloc(12)
    query.copy(head, 0, 0, 2)
    // An authoritative answer; recursion as it was asked for.
    head.writeUInt16BE(0x8400 | (query.readUInt16BE(2) & 0x0100) | (known ? 0 : NO_SUCH_NAME), 2)
    head.writeUInt16BE(1, 4)
    head.writeUInt16BE(records.length, 6)
    return Buffer.concat([head, question, ...records.flatMap(data => [recordHead(type, data.length), data])])
  }
}

/** @param {number} type @param {number} length of the data */
function recordHead(type, length) {
  const head = Buffer.alloc(12)
  // The name is that of the question.
  head.writeUInt16BE(0xc00c, 0)
  head.writeUInt16BE(type, 2)
  head.writeUInt16BE(CLASS_IN, 4)
  // It may not be cached.
  head.writeUInt32BE(0, 6)
  head.writeUInt16BE(length, 10)
  return head
}

/** @param {Service} service */
function serviceData({ port, target }) {
  const head = Buffer.alloc(6)
  head.writeUInt16BE(port, 4)
  const labels = target.split('.').map(label => Buffer.from([label.length, ...Buffer.from(label)]))
  return Buffer.concat([head, ...labels, Buffer.from([0])])
}

/** @param {Buffer} query @param {number} start */
function nameAt(query, start) {
  /** @type {string[]} */
  const labels = []
  let at = start
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { labels, end: at + 1 }
}
