// @ts-check
import { readdirSync, readFileSync } from 'node:fs'

/** Process ids of live Node programs whose command line contains `text`; without `/proc`, none. @param {string} text */
export function processesWith(text) {
  /** @type {string[]} */
  let entries = []
  try {
    entries = readdirSync('/proc').filter(entry => /^\d+$/.test(entry))
  } catch {
    return []
  }
  return entries.map(Number).filter(pid => {
    if (pid === process.pid) return false
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      return words[0] === process.execPath && words.includes(text)
    } catch {
      return false
    }
  })
}
