// @ts-check
/** What became of one stream of a client. Times are those of `performance.now()`. */
export class StreamState {
  openedAt = performance.now()
  messages = 0
  /** When the last message came. */
  heardAt = 0
  /** The id of the last event that had one. @type {string | undefined} */
  lastEventId = undefined
  /** As the gateway wishes in `retry`. @type {number | undefined} */
  retryMs = undefined
  resumed = 0
  /** Each end that its client did not want. @type {{ at: number, how: string }[]} */
  ends = []
  /** When its client left it. @type {number | undefined} */
  leftAt = undefined

  /** @param {string} name */
  constructor(name) {
    this.name = name
  }

  /** Takes note of one event. @param {string} event */
  heard(event) {
    for (const line of event.split('\n')) {
      if (line.startsWith('id: ')) this.lastEventId = line.slice(4)
      else if (line.startsWith('retry: ')) this.retryMs = Number(line.slice(7))
      else if (line.startsWith('data: {')) {
        this.messages++
        this.heardAt = performance.now()
      }
    }
  }

  /** Takes note of an end. @param {string} how */
  ended(how) {
    if (this.leftAt === undefined) this.ends.push({ at: performance.now(), how })
  }

  left() {
    this.leftAt ??= performance.now()
  }

  /** On one line, with times in seconds after `start`. @param {number} start */
  describe(start) {
    const at = (/** @type {number} */ moment) => `at ${((moment - start) / 1000).toFixed(1)} s`
    const facts = [`opened ${at(this.openedAt)}`]
    facts.push(this.messages === 0 ? 'no message' : `${this.messages} messages, the last ${at(this.heardAt)}`)
    for (const { at: moment, how } of this.ends) facts.push(`${how} ${at(moment)}`)
    if (this.resumed > 0) facts.push(`resumed ${this.resumed} times`)
    facts.push(this.leftAt === undefined ? 'not left by the client' : `left by the client ${at(this.leftAt)}`)
    return `${this.name}: ${facts.join(', ')}`
  }
}
