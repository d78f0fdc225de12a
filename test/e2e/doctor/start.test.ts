import { execFileSync } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { diagnose, listing, LISTING } from '../../helpers/diagnose.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'

/** Faults of the start of stdio servers, one test each, and what a server without one shows. */

let scratch: Scratch
beforeEach(() => void (scratch = makeScratch()))
afterEach(async () => await scratch[Symbol.asyncDispose]())

/** The entry of a program of Node.js. */
const program = (text: string): object => ({ command: process.execPath, args: ['-e', text] })

describe('a configuration without a fault', () => {
  test('has no findings, and shows what its servers are', async () => {
    const found = await diagnose(scratch, { mcpServers: { files: LISTING } })
    expect({ code: found.code, findings: found.findings }).toEqual({ code: 0, findings: [] })
    expect(found.servers).toMatchObject([
      { server: 'files', transport: 'stdio', era: 'legacy', revision: '2025-11-25', tools: 1 },
    ])
  })

  test('leaves no process behind, whether a server starts or not', async () => {
    const mark = `mark-${process.pid}-${Date.now()}`
    const hangs = program(`/* ${mark} */ process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)`)
    const works = { ...LISTING, args: [...LISTING.args, mark] }
    const mcpServers = { works, hangs: { ...hangs, startTimeout: '1s' } }
    const found = await diagnose(scratch, { mcpServers })
    expect(found.servers.map(({ server }) => server)).toEqual(['works'])
    expect(found.only('start_timeout').server).toBe('hangs')
    const running = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
    expect(running.split('\n').filter(line => line.includes(mark))).toEqual([])
  })

  test('is looked at for the named servers only', async () => {
    const found = await diagnose(
      scratch,
      { mcpServers: { good: LISTING, bad: program('process.exit(1)') } },
      { args: ['good'] },
    )
    expect(found.findings).toEqual([])
    expect(found.servers.map(({ server }) => server)).toEqual(['good'])
  })
})

describe('doctor finds, at the start of a server,', () => {
  test('that it exits, with its last lines', async () => {
    const exits = program(`console.error('API_TOKEN is not set'); process.exit(3)`)
    const found = await diagnose(scratch, { mcpServers: { a: exits } })
    const { layer, server, cause, said, set } = found.only('server_exits')
    expect({ code: found.code, layer, server }).toEqual({ code: 17, layer: 'start', server: 'a' })
    expect(cause).toContain('exited with code 3')
    expect(said).toEqual(['API_TOKEN is not set'])
    expect(set?.key).toBe('mcpServers.a.args')
  })

  test('that it prints plain text and answers nothing', async () => {
    const prints = program(`console.log('Usage: server [--stdio]'); setInterval(() => {}, 1000)`)
    const found = await diagnose(scratch, { mcpServers: { a: { ...prints, startTimeout: '1s' } } })
    expect(found.only('not_a_server')).toMatchObject({
      layer: 'start',
      server: 'a',
      said: ['Usage: server [--stdio]'],
      set: { key: 'mcpServers.a.args' },
    })
    expect(found.code).toBe(17)
  })

  test('noise on its standard output', async () => {
    const found = await diagnose(scratch, { mcpServers: { a: listing({ noise: ['Welcome!'] }) } })
    expect(found.only('stdout_noise')).toMatchObject({
      layer: 'start',
      severity: 'warning',
      server: 'a',
      said: ['Welcome!'],
      fix: 'Let it log to standard error.',
    })
    expect(found.servers).toHaveLength(1)
  })

  test('that it does not answer in time', async () => {
    const silent = program('setInterval(() => {}, 1000)')
    const found = await diagnose(scratch, { mcpServers: { a: { ...silent, startTimeout: '1s' } } })
    expect(found.only('start_timeout')).toMatchObject({
      layer: 'start',
      server: 'a',
      set: { key: 'mcpServers.a.startTimeout', value: '3s' },
    })
    expect(found.code).toBe(17)
  })

  test('that it is slow', async () => {
    const slow = { ...listing({ delayMs: 3500 }), startTimeout: '6s' }
    const found = await diagnose(scratch, { mcpServers: { a: slow } })
    expect(found.only('slow_start')).toMatchObject({
      layer: 'start',
      severity: 'warning',
      server: 'a',
      set: { key: 'mcpServers.a.idle', value: 'never' },
    })
  })

  test('that it speaks an old revision', async () => {
    const found = await diagnose(scratch, { mcpServers: { a: listing({ revision: '2024-11-05' }) } })
    const { layer, cause, fix } = found.only('deprecated_revision')
    expect(layer).toBe('protocol')
    expect(cause).toContain('2024-11-05')
    expect(fix).toContain('Update the server')
  })

  test('that it speaks a revision that nothing knows', async () => {
    const found = await diagnose(scratch, { mcpServers: { a: listing({ revision: '1999-01-01' }) } })
    expect(found.only('upstream_protocol')).toMatchObject({ layer: 'protocol', server: 'a' })
    expect(found.code).toBe(18)
  })
})
