import { chmodSync, mkdirSync, symlinkSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkMachine } from '../../../src/doctor/check-machine.ts'
import { diagnose } from '../../helpers/diagnose.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'

/** Faults of programs, one test each. */

let scratch: Scratch
beforeEach(() => void (scratch = makeScratch()))
afterEach(async () => await scratch[Symbol.asyncDispose]())

describe('doctor finds', () => {
  test('a Node.js that is too old', () => {
    expect(checkMachine({ nodeVersion: '20.18.3' })).toMatchObject([
      { code: 'node_too_old', layer: 'machine', command: 'nvm install --lts' },
    ])
    expect(checkMachine({ nodeVersion: '20.19.0' })).toEqual([])
    expect(checkMachine({ nodeVersion: '22.1.0' })).toEqual([])
  })

  test('a command that is not on PATH', async () => {
    const found = await diagnose(
      scratch,
      { mcpServers: { a: { command: 'uvx' } } },
      { env: { PATH: '/nowhere' } },
    )
    const { layer, server, fix, command } = found.only('command_missing')
    expect({ code: found.code, layer, server }).toEqual({ code: 12, layer: 'programs', server: 'a' })
    expect(fix).toContain('Install uv, which brings it')
    expect(command).toBe('which uvx')
    expect(found.skipped).toContainEqual(expect.objectContaining({ layer: 'start', server: 'a' }))
  })

  test('a path that does not exist', async () => {
    const found = await diagnose(scratch, { mcpServers: { a: { command: '/opt/gone/server' } } })
    expect(found.only('command_missing')).toMatchObject({ server: 'a', set: { key: 'mcpServers.a.command' } })
    expect(found.only('command_missing').cause).toContain('/opt/gone/server')
  })

  test('a file that may not be executed', async () => {
    const command = scratch.write('server.sh', '#!/bin/sh\n')
    const found = await diagnose(scratch, { mcpServers: { a: { command } } })
    expect(found.only('command_not_executable')).toMatchObject({
      layer: 'programs',
      server: 'a',
      command: `chmod +x ${command}`,
    })
    expect(found.code).toBe(12)
  })

  test('a working directory that does not exist', async () => {
    const cwd = `${scratch.path}/gone`
    const found = await diagnose(scratch, { mcpServers: { a: { command: process.execPath, cwd } } })
    expect(found.only('folder_missing')).toMatchObject({
      server: 'a',
      command: `mkdir -p ${cwd}`,
      set: { key: 'mcpServers.a.cwd' },
    })
  })

  test('a program of the shell that applications of the desktop do not find', async () => {
    const bin = `${scratch.path}/version-manager/bin`
    mkdirSync(bin, { recursive: true })
    symlinkSync(process.execPath, `${bin}/node-of-shell`)
    const args = ['test/fixtures/servers/listing.js']
    const found = await diagnose(
      scratch,
      { mcpServers: { a: { command: 'node-of-shell', args, cwd: process.cwd() } } },
      { env: { PATH: `${bin}:/usr/bin:/bin` } },
    )
    expect(found.only('desktop_path')).toMatchObject({
      layer: 'programs',
      severity: 'warning',
      server: 'a',
      set: { key: 'mcpServers.a.command', value: `${bin}/node-of-shell` },
    })
    expect(found.code).toBe(0)
  })

  test('a file whose interpreter is missing', async () => {
    const command = scratch.write('server', '#!/opt/gone/interpreter\n')
    chmodSync(command, 0o755)
    const found = await diagnose(scratch, { mcpServers: { a: { command } } })
    const { layer, server, fix } = found.only('upstream_start_failed')
    expect({ code: found.code, layer, server }).toEqual({ code: 17, layer: 'start', server: 'a' })
    expect(fix).toBe('Correct "command".')
  })
})
