import { mkdirSync, readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { diagnose, LISTING } from '../../helpers/diagnose.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'

/** Faults of the configuration file, one test each. */

let scratch: Scratch
beforeEach(() => void (scratch = makeScratch()))
afterEach(async () => await scratch[Symbol.asyncDispose]())

describe('doctor finds, in the file,', () => {
  test('that there is none', async () => {
    const found = await diagnose(scratch, {}, { args: ['--config', 'missing.json'] })
    const { layer, cause, fix } = found.only('config_missing')
    expect({ code: found.code, layer }).toEqual({ code: 11, layer: 'file' })
    expect(cause).toContain('missing.json')
    expect(fix).toContain('--config')
    expect(found.skipped.find(({ layer: skipped }) => skipped === 'start')?.because).toContain(
      'configuration',
    )
  })

  test('that it cannot be read', async () => {
    mkdirSync(`${scratch.path}/folder`)
    const found = await diagnose(scratch, {}, { args: ['--config', 'folder'] })
    expect(found.code).toBe(11)
    expect(found.only('config_unreadable')).toMatchObject({ layer: 'file', severity: 'error' })
    expect(found.only('config_unreadable').command).toContain('ls -l')
  })

  test('a slip in its syntax, with the place', async () => {
    const found = await diagnose(scratch, '{\n  "mcpServers": {\n    "a": { "command": "x" \n')
    expect(found.code).toBe(11)
    expect(found.only('config_syntax').cause).toMatch(/line \d/)
    expect(found.only('config_syntax').command).toContain('check')
  })

  test('a value that is not valid, with the place', async () => {
    const found = await diagnose(
      scratch,
      '{\n "gateway": { "state": "memory" },\n "mcpServers": {\n "a": { "command": "x", "timeout": "soon" }\n }\n}',
    )
    const { server, cause, set, layer } = found.only('config_invalid')
    expect({ code: found.code, server, layer }).toEqual({ code: 11, server: 'a', layer: 'file' })
    expect(cause).toContain('line 4')
    expect(cause).toContain('"soon"')
    expect(set?.key).toBe('mcpServers.a.timeout')
  })

  test('a key that is misspelled, with the one that is meant', async () => {
    const found = await diagnose(scratch, { mcpServers: { a: { command: 'x', startTimout: '5s' } } })
    expect(found.only('config_unknown_key')).toMatchObject({
      server: 'a',
      fix: 'Did you mean "startTimeout"?',
      set: { key: 'mcpServers.a.startTimout' },
    })
    expect(found.code).toBe(11)
  })

  test('a variable that has no value', async () => {
    const headers = { Authorization: 'Bearer ${NOT_SET_ANYWHERE}' }
    const found = await diagnose(scratch, { mcpServers: { a: { url: 'http://127.0.0.1:9/', headers } } })
    const { server, fix } = found.only('variable_unset')
    expect({ server, code: found.code }).toEqual({ server: 'a', code: 11 })
    expect(fix).toContain('${NOT_SET_ANYWHERE:-value}')
  })

  test('a command that holds its arguments', async () => {
    const found = await diagnose(scratch, { mcpServers: { a: { command: 'node --version' } } })
    const { layer, server, fix } = found.only('command_holds_arguments')
    expect({ layer, server, code: found.code }).toEqual({ layer: 'programs', server: 'a', code: 12 })
    expect(fix).toContain('"args": ["--version"]')
  })

  test('a former name of a key, and renames it with --fix, and nothing else', async () => {
    const text = `{
  // kept
  "mcpServers": { "a": { "url": "http://127.0.0.1:9/", "crashes": 3 /* too */ } },
  "gateway": { "state": "memory", "fail": "open" },
}
`
    const found = await diagnose(scratch, text)
    const old = found.findings.filter(({ code }) => code === 'config_old_key')
    expect(old.map(({ set }) => set?.key)).toEqual(['mcpServers.a.restartLimit', 'gateway.quotaFailureMode'])

    const mended = await diagnose(scratch, text, { args: ['--fix'] })
    expect(mended.findings.filter(({ code }) => code === 'config_old_key')).toEqual([])
    expect(mended.mended.map(({ code, failed }) => ({ code, failed }))).toEqual([{ code: 'config_old_key' }])
    expect(readFileSync(`${scratch.path}/servers.json`, 'utf8')).toBe(
      text.replace('crashes', 'restartLimit').replace('fail', 'quotaFailureMode'),
    )
  })

  test('a former name of a key in a file with a byte order mark, which stays', async () => {
    const text = '\uFEFF{ "mcpServers": {}, "gateway": { "state": "memory", "fail": "open" } }\n'
    const mended = await diagnose(scratch, text, { args: ['--fix'] })
    expect(mended.mended).toMatchObject([{ code: 'config_old_key' }])
    expect(readFileSync(`${scratch.path}/servers.json`, 'utf8')).toBe(
      text.replace('fail', 'quotaFailureMode'),
    )
  })

  test('an entry that is the gateway itself', async () => {
    const found = await diagnose(scratch, {
      mcpServers: { me: { command: 'mcp-manifold' }, ok: LISTING },
    })
    expect(found.only('config_questionable')).toMatchObject({ layer: 'file', severity: 'warning' })
    expect(found.only('config_questionable').cause).toContain('"me" is this gateway itself')
    expect(found.code).toBe(0)
  })
})
