// @ts-check
import { openLegacy, openModern } from './client.js'
import { keyOf } from './keys.js'
import { isReplaced } from './whole-updates.js'

/**
 * One client of the run: does random things, several at a time, and checks that whatever reaches it is its own.
 */

/** How long what was sent before a client left may be on its way. */
const CROSSING_MS = 1000
const LEVELS = ['debug', 'info', 'warning', 'error']
const LANES = 3
/** How long a call may take before it counts as lost. */
export const PATIENCE_MS = 45_000
const wait = (/** @type {number} */ ms) => new Promise(resolve => setTimeout(resolve, ms))

/**
 * @typedef {object} World
 * @property {string} origin
 * @property {import('./ledger.js').Ledger} ledger
 * @property {'legacy' | 'modern'} era of the server
 * @property {'stdio' | 'http'} transport of the server
 * @property {boolean} restarts whether the server dies now and then
 * @property {Touch[]} touches
 * @property {string[]} uris
 *
 * A touched resource.
 * @typedef {object} Touch
 * @property {string} nonce
 * @property {string} uri
 * @property {number} begun
 * @property {number} ended Infinity when the call failed
 *
 * @typedef {object} Call
 * @property {string} nonce
 * @property {string} token as JSON
 * @property {number} progress received
 * @property {string[]} logs levels received
 * @property {boolean} cancelled
 * @property {any} result
 *
 * Resources that are listened to, from one time to another.
 * @typedef {object} Listening
 * @property {Set<string>} uris
 * @property {number} from
 * @property {number} until touches that were answered by then had to be heard
 * @property {number} gone when its end was confirmed
 * @property {Map<string, number>} heard touches by nonce
 * @property {import('./whole-updates.js').WholeUpdate[]} whole heard updates of whole resources
 * @property {boolean} isOver whether its stream was ended by the gateway, and is not resumed
 * @property {number} sure all touches answered by then were before one that was heard
 * @property {string | undefined} last the nonce of the touch after which it ends
 * @property {import('./stream-state.js').StreamState} stream on which it listens
 */

export class Actor {
  /** @type {Map<string, Call>} */
  calls = new Map()
  /** @type {Listening[]} */
  listenings = []
  /** Streams that stay open until the client leaves them. @type {import('./stream-state.js').StreamState[]} */
  streams = []
  listChanges = 0
  stopped = false
  /** @type {string[]} */
  #freeTokens
  #lastCall = 0
  /** @type {Set<() => void>} */
  #standing = new Set()

  /**
   * @param {number} index
   * @param {World} world
   * @param {import('./random.js').Random} random
   */
  constructor(index, world, random) {
    this.index = index
    this.world = world
    this.random = random
    this.modern = index % 2 === 1
    // Two in three can be asked.
    this.asks = index % 3 !== 2
    // On one pipe a question of one of several calls reaches their principal, so each of these is one.
    this.hasKey = world.era === 'legacy' && world.transport === 'stdio' && this.modern && this.asks
    this.level = random.pick([undefined, ...LEVELS])
    // Equal for all clients, and used again and again.
    this.#freeTokens = Array.from({ length: LANES }, (_, k) =>
      this.index % 4 < 2 ? String(k + 1) : `"${k + 1}"`,
    )
  }

  async open() {
    const capabilities = this.asks ? { elicitation: {}, sampling: {}, roots: { listChanged: true } } : {}
    if (this.modern) {
      const key = this.hasKey ? keyOf(this.index) : undefined
      this.client = openModern(this.world.origin, capabilities, this.level, key)
      await this.#listen(false)
    } else {
      this.client = await openLegacy(this.world.origin, capabilities, message =>
        this.#hear(message, undefined),
      )
      this.streams.push(this.#legacy.standalone)
      if (this.level !== undefined) await this.#simple('logging/setLevel', { level: this.level })
    }
  }

  /** Acts until `stopped`; resolves when nothing is under way any more. */
  async act() {
    await Promise.all([...Array.from({ length: LANES }, () => this.#lane()), this.#subscribe()])
  }

  async close() {
    for (const end of this.#standing) end()
    await this.client?.close()
  }

  async #lane() {
    while (!this.stopped) {
      const dice = this.random.next()
      if (dice < 0.72) await this.#work()
      else if (dice < 0.84) await this.touch(this.random.pick(this.world.uris))
      else if (dice < 0.92) await this.#read()
      else if (dice < 0.95) await this.#simple('tools/list', {})
      else await this.#simple(this.modern ? 'server/discover' : 'ping', {})
      await wait(this.random.between(0, 20))
    }
  }

  #nonce() {
    return `c${this.index}.${++this.#lastCall}`
  }

  /** @param {unknown} nonce */
  #owns(nonce) {
    return typeof nonce === 'string' && nonce.startsWith(`c${this.index}.`)
  }

  /** @param {string} what @param {unknown} got */
  #foreign(what, got) {
    this.world.ledger.misdelivered.push(`client ${this.index}: ${what}: ${JSON.stringify(got)}`)
  }

  async #work() {
    const { random } = this
    const { ledger } = this.world
    const nonce = this.#nonce()
    const token = random.chance(0.85) ? this.#freeTokens.pop() : undefined
    /** @type {Call} */
    const call = { nonce, token: token ?? 'none', progress: 0, logs: [], cancelled: false, result: undefined }
    this.calls.set(nonce, call)
    const steps = Array.from({ length: random.between(1, 6) }, () => this.#step())
    const params = {
      name: 'crosstalk__work',
      arguments: { nonce, client: this.index, steps, stubborn: random.chance(0.5) },
      _meta: token === undefined ? {} : { progressToken: JSON.parse(token) },
    }
    ledger.count('calls')
    const mayCancel = random.chance(0.15)
    const cancelAfter = random.between(0, 60)
    /** @type {{ inputResponses?: object, requestState?: string }} */
    let more = {}
    for (;;) {
      const sent = this.#opened.request('tools/call', { ...params, ...more }, message =>
        this.#hear(message, call),
      )
      const timer = mayCancel ? setTimeout(() => this.#cancel(call, sent), cancelAfter) : undefined
      const message = await this.#inTime(sent, nonce)
      clearTimeout(timer)
      if (message === 'late') break
      if (message === undefined && !call.cancelled && this.world.restarts === false)
        ledger.lost.push(`client ${this.index}: no answer to ${nonce}`)
      if (message?.result?.resultType !== 'input_required') {
        this.#end(call, message)
        break
      }
      more = {
        inputResponses: await this.#answers(call, message.result),
        requestState: message.result.requestState,
      }
      if (call.cancelled) {
        ledger.count('calls: cancelled')
        break
      }
    }
    if (token !== undefined) this.#freeTokens.push(token)
  }

  #step() {
    const { random } = this
    const dice = random.next()
    if (dice < 0.25) return { do: 'progress' }
    if (dice < 0.5) return { do: 'log', level: random.pick(LEVELS) }
    if (dice < 0.75 && this.asks)
      return {
        do: 'ask',
        kind: random.pick(['elicitation', 'sampling', 'roots']),
        count: random.between(1, 3),
        chatter: random.chance(0.2),
      }
    return { do: 'wait', ms: random.between(0, 40) }
  }

  /** @param {Call} call @param {import('./client.js').Message | undefined} message */
  #end(call, message) {
    const { ledger, restarts } = this.world
    if (message === undefined) {
      ledger.count(call.cancelled ? 'calls: cancelled' : 'calls: connection ended')
      return
    }
    const error = errorOf(message)
    if (error !== undefined) {
      ledger.count(`calls: error ${error}`)
      if (!restarts && !call.cancelled)
        ledger.unexplained.push(`client ${this.index}: ${call.nonce}: ${JSON.stringify(message)}`)
      return
    }
    const got = message.result?.structuredContent
    if (got?.nonce !== call.nonce) this.#foreign(`answer to ${call.nonce}`, message)
    ledger.count('calls: own result')
    call.result = got
  }

  /** @param {Call} call @param {import('./client.js').Sent & { id: number }} sent */
  #cancel(call, sent) {
    if (call.cancelled) return
    call.cancelled = true
    if (this.#opened.modern) sent.abort()
    else
      void this.#legacy.notify('notifications/cancelled', { requestId: sent.id, reason: 'changed my mind' })
  }

  /** @param {Call | undefined} call @param {any} result */
  async #answers(call, result) {
    this.world.ledger.count('questions: rounds')
    await wait(this.random.between(0, 30))
    /** @type {Record<string, object>} */
    const answers = {}
    for (const [key, request] of Object.entries(result.inputRequests)) {
      const answer = this.#answerTo(request, call)
      if (answer) answers[key] = answer
    }
    return answers
  }

  /** @param {{ method?: string, params?: any }} question @param {Call | undefined} call on whose stream it came */
  #answerTo({ method, params }, call) {
    const { ledger } = this.world
    ledger.count('questions')
    const text = method === 'elicitation/create' ? params?.message : params?.messages?.[0]?.content?.text
    const mark = method === 'roots/list' ? params?._meta?.mark : String(text).replace('[crosstalk] ', '')
    const nonce = String(mark).split('#')[0]
    if (!this.#owns(nonce)) {
      this.#foreign('question', { method, params })
      return undefined
    }
    if (call && call.nonce !== nonce) {
      // On one stdio pipe, which call of a client is meant cannot be known; that it is one of this client can.
      if (this.world.transport === 'stdio' && this.world.era === 'legacy')
        ledger.count('questions: on a sibling’s stream')
      else this.#foreign(`question of ${nonce} on the stream of ${call.nonce}`, params)
    }
    const _meta = { mark }
    if (method === 'roots/list') return { roots: [{ uri: `file:///client/${this.index}` }], _meta }
    if (method === 'sampling/createMessage')
      return { role: 'assistant', model: 'none', content: { type: 'text', text: 'well' }, _meta }
    return this.random.chance(0.2)
      ? { action: 'decline', _meta }
      : { action: 'accept', content: { mark }, _meta }
  }

  /** Anything but an answer. @param {import('./client.js').Message} message @param {Call | undefined} call on whose stream it came */
  #hear(message, call) {
    const { ledger } = this.world
    const { id, method, params } = message
    if (method === undefined) {
      ledger.doubled.push(`client ${this.index}: an answer without a request: ${JSON.stringify(message)}`)
      return
    }
    if (id !== undefined) {
      if (method === 'ping') return void this.#legacy.reply(id, {})
      const answer = this.#answerTo(message, call)
      if (answer) setTimeout(() => void this.#legacy.reply(id, answer), this.random.between(0, 30))
      return
    }
    switch (method) {
      case 'notifications/progress': {
        ledger.count('progress')
        const own = this.calls.get(params.message)
        if (!own || (call && call !== own) || JSON.stringify(params.progressToken) !== own.token)
          this.#foreign(`progress on the stream of ${call?.nonce}`, params)
        else own.progress++
        return
      }
      case 'notifications/message': {
        ledger.count('logs')
        const own = this.calls.get(params.data?.nonce)
        if (!own || (call && call !== own && this.world.transport === 'http'))
          this.#foreign(`log record on the stream of ${call?.nonce}`, params)
        else if (this.level !== undefined && LEVELS.indexOf(params.level) < LEVELS.indexOf(this.level))
          this.#foreign('log record below the level', params)
        else own.logs.push(params.level)
        return
      }
      case 'notifications/resources/updated':
        this.#updated(params)
        return
      case 'notifications/tools/list_changed':
        this.listChanges++
        return
      case 'notifications/cancelled':
        ledger.count('questions: withdrawn')
        return
      default:
        if (method !== 'notifications/resources/list_changed') this.#foreign('unknown message', message)
    }
  }

  /** @param {any} params @param {Listening} [listening] the stream it came on */
  #updated(params, listening) {
    const { ledger } = this.world
    ledger.count('updates')
    const nonce = params._meta?.nonce
    const possible = listening ? [listening] : this.listenings
    if (nonce === undefined) {
      // The gateway's own, for subscribers only: the server was away, or too many updates wait.
      const at = performance.now()
      const meant = possible.filter(({ uris, gone }) => uris.has(params.uri) && gone >= at - CROSSING_MS)
      if (meant.length === 0) this.#foreign('update of a whole resource', params)
      else ledger.count('updates: of a whole resource')
      for (const { whole, sure } of meant) whole.push({ uri: params.uri, at, after: sure })
      return
    }
    const touch = this.world.touches.find(candidate => candidate.nonce === nonce)
    const meant =
      touch && touch.uri === params.uri
        ? possible.filter(({ uris, gone }) => uris.has(params.uri) && gone >= touch.begun)
        : []
    if (meant.length === 0) this.#foreign('update', params)
    for (const each of meant) {
      each.heard.set(nonce, (each.heard.get(nonce) ?? 0) + 1)
      if (touch) each.sure = Math.max(each.sure, touch.begun)
    }
  }

  /** @param {string} uri @returns {Promise<Touch>} */
  async touch(uri) {
    const nonce = this.#nonce()
    /** @type {Touch} */
    const touch = { nonce, uri, begun: performance.now(), ended: Infinity }
    this.world.touches.push(touch)
    this.world.ledger.count('touches')
    const params = { name: 'crosstalk__touch', arguments: { uri, nonce } }
    const message = await this.#answered('tools/call', params, nonce)
    if (message !== 'late') this.#expect(message, nonce, result => result.content?.[0]?.text === nonce)
    if (message !== 'late' && message && errorOf(message) === undefined) touch.ended = performance.now()
    return touch
  }

  async #read() {
    const nonce = this.#nonce()
    const uri = this.random.chance(0.5) ? this.random.pick(this.world.uris) : `xt:///some/${this.index}`
    const message = await this.#answered('resources/read', { uri, _meta: { nonce } }, nonce)
    if (message !== 'late')
      this.#expect(
        message,
        nonce,
        result => result.contents?.[0]?.text === nonce && result.contents[0].uri === uri,
      )
  }

  /**
   * A request that itself asks nothing; what another one asks may come with it.
   *
   * @param {string} method
   * @param {object} params
   * @param {string} what
   * @returns {Promise<import('./client.js').Message | undefined | 'late'>}
   */
  async #answered(method, params, what) {
    const hear = (/** @type {import('./client.js').Message} */ message) => this.#hear(message, undefined)
    let message = await this.#inTime(this.#opened.request(method, params, hear), what)
    while (message !== 'late' && message?.result?.resultType === 'input_required') {
      const inputResponses = await this.#answers(undefined, message.result)
      const retry = { ...params, inputResponses, requestState: message.result.requestState }
      message = await this.#inTime(this.#opened.request(method, retry, hear), what)
    }
    return message
  }

  /** @param {string} method @param {object} params @returns {Promise<any>} the result, `undefined` after a failure */
  async #simple(method, params) {
    const sent = this.#opened.request(method, params, message => this.#hear(message, undefined))
    const message = await this.#inTime(sent, method)
    if (message === 'late') return undefined
    this.#expect(message, method, () => true)
    return message?.result
  }

  /** Names of the tools the client sees. @returns {Promise<string[]>} */
  async tools() {
    return ((await this.#simple('tools/list', {}))?.tools ?? []).map(
      (/** @type {{ name: string }} */ { name }) => name,
    )
  }

  /** @param {import('./client.js').Message | undefined} message @param {string} what @param {(result: any) => boolean} own */
  #expect(message, what, own) {
    const { ledger, restarts } = this.world
    ledger.count('other requests')
    const error = message && errorOf(message)
    if (message === undefined || error !== undefined) {
      ledger.count(`other requests: error ${error ?? 'connection ended'}`)
      if (!restarts) ledger.unexplained.push(`client ${this.index}: ${what}: ${JSON.stringify(message)}`)
    } else if (!own(message.result)) this.#foreign(`answer to ${what}`, message)
  }

  /** @param {import('./client.js').Sent} sent @param {string} what @returns {Promise<import('./client.js').Message | undefined | 'late'>} */
  async #inTime(sent, what) {
    /** @type {NodeJS.Timeout | undefined} */
    let timer
    const late = new Promise(resolve => {
      timer = setTimeout(() => resolve('late'), PATIENCE_MS)
    })
    const answer = await Promise.race([sent.answer, late])
    clearTimeout(timer)
    if (answer === 'late') {
      this.world.ledger.lost.push(`client ${this.index}: ${what} did not end within ${PATIENCE_MS / 1000} s`)
      sent.abort()
    }
    return answer
  }

  // What the client listens to

  async #subscribe() {
    while (!this.stopped) {
      await wait(this.random.between(50, 400))
      if (this.stopped) break
      const old = this.listenings.filter(({ uris, until }) => uris.size > 0 && until === Infinity)
      if (this.modern) {
        if (old.length >= 3) await this.#endListening(this.random.pick(old))
        else await this.#listen(true)
      } else await this.#toggle(this.random.pick(this.world.uris))
    }
  }

  /** @param {string} uri */
  async #toggle(uri) {
    const old = this.listenings.find(({ uris, until }) => until === Infinity && uris.has(uri))
    if (old) {
      await this.#hearLast(old)
      await this.#simple('resources/unsubscribe', { uri })
      old.gone = performance.now()
      return
    }
    // Updates may come before the answer.
    const listening = this.#listening([uri], this.#legacy.standalone)
    if (await this.#simple('resources/subscribe', { uri })) listening.from = performance.now()
    else listening.until = listening.from
  }

  /**
   * Waits for the update of a last touch. Updates keep their order on their way, so every touch that was answered before
   * it has been heard by then, however slow the machine is.
   *
   * @param {Listening} listening
   */
  async #hearLast(listening) {
    // A server that is killed forgets updates.
    if (this.world.restarts) {
      listening.until = performance.now()
      return
    }
    listening.until = performance.now()
    const touch = await this.touch(this.random.pick([...listening.uris]))
    listening.last = touch.nonce
    await heardBy([listening], touch)
  }

  /** @param {string[]} uris @param {import('./stream-state.js').StreamState} stream @returns {Listening} */
  #listening(uris, stream) {
    this.world.ledger.count('subscriptions', uris.length)
    const listening = {
      uris: new Set(uris),
      from: Infinity,
      until: Infinity,
      gone: Infinity,
      heard: new Map(),
      whole: [],
      isOver: false,
      sure: -Infinity,
      last: undefined,
      stream,
    }
    this.listenings.push(listening)
    return listening
  }

  /** @param {boolean} some whether to listen to resources; else to the lists */
  async #listen(some) {
    const { world, random } = this
    const uris = some ? world.uris.filter((_, k) => k === this.index % 6 || random.chance(0.4)) : []
    const notifications = some ? { resourceSubscriptions: uris } : { toolsListChanged: true }
    await new Promise(resolve => {
      /** @type {import('./client.js').Sent & { id: number }} */
      const sent = this.#opened.request('subscriptions/listen', { notifications }, message => {
        const { method, params } = message
        if (params?._meta?.['io.modelcontextprotocol/subscriptionId'] !== sent.id)
          this.#foreign('subscription id', message)
        if (method === 'notifications/subscriptions/acknowledged') {
          if (params.notifications.resourceSubscriptions?.length === uris.length || uris.length === 0)
            listening.from = performance.now()
          else {
            // The server took too long to take them, so nothing is promised.
            world.ledger.count('subscriptions: not taken in time', uris.length)
            listening.until = performance.now()
          }
          resolve(undefined)
        } else if (method === 'notifications/resources/updated') this.#updated(params, listening)
        else this.#hear(message, undefined)
      })
      const listening = this.#listening(uris, sent.state)
      this.streams.push(sent.state)
      this.#ends.set(listening, sent.abort)
      this.#standing.add(sent.abort)
      void sent.answer.then(() => {
        if (sent.state.leftAt === undefined) {
          // What was on its way is unknown.
          listening.isOver = true
          listening.until = Math.min(listening.until, listening.sure)
        }
        resolve(undefined)
      })
    })
  }

  /** @type {Map<Listening, () => void>} */
  #ends = new Map()

  /** @param {Listening} listening */
  async #endListening(listening) {
    await this.#hearLast(listening)
    // Nothing confirms it, but nothing can come over a connection that is closed.
    listening.gone = Infinity
    this.#ends.get(listening)?.()
  }

  get #opened() {
    if (!this.client) throw new Error('not open')
    return this.client
  }

  get #legacy() {
    return /** @type {import('./client.js').LegacyClient} */ (this.client)
  }
}

/**
 * Resolves when each of these has heard of a touch, cannot any more, or has had time enough.
 *
 * @param {Listening[]} listenings
 * @param {Touch} touch
 */
export async function heardBy(listenings, touch) {
  const deadline = performance.now() + PATIENCE_MS
  const waits = (/** @type {Listening} */ { heard, whole, isOver }) =>
    !heard.has(touch.nonce) && !isReplaced(touch, whole) && !isOver
  while (listenings.some(waits) && performance.now() < deadline) await wait(10)
}

/** A code or message of whatever is not a proper result. @param {import('./client.js').Message} message */
function errorOf({ result, error }) {
  if (error) return String(error.data?.code ?? error.code)
  if (result?.isError) return String(result._meta?.['io.github.mcp-manifold/error']?.code ?? 'isError')
  return undefined
}
