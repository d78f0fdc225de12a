import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { rssOf } from './rss.js'

it.runIf(existsSync('/proc/self/status'))(
  'the memory of a process is a number, also when its status has none',
  async () => {
    expect(rssOf(process.pid)).toBeGreaterThan(10)
    // The shell becomes a program that never waits for the shell's child.
    const parent = spawn('/bin/sh', ['-c', 'sleep 50 & echo $!; exec sleep 60'])
    try {
      const [pid] = (await once(parent.stdout.setEncoding('utf8'), 'data')) as [string]
      await expect.poll(() => readFileSync(`/proc/${parent.pid}/cmdline`, 'utf8')).toContain('sleep\0')
      process.kill(Number(pid), 'SIGKILL')
      await expect.poll(() => rssOf(Number(pid))).toBe(0)
      expect(existsSync(`/proc/${pid.trim()}`)).toBe(true)
    } finally {
      parent.kill('SIGKILL')
      await once(parent, 'close')
    }
    expect(rssOf(parent.pid)).toBe(0)
    expect(rssOf(undefined)).toBe(0)
  },
)
