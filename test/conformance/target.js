// @ts-check
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { lineOf, start } from './children.js'
import { scratchFolder } from './scratch.js'

/** @import { Child } from './children.js' */

const root = fileURLToPath(new URL('../..', import.meta.url))
const fixtureMain = join(root, 'test/fixtures/servers/conformance/main.js')
const gatewayMain = join(root, 'bin/mcp-manifold.cjs')

const START_TIMEOUT_MS = 30_000

/** The fixture servers, by era and transport. */
export const FIXTURES = /** @type {const} */ ([
  'legacy-http',
  'legacy-stdio',
  'legacy-sse',
  'modern-http',
  'modern-stdio',
])

/** @typedef {(typeof FIXTURES)[number]} Fixture */

/**
 * Starts what a suite is to be run against.
 *
 * @param {Fixture} fixture
 * @param {boolean} direct the fixture itself; otherwise the gateway with the fixture as its only server
 * @returns {Promise<{ url: string, logs: () => string, close: () => Promise<void> }>}
 */
export async function startTarget(fixture, direct) {
  /** @type {(() => Promise<void>)[]} */
  const closers = []
  const close = async () => {
    for (const closer of closers.splice(0).toReversed()) await closer()
  }
  /** @param {Child} child */
  const owned = child => {
    closers.push(child.stop)
    return child
  }
  try {
    const [era, transport] = fixture.split('-')
    const args = [fixtureMain, '--era', String(era), '--transport', String(transport)]
    /** @type {Record<string, unknown>} */
    let entry = { command: process.execPath, args }
    if (transport !== 'stdio') {
      const child = owned(start(process.execPath, args, { ipc: true }))
      const url = await lineOf(child, /^listening (\S+)/, `Fixture ${fixture}`, START_TIMEOUT_MS)
      if (direct) return { url, logs: child.output, close }
      entry = transport === 'sse' ? { type: 'sse', url } : { url }
    } else if (direct) {
      throw new Error(`${fixture} has no URL: the runner reaches it only through the gateway`)
    }

    const folder = scratchFolder('gateway')
    const config = join(folder, 'servers.json')
    const text = {
      mcpServers: { fixture: { ...entry, prefix: false } },
      gateway: { http: { port: 0 }, state: 'memory' },
    }
    await writeFile(config, JSON.stringify(text, undefined, 2))
    const gateway = owned(
      start(process.execPath, [gatewayMain, 'serve', '--config', config, '--port', '0'], { cwd: folder }),
    )
    const url = await lineOf(gateway, /(https?:\/\/[^\s"']+\/mcp)\b/, 'The gateway', START_TIMEOUT_MS)
    return { url, logs: gateway.output, close }
  } catch (error) {
    await close()
    throw error
  }
}
