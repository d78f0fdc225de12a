// @ts-check
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'

/**
 * What replicas and the runner share: files of one directory, so that the end of a process loses nothing.
 *
 * A run is a line that is written before the run begins. A fault is armed for one key; of all replicas, the first that gets that key takes it.
 */
export class Ledger {
  /** @param {string} directory exists; one for each gateway */
  constructor(directory) {
    this.directory = directory
    for (const part of ['armed', 'struck', 'crash']) mkdirSync(join(directory, part), { recursive: true })
  }

  /** Counts a run. @param {string} key @param {string} replica */
  ran(key, replica) {
    appendFileSync(join(this.directory, 'ran.txt'), `${key} ${replica}\n`)
  }

  /** Counts a start of a process. @param {string} replica */
  started(replica) {
    appendFileSync(join(this.directory, 'started.txt'), `${replica} ${process.pid}\n`)
  }

  /** @param {string} key @param {string} fault */
  arm(key, fault) {
    writeFileSync(join(this.directory, 'armed', key), fault)
  }

  /** Takes the fault that is armed for a key, if it was not taken yet. @param {string} key @returns {string | undefined} */
  claim(key) {
    const struck = join(this.directory, 'struck', key)
    try {
      renameSync(join(this.directory, 'armed', key), struck)
    } catch {
      return undefined
    }
    return readFileSync(struck, 'utf8')
  }

  /** @param {string} key */
  struck(key) {
    return existsSync(join(this.directory, 'struck', key))
  }

  /** From now on the replica ends as soon as it is started. @param {string} replica */
  breakStart(replica) {
    writeFileSync(join(this.directory, 'crash', replica), '')
  }

  /** @param {string} replica */
  mendStart(replica) {
    rmSync(join(this.directory, 'crash', replica), { force: true })
  }

  /** @param {string} replica */
  startsBroken(replica) {
    return existsSync(join(this.directory, 'crash', replica))
  }

  /** Replicas in the order in which they ran each key. @returns {Map<string, string[]>} */
  runs() {
    /** @type {Map<string, string[]>} */
    const runs = new Map()
    for (const [key, replica] of this.#lines('ran.txt')) {
      const at = runs.get(key)
      if (at) at.push(replica)
      else runs.set(key, [replica])
    }
    return runs
  }

  /** Process ids of a replica, in the order of its starts. @param {string} replica */
  starts(replica) {
    return this.#lines('started.txt').flatMap(([name, pid]) => (name === replica ? [Number(pid)] : []))
  }

  /** @param {string} file @returns {[string, string][]} */
  #lines(file) {
    const path = join(this.directory, file)
    if (!existsSync(path)) return []
    const lines = readFileSync(path, 'utf8').split('\n')
    return lines.filter(line => line !== '').map(line => /** @type {[string, string]} */ (line.split(' ')))
  }
}
