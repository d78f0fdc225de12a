import { expect } from 'vitest'
import type { RunningGateway } from '../../../../src/gateway/gateway.ts'
import type { ReloadReport } from '../../../../src/gateway/reload-report.ts'
import { configFrom } from '../../../../src/config/load/load.ts'
import { startGateway, type GatewayOptions } from '../../../helpers/gateway.ts'
import { openSession } from '../../../helpers/http-client.ts'
import { scriptedHttp, type ScriptedServer } from '../../../helpers/scripted-servers.ts'

/** A test of one key: it changes the key in a running gateway and sees the effect. */
export type KeyTest = () => Promise<void>
export type KeyTests = Readonly<Record<string, KeyTest>>

export interface Scene<S = ScriptedServer> {
  readonly server: S
  readonly gateway: RunningGateway
  readonly origin: string
}

/** What a test sees of a gateway. It may look several times. */
export type Look<S = ScriptedServer> = (scene: Scene<S>) => Promise<unknown>

export type File = Readonly<Record<string, unknown>>

/** A file before and after the change, and what is seen with each. */
export const change = (
  files: readonly [(server: ScriptedServer) => File, (server: ScriptedServer) => File],
  look: Look,
  seen: readonly [unknown, unknown],
): KeyTest => changeAt(wellServer, files, look, seen)

/** The same with other servers behind the gateway. */
export function changeAt<S extends AsyncDisposable>(
  start: () => Promise<S>,
  [before, after]: readonly [(server: S) => File, (server: S) => File],
  look: Look<S>,
  [old, changed]: readonly [unknown, unknown],
): KeyTest {
  return async () => {
    await using server = await start()
    await using running = await startGateway(before(server), { problems: true })
    const { gateway, origin } = running
    const scene = { server, gateway, origin }
    await expect.poll(() => look(scene), POLL).toEqual(old)
    expect(await reload(gateway, after(server))).toMatchObject({ applied: true, notReloadable: [] })
    await expect.poll(() => look(scene), POLL).toEqual(changed)
  }
}

async function wellServer(): Promise<ScriptedServer> {
  const server = await scriptedHttp()
  server.results.set('tools/call', WELL)
  return server
}

const POLL = { interval: 100 }
export const WELL = '{"content":[{"type":"text","text":"well"}]}'

/** Has the gateway take over a file; its port and its state stay what they are. */
export async function reload(gateway: RunningGateway, file: File): Promise<ReloadReport> {
  const own = { http: { port: 0 }, state: 'memory', ...(file['gateway'] as object | undefined) }
  return await gateway.reload(await configFrom({ ...file, gateway: own }, { env: {} }))
}

/** A change in the entry of the server `a`. */
export function ofServer(
  before: object,
  after: object,
  look: Look,
  seen: readonly [unknown, unknown],
  more: File = {},
): KeyTest {
  const file = (entry: object) => (server: ScriptedServer) => ({
    mcpServers: { a: { ...server.entry, ...entry } },
    ...more,
  })
  return change([file(before), file(after)], look, seen)
}

/** A change in `gateway`. */
export function ofGateway(
  before: object,
  after: object,
  look: Look,
  seen: readonly [unknown, unknown],
  entry: object = {},
): KeyTest {
  const file = (gateway: object) => (server: ScriptedServer) => ({
    mcpServers: { a: { ...server.entry, ...entry } },
    gateway,
  })
  return change([file(before), file(after)], look, seen)
}

/** A change beside the server `a`. */
export function ofFile(
  before: File,
  after: File,
  look: Look,
  seen: readonly [unknown, unknown],
  entry: object = {},
): KeyTest {
  const file = (more: File) => (server: ScriptedServer) => ({
    mcpServers: { a: { ...server.entry, ...entry } },
    ...more,
  })
  return change([file(before), file(after)], look, seen)
}

export const tools: Look = async ({ origin }) => await (await openSession(origin)).names('tools')

export const call =
  (name = 'a__t', args: object = {}): Look =>
  async ({ origin }) =>
    await (await openSession(origin)).call(name, args)

/** How many calls with these arguments reach the server, of so many. */
export const reaching =
  (argsOf: readonly object[], name = 'a__t'): Look =>
  async ({ origin, server }) => {
    const client = await openSession(origin)
    const before = server.messages.all.filter(text => text.includes('"tools/call"')).length
    for (const args of argsOf) await client.call(name, args)
    return server.messages.all.filter(text => text.includes('"tools/call"')).length - before
  }

/** Whether what a look gives contains a text. */
export const says =
  (look: Look, text: string): Look =>
  async scene =>
    String(await look(scene)).includes(text)

/** A scene in which a test changes `gateway` itself. */
export interface Turning extends Scene {
  /** Has the gateway take over another `gateway`, and another entry of the server `a`. */
  turn(gateway: File, entry?: object): Promise<void>
}

export interface Setting {
  readonly gateway: File
  /** Beside the address of the server `a`. */
  readonly entry?: object
  /** Beside `mcpServers` and `gateway`. */
  readonly more?: File
  readonly server?: () => Promise<ScriptedServer>
  readonly options?: GatewayOptions
}

/** What happens in one running gateway, in front of a server that answers no call by itself. */
export function scene(
  { gateway, entry = {}, more = {}, server: make = scriptedHttp, options }: Setting,
  run: (scene: Turning) => Promise<void>,
): KeyTest {
  return async () => {
    await using server = await make()
    const file = (settings: File, its: object): File & { gateway: File } => ({
      ...more,
      mcpServers: { a: { ...server.entry, ...its } },
      gateway: settings,
    })
    await using running = await startGateway(file(gateway, entry), { ...options, problems: true })
    const turn = async (settings: File, its = entry): Promise<void> => {
      const report = await reload(running.gateway, file(settings, its))
      expect(report).toMatchObject({ applied: true, notReloadable: [] })
    }
    await run({ server, gateway: running.gateway, origin: running.origin, turn })
  }
}

/** One scene for several keys: it runs once, and each of them has its result. */
export function shared(keys: readonly string[], run: KeyTest): KeyTests {
  let running: Promise<void> | undefined
  return Object.fromEntries(keys.map(key => [key, () => (running ??= run())]))
}
