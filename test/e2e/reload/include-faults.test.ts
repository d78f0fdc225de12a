import { once } from 'node:events'
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { askAdmin, envOf, folderForTest, socketsIn, type AdminAnswer } from '../../helpers/admin-client.ts'
import { BIN, serve, type Served } from '../../helpers/served.ts'
import type { Scratch } from '../../helpers/scratch.ts'

/** Reloads of a running gateway to folders that cannot be included, and to a port that is in use. */

const SERVER = { url: 'http://127.0.0.1:9/mcp' }

interface Scene {
  readonly folder: Scratch
  readonly served: Served
  /** Writes the configuration, and reloads it. */
  reload(change: object, http?: object): Promise<AdminAnswer>
  /** Names of the servers that run. */
  servers(): Promise<string[]>
}

async function scene(): Promise<Scene> {
  const folder = folderForTest()
  const write = (change: object, http: object = {}): string =>
    folder.write('servers.json', {
      mcpServers: { up: SERVER },
      gateway: { http: { port: 0, ...http }, state: 'memory', watch: false },
      ...change,
    })
  const served = await serve([BIN, 'serve', '--config', write({})], { env: envOf(folder), obeysModes: true })
  onTestFinished(async () => void (await served.stop()))
  await expect.poll(() => socketsIn(folder.path).length).toBe(1)
  const [socket = ''] = socketsIn(folder.path)
  return {
    folder,
    served,
    reload(change, http) {
      write(change, http)
      return askAdmin(socket, { method: 'POST', path: '/admin/reload', body: {} })
    },
    async servers() {
      const { body } = await askAdmin(socket, { path: '/admin/status' })
      return (body as { servers: { name: string }[] }).servers.map(({ name }) => name)
    },
  }
}

test('a folder without permission, one with 10,000 files, and links in a circle are each one problem, and nothing changes', async () => {
  const { folder, reload, servers } = await scene()
  const at = (name: string): string => join(folder.path, name)
  for (const name of ['closed', 'full', 'inner']) mkdirSync(at(name))
  chmodSync(at('closed'), 0)
  onTestFinished(() => chmodSync(at('closed'), 0o700))
  for (let n = 0; n < 10_000; n++) writeFileSync(at(`full/${n}.json`), '{}')
  symlinkSync('circle.json', at('circle.json'))
  symlinkSync('..', at('inner/upwards.json'))
  symlinkSync('nothing', at('dangling.json'))
  for (const [include, text] of [
    ['closed', `the folder ${at('closed')} cannot be read (EACCES). Correct "include".`],
    [
      'closed/a.json',
      `${at('closed/a.json')} was not loaded: it cannot be read (EACCES). Check its permissions.`,
    ],
    ['closed/*.json', `the folder ${at('closed')} cannot be read (EACCES). Correct "include".`],
    ['full', '"include" names 10000 files, and 256 is the most. Join some of them.'],
    [
      'circle.json',
      `${at('circle.json')} was not loaded: its links lead in a circle (ELOOP). Check "include" in`,
    ],
    ['inner', `${at('inner/upwards.json')} was not loaded: it is a directory. Name the file in it.`],
    ['dangling.json', `${at('dangling.json')} was not loaded: there is no such file. Check "include" in`],
  ] as const) {
    const { status, body } = await reload({ include, mcpServers: { other: SERVER } })
    const { detail } = body as { detail: string }
    expect({ include, status, isNamed: detail.includes(text), detail }).toMatchObject({
      status: 422,
      isNamed: true,
    })
    expect(await servers()).toEqual(['up'])
  }
  expect((await reload({ mcpServers: { other: SERVER } })).body).toMatchObject({ applied: true })
  expect(await servers()).toEqual(['other'])
})

test('a listener that is moved to a port in use stays where it is, is named, and keeps nothing else from taking effect', async () => {
  const { served, reload, servers } = await scene()
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  onTestFinished(() => void other.close())
  const { port } = other.address() as AddressInfo
  const { status, body } = await reload({ mcpServers: { up: SERVER, added: SERVER } }, { port })
  expect(status).toBe(200)
  expect(body).toMatchObject({
    applied: true,
    changes: ['Server "added" is added.'],
    notReloadable: [{ key: 'gateway.http.port' }],
  })
  expect(await servers()).toEqual(['up', 'added'])
  expect((await fetch(`${served.origin}/healthz`)).status).toBe(200)
})
