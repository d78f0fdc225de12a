import { chmodSync, mkdirSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { applicationOf } from '../../../src/client-files/applications/applications.ts'
import { ownEntryFor } from '../../../src/first-run/own-program.ts'
import { variablesIn } from '../../../src/first-run/variables.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'
import { apply, gatewayOf, look, runIn, writeIn, type Run } from './homes.ts'
import type { Application, Machine } from '../../../src/client-files/applications/application.ts'

/** What worked in its application works behind the gateway, or is named. */

let scratch: Scratch
let run: Run
beforeEach(() => {
  scratch = makeScratch()
  run = runIn(scratch.path, 'linux')
})
afterEach(async () => {
  await scratch[Symbol.asyncDispose]()
})

const text = (file: string): string => readFileSync(file, 'utf8')
const cursorFile = (): string => join(run.machine.home, '.cursor', 'mcp.json')
const inCursor = (servers: object): string =>
  writeIn(cursorFile(), `${JSON.stringify({ mcpServers: servers }, undefined, 2)}\n`)
const serversIn = (file: string): Record<string, unknown> =>
  (JSON.parse(text(file)) as { mcpServers: Record<string, unknown> }).mcpServers
const named = (id: string): Application => {
  const application = applicationOf(id)
  if (!application) throw new Error(`there is no application ${id}`)
  return application
}

describe('an application that has a gateway already', () => {
  const SERVER = { command: 'node', args: ['b.js'] }

  test.each<[string, object, RegExp]>([
    [
      'with another configuration',
      { command: '/opt/node', args: ['/opt/mcp-manifold.js', '--config', '/work/team.json'] },
      /another configuration \(\/work\/team\.json\)/,
    ],
    ['at the address of a profile', { url: 'http://127.0.0.1:3333/mcp/team' }, /at \/mcp\/team/],
  ])('%s keeps it, and gets an entry of its own for the others', async (_, entry, reason) => {
    inCursor({ gw: entry, b: SERVER })
    const found = await look(run)
    expect(found.plan.files[0]).toMatchObject({
      moved: ['b'],
      own: [],
      left: [{ name: 'gw', reason: expect.stringMatching(reason) }],
    })
    await apply(run, found)
    expect(serversIn(cursorFile())).toEqual({ gw: entry, gw2: gatewayOf(run) })
    expect(serversIn(run.configFile)).toEqual({ b: SERVER })
  })

  test('that is off gets one that is on', async () => {
    inCursor({ gw: { ...gatewayOf(run), disabled: true }, b: SERVER })
    await apply(run, await look(run))
    expect(serversIn(cursorFile())).toEqual({ gw: gatewayOf(run) })
  })

  test('with this configuration keeps the one entry', async () => {
    inCursor({ mine: { ...gatewayOf(run), timeout: 5 }, b: SERVER })
    await apply(run, await look(run))
    expect(serversIn(cursorFile())).toEqual({ mine: { ...gatewayOf(run), timeout: 5 } })
  })
})

describe('a server that the configuration has', () => {
  test('switched off, stays with its application when it is on there', async () => {
    writeIn(run.configFile, '{ "mcpServers": { "known": { "command": "node", "disabled": true } } }')
    inCursor({ a: { command: 'node' }, b: { command: 'node', args: ['b.js'] } })
    const found = await look(run)
    expect(found.plan.servers[0]).toMatchObject({
      take: false,
      isKnown: true,
      left: 'the configuration has it, and there it is off: mcp-manifold enable known',
    })
    await apply(run, found)
    expect(Object.keys(serversIn(cursorFile()))).toEqual(['gw', 'a'])
  })

  test('with another login or another program for its headers is another server', async () => {
    const url = 'https://a.example/mcp'
    writeIn(run.configFile, JSON.stringify({ mcpServers: { a: { url, oauth: { clientId: 'x' } } } }))
    inCursor({
      a: { url, oauth: { clientId: 'x' } },
      b: { url, oauth: { clientId: 'y' } },
      c: { url, headersHelper: '/bin/h' },
    })
    const { plan } = await look(run)
    expect(plan.servers.map(({ name, isKnown }) => [name, isKnown])).toEqual([
      ['a', true],
      ['b', false],
      ['c', false],
    ])
  })
})

describe('programs that are on the PATH of the terminal', () => {
  let bin: string
  let machine: Machine
  beforeEach(() => {
    bin = join(run.machine.home, '.local', 'bin')
    writeIn(join(bin, 'my-uvx'), '#!/bin/sh\n')
    chmodSync(join(bin, 'my-uvx'), 0o755)
    const passing = join(run.machine.home, 'node_modules', '.bin')
    mkdirSync(passing, { recursive: true })
    machine = { ...run.machine, env: { PATH: ['relative', passing, bin, '/usr/bin'].join(delimiter) } }
  })
  const pathFor = (id: string, node: string, command = 'my-uvx'): string[] | undefined => {
    const program = { command: node, args: ['m.js'], node, config: '/c', servers: [{ command }] }
    const entry = ownEntryFor(named(id), program, machine)
    return ('env' in entry ? entry.env?.['PATH'] : undefined)?.split(delimiter)
  }

  test('are found by the gateway that a desktop starts, wherever Node is', () => {
    expect(pathFor('cursor', '/opt/homebrew/bin/node')?.[0]).toBe('/opt/homebrew/bin')
    expect(pathFor('cursor', '/opt/homebrew/bin/node')).toEqual(expect.arrayContaining([bin, '/usr/bin']))
    expect(pathFor('cursor', '/usr/bin/node')).toContain(bin)
    expect(pathFor('cursor', '/usr/bin/node', 'sh')).toBeUndefined()
    expect(pathFor('codex', '/opt/homebrew/bin/node')).toBeUndefined()
  })

  test('but not by folders that last as long as this terminal', () => {
    const path = pathFor('cursor', '/opt/homebrew/bin/node') ?? []
    expect(path.filter(folder => /relative|node_modules/.test(folder))).toEqual([])
  })
})

describe('variables of the environment', () => {
  const SERVERS = [
    { command: 'a', env: { TOKEN: '${TOKEN}', OTHER: '${env:OTHER:-x}', TEXT: '$${NOT}' } },
    { url: 'https://a.example', headers: { A: 'Bearer ${KEY}', F: '${userHome}' } },
    { command: 'b', env: { X: '${OFF}' }, disabled: true },
  ]
  const entryFor = (id: string, env: Record<string, string>): object => {
    const program = {
      command: '/usr/bin/node',
      args: ['m.js'],
      node: '/usr/bin/node',
      config: '/c',
      servers: SERVERS,
    }
    const application = named(id)
    return application.write(ownEntryFor(application, program, { ...run.machine, env }), 'gw')
  }

  test('of enabled entries are known by name', () => {
    expect(variablesIn(SERVERS)).toEqual(['KEY', 'OTHER', 'TOKEN'])
  })

  test.each<[string, object]>([
    ['codex', { env_vars: ['KEY', 'OTHER', 'TOKEN'] }],
    ['cursor', { env: { TOKEN: '${env:TOKEN}' } }],
    ['vscode', { env: { TOKEN: '${env:TOKEN}' } }],
    ['gemini-cli', { env: { TOKEN: '$TOKEN' } }],
    ['opencode', { environment: { TOKEN: '{env:TOKEN}' } }],
  ])('reach the gateway in %s', (id, expected) => {
    expect(entryFor(id, { TOKEN: 'x' })).toMatchObject(expected)
    expect(JSON.stringify(entryFor(id, { TOKEN: 'hidden' }))).not.toContain('hidden')
  })

  test('which an application does not hand on are named', async () => {
    writeIn(
      join(run.machine.home, '.claude.json'),
      JSON.stringify({ mcpServers: { a: { command: 'a', env: { TOKEN: '${TOKEN}' } } } }),
    )
    writeIn(
      join(run.machine.home, '.config', 'Claude', 'claude_desktop_config.json'),
      JSON.stringify({ mcpServers: { b: { command: 'node' } } }),
    )
    const { plan } = await look(run)
    expect(plan.servers.find(({ name }) => name === 'a')?.hint).toContain(
      'needs TOKEN, which Claude Desktop does not hand on',
    )
    expect(plan.servers.find(({ name }) => name === 'b')?.hint).toBeUndefined()
  })

  test('that Codex hands on are those of its file', async () => {
    const file = writeIn(
      join(run.machine.home, '.codex', 'config.toml'),
      '[mcp_servers.a]\nurl = "https://a.example"\nbearer_token_env_var = "T"\n',
    )
    const found = await look(run)
    await apply(run, found, found.plan, {
      ownEntry: ({ application }) =>
        ownEntryFor(
          application,
          {
            command: '/usr/bin/node',
            args: [],
            node: '/usr/bin/node',
            config: run.configFile,
            servers: found.servers.map(({ entry }) => entry),
          },
          run.machine,
        ),
    })
    expect(text(file)).toContain('env_vars = ["T"]')
  })
})
