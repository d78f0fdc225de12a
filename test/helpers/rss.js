// @ts-check
import { readFileSync } from 'node:fs'

/**
 * Resident megabytes of a process; 0 where they cannot be read, or the process has ended.
 * @param {number | undefined} pid @returns {number}
 */
export function rssOf(pid) {
  try {
    // One that has ended and was not waited for has a status without this line.
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}
