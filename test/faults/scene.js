// @ts-check
import { DEADLINE_MS, REFRESH_MS } from './config.js'
import { isRunning, ReplicaProcess, replicaArgs, until, wait } from './processes.js'
import { HttpReplica } from './replica-http.js'

/**
 * One cell with the server it needs: a call of one kind that is hit by one fault, at a server with one replica or two.
 *
 * Where a fault cannot wait for a certain call, it strikes the first of two replicas, and the second is of a higher priority, so that the first gets the call.
 */

/** How long a replica is away where there is no other. */
const AWAY_MS = 100
/** How fast a runner is back depends on what else the machine does; two repeats are over after 150 to 300 ms. */
const PATIENT_RETRIES = 4
/** Starts that fail, or do not last, before there is a crash loop. */
const CRASHES = 3
/** In a crash loop the next attempt is later than any back-off. */
const LOOP_MS = 120_000
const ANY_HOST = ['127.0.0.2', '127.0.0.3', '127.0.0.4']

/**
 * @typedef {object} World
 * @property {import('./replica.js').Era} era of servers
 * @property {'stdio' | 'http'} transport
 * @property {import('./ledger.js').Ledger} ledger
 * @property {import('./dns.js').NameServer} names
 * @property {ReturnType<import('./certificates.js').makeCertificates> | undefined} certificates
 *
 * @typedef {import('./client.js').Client} Client
 */

export class Scene {
  /** @type {Record<string, unknown>[]} */
  replicas = []
  #calls = 0
  /** Servers in this process. @type {HttpReplica[]} */
  #servers = []
  /** @type {ReplicaProcess[]} */
  #processes = []

  /**
   * @param {string} id
   * @param {import('./faults.js').Fault} fault
   * @param {import('./client.js').Kind} kind
   * @param {1 | 2} count replicas
   * @param {World} world
   */
  constructor(id, fault, kind, count, world) {
    this.id = id
    this.fault = fault
    this.kind = kind
    this.count = count
    this.world = world
  }

  /** @returns {import('./config.js').ServerSettings} */
  get settings() {
    const { id, replicas, fault } = this
    const silent = fault.delivery === 'silent'
    const restartLimit = fault.at === 'start' ? { restartLimit: CRASHES } : {}
    const checks = silent && fault.name !== 'slow-headers'
    return {
      id,
      replicas,
      hedge: silent,
      checks,
      retries: this.#waits ? PATIENT_RETRIES : 2,
      ...restartLimit,
    }
  }

  /** Whether a call has to wait until this runner has opened a port again. */
  get #waits() {
    const { fault, count, world } = this
    if (count === 2 || world.transport === 'stdio') return false
    return fault.at === 'port' || fault.at === 'process' || fault.name === 'kill-running'
  }

  /** The replica that gets all calls as long as it can; `undefined` where that is left to chance. */
  get first() {
    return this.fault.at === 'call' ? undefined : `${this.id}a`
  }

  /** A key that was not used before. */
  key() {
    return `${this.id}-${++this.#calls}`
  }

  /** Opens the server. */
  async open() {
    const { fault, count, world, id } = this
    if (fault.at === 'addresses' || fault.at === 'services') return await this.#openNamed(fault.at)
    for (const [index, name] of [`${id}a`, `${id}b`].slice(0, count).entries()) {
      const priority = fault.at === 'call' ? 0 : index
      const settings = { era: world.era, name, ledger: world.ledger }
      if (world.transport === 'stdio') {
        this.replicas.push({
          name,
          priority,
          command: process.execPath,
          args: replicaArgs(settings, 'stdio'),
        })
        continue
      }
      const certificates =
        fault.at === 'certificate' && world.certificates ? { certificates: world.certificates } : {}
      const replica = fault.process
        ? new ReplicaProcess(settings)
        : new HttpReplica({ ...settings, ...certificates })
      if (replica instanceof HttpReplica) this.#servers.push(replica)
      else this.#processes.push(replica)
      await (replica instanceof HttpReplica ? replica.listen() : replica.start())
      this.replicas.push({ name, priority, url: replica.url })
    }
  }

  async close() {
    await Promise.all([...this.#servers, ...this.#processes].map(replica => replica.close()))
  }

  /** Makes the call and lets the fault strike it. @param {Client} client */
  async strike(client) {
    const key = this.key()
    const seen = await this.#strike(client, key)
    return { ...seen, key }
  }

  /** After it: whether the server can be used again. @param {Client} client */
  async recovers(client) {
    for (const server of this.#servers) server.thaw()
    if (this.fault.name === 'stopped') await Promise.all(this.#processes.map(each => each.signal('SIGCONT')))
    this.world.ledger.mendStart(`${this.id}a`)
    const end = performance.now() + 15_000
    while (performance.now() < end) {
      if ((await client.call(this.id, 'unmarked', this.key())).outcome === 'result') return true
      await wait(100)
    }
    return false
  }

  /** @param {Client} client @param {string} key @returns {Promise<import('./client.js').Seen & { struck: boolean }>} */
  async #strike(client, key) {
    const { ledger, names, transport } = this.world
    const call = () => client.call(this.id, this.kind, key)
    const [server] = this.#servers
    switch (this.fault.at) {
      case 'call': {
        ledger.arm(key, this.fault.name)
        const [process] = this.#processes
        const alone = this.#waits ? process : undefined
        if (alone) {
          await alone.standBy()
          void alone.ended().then(() => alone.restart())
        }
        const seen = await call()
        return { ...seen, struck: ledger.struck(key) }
      }
      case 'port':
        await server?.refuse()
        return await this.#whileAway(call, () => server?.listen())
      case 'certificate':
        await server?.distrust()
        return { ...(await call()), struck: (server?.failedHandshakes ?? 0) > 0 }
      case 'addresses':
      case 'services': {
        const [, moved] = this.#servers
        if (!server || !moved) throw new Error('no server that moves')
        await moved.listen()
        if (this.fault.at === 'addresses') names.setAddresses(this.#name, [moved.host])
        else names.setServices(this.#service, [{ port: moved.port, target: this.#name }])
        await server.refuse()
        // Without another replica it cannot be known before it is looked up again.
        const asked = () => names.asked(this.fault.at === 'addresses' ? this.#name : this.#service) > 0
        if (this.count === 1) {
          await until(asked, 3 * REFRESH_MS)
          await wait(100)
        }
        return { ...(await call()), struck: true }
      }
      case 'process': {
        if (transport === 'http') {
          const [process] = this.#processes
          if (this.count === 1) await process?.standBy()
          await process?.signal('SIGKILL')
          await wait(50)
          return await this.#whileAway(call, () => process?.restart())
        }
        await this.#killFirst()
        return { ...(await call()), struck: true }
      }
      default:
        return await this.#strikeStarts(client, call)
    }
  }

  /** @param {() => Promise<import('./client.js').Seen>} call @param {() => Promise<void> | undefined} back */
  async #whileAway(call, back) {
    const calling = call()
    if (this.count === 1) {
      await wait(AWAY_MS)
      await back()
    }
    const seen = await calling
    if (this.count === 2) await back()
    return { ...seen, struck: true }
  }

  /** Kills the process of the first replica, and waits until the gateway may know. */
  async #killFirst() {
    const pid = this.world.ledger.starts(`${this.id}a`).at(-1)
    if (pid === undefined) throw new Error(`${this.id}a was never started`)
    process.kill(pid, 'SIGKILL')
    await until(() => !isRunning(pid), 2000)
    await wait(150)
  }

  /** @param {Client} client @param {() => Promise<import('./client.js').Seen>} call */
  async #strikeStarts(client, call) {
    const { ledger } = this.world
    const first = `${this.id}a`
    const before = ledger.starts(first).length
    const failed = () => ledger.starts(first).length - before
    ledger.breakStart(first)
    await this.#killFirst()
    // It is the calls that start it. What was killed had answered calls, so it is no part of the loop.
    const end = performance.now() + 12_000
    while (failed() < CRASHES && performance.now() < end) {
      await client.call(this.id, 'read', this.key())
      await wait(100)
    }
    await wait(200)
    const seen = await call()
    const { text: said, retryAfterMs } = seen
    const text = `${said} (${failed()} starts failed, next one in ${retryAfterMs} ms)`
    // A server that leaves at the first question is started once more within a start, and asked the other way.
    const tooMany = failed() > 2 * CRASHES
    // Where there is another replica, no call waits for this one, and it is tried more rarely.
    if (this.count === 2) return { ...seen, text, struck: failed() > 0 && !tooMany }
    const long = retryAfterMs >= LOOP_MS
    return { ...seen, text, struck: failed() >= CRASHES && !tooMany && long }
  }

  get #name() {
    return `${this.id}.faults.example`
  }

  get #service() {
    return `_mcp._tcp.${this.#name}`
  }

  /** @param {'addresses' | 'services'} by */
  async #openNamed(by) {
    const { world, id, count } = this
    const settings = { era: world.era, ledger: world.ledger }
    const first = new HttpReplica({ ...settings, name: `${id}a`, host: ANY_HOST[0] ?? '' })
    await first.listen()
    // Where only the address changes, the port stays.
    const place = by === 'addresses' ? { host: ANY_HOST[1] ?? '', port: first.port } : { host: first.host }
    const moved = new HttpReplica({ ...settings, name: `${id}a2`, ...place })
    if (by === 'services') {
      await moved.listen()
      await moved.refuse()
    }
    this.#servers.push(first, moved)
    world.names.setAddresses(this.#name, [first.host])
    if (by === 'services') world.names.setServices(this.#service, [{ port: first.port, target: this.#name }])
    const named = { name: `${id}a`, priority: 0, url: `http://${this.#name}:${first.port}/mcp` }
    this.replicas.push(by === 'services' ? { ...named, service: '_mcp._tcp' } : named)
    if (count === 1) return
    const other = new HttpReplica({ ...settings, name: `${id}b` })
    await other.listen()
    this.#servers.push(other)
    this.replicas.push({ name: `${id}b`, priority: 1, url: other.url })
  }
}

/** How much later than its deadline a call may end on a machine that does much at once. */
export const LATEST_MS = DEADLINE_MS + 1500
