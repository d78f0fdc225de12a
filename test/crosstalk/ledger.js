// @ts-check
/** What has to be empty at the end. */
const KINDS = /** @type {const} */ (['misdelivered', 'lost', 'ended', 'doubled', 'unexplained'])

/** What was sent, what arrived and what did not. */
export class Ledger {
  /** @type {Map<string, number>} */
  counts = new Map()
  /** Something reached an actor that it does not belong to. @type {string[]} */
  misdelivered = []
  /** Something that has to arrive did not. @type {string[]} */
  lost = []
  /** A stream ended that its client had not left. @type {string[]} */
  ended = []
  /** Something arrived, or ran, twice. @type {string[]} */
  doubled = []
  /** An error nothing in the run explains. @type {string[]} */
  unexplained = []

  /** @param {string} what @param {number} [by] */
  count(what, by = 1) {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by)
  }

  get clean() {
    return KINDS.every(kind => this[kind].length === 0)
  }

  /** One line for each count, and the first of what is wrong. */
  report() {
    const lines = [...this.counts]
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([what, count]) => `  ${what.padEnd(46)}${count}`)
    for (const kind of KINDS) {
      lines.push(`  ${kind.toUpperCase().padEnd(46)}${this[kind].length}`)
      for (const text of this[kind].slice(0, 8)) lines.push(`    ${text.slice(0, 600)}`)
    }
    return lines.join('\n')
  }
}
