import { mkdirSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { diagnose, LISTING } from '../../helpers/diagnose.ts'
import { BIN } from '../../helpers/served.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'

/** Faults of client files. */

let scratch: Scratch
beforeEach(() => {
  scratch = makeScratch()
  mkdirSync(`${scratch.path}/.cursor`)
  mkdirSync(`${scratch.path}/.codex`)
})
afterEach(async () => await scratch[Symbol.asyncDispose]())

const entry = (script: string): object => ({ command: process.execPath, args: [script] })

describe('doctor finds, in client files,', () => {
  test('an entry of the gateway by a path that is gone, in JSON and in TOML', async () => {
    const gone = '/opt/gone/bin/mcp-manifold.js'
    scratch.write('.cursor/mcp.json', { mcpServers: { manifold: entry(gone) } })
    scratch.write(
      '.codex/config.toml',
      `[mcp_servers.manifold]\ncommand = "/opt/gone/node"\nargs = ["${BIN}"]\n`,
    )
    const found = await diagnose(scratch, { mcpServers: { a: LISTING } })
    const broken = found.findings.filter(({ code }) => code === 'entry_broken')
    expect(broken.map(({ layer, command }) => ({ layer, command }))).toEqual([
      { layer: 'applications', command: expect.stringMatching(/ install codex\b/) as string },
      { layer: 'applications', command: expect.stringMatching(/ install cursor\b/) as string },
    ])
    expect(broken[0]?.cause).toContain('/opt/gone/node')
    expect(broken[1]?.cause).toContain(gone)
    expect(found.code).toBe(22)
  })

  test('nothing where the path is there, where the entry is another server, and where a file is broken', async () => {
    const present = entry(BIN)
    scratch.write('.cursor/mcp.json', {
      mcpServers: { manifold: present, other: entry('/opt/gone/other.js') },
    })
    scratch.write('.codex/config.toml', '[broken')
    const found = await diagnose(scratch, { mcpServers: { a: LISTING } })
    expect(found.findings).toEqual([])
  })
})
