// @ts-check
import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernHttp,
} from '@modelcontextprotocol/client'
import { StdioClientTransport as ModernStdio } from '@modelcontextprotocol/client/stdio'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { setTimeout as pause } from 'node:timers/promises'

/** @typedef {{ origin: string, file: string, bin: string }} Entrance */

const INFO = { name: 'reloads', version: '1.0.0' }
const MODERN = '2026-07-28'
const TOOLS = ['legacy__echo_raw', 'modern__echo_raw', 'pipe__echo_raw', 'changing__echo_raw']
const CLIENTS_OVER_HTTP = 3
/** Between two calls of a client. */
const PAUSE_MS = 10
/** In the first call of each client: a process that still knows it has not been started again. */
const MARK = 'the first call'

/** Clients of both eras, over HTTP and on stdio, that call without end. @param {Entrance} entrance */
export async function callers({ origin, file, bin }) {
  const command = {
    command: process.execPath,
    args: [bin, '--config', file],
    stderr: /** @type {const} */ ('ignore'),
  }
  const url = new URL('/mcp', origin)
  /** @type {{ name: string, call: (tool: string, args: Record<string, unknown>) => Promise<any>, close: () => Promise<void> }[]} */
  const clients = []
  const legacy = async (/** @type {string} */ name, /** @type {any} */ transport) => {
    const client = new Client(INFO)
    await client.connect(transport)
    clients.push({
      name,
      call: (tool, args) => client.callTool({ name: tool, arguments: args }),
      close: () => client.close(),
    })
  }
  const modern = async (/** @type {string} */ name, /** @type {any} */ transport) => {
    const client = new ModernClient(INFO, { versionNegotiation: { mode: { pin: MODERN } } })
    await client.connect(transport)
    clients.push({
      name,
      call: (tool, args) => client.callTool({ name: tool, arguments: args }),
      close: () => client.close(),
    })
  }
  for (let at = 0; at < CLIENTS_OVER_HTTP; at++) {
    await legacy(`HTTP, legacy ${at}`, new StreamableHTTPClientTransport(url))
    await modern(`HTTP, modern ${at}`, new ModernHttp(url))
  }
  await legacy('stdio, legacy', new StdioClientTransport(command))
  await modern('stdio, modern', new ModernStdio(command))

  /** @type {string[]} */
  const failures = []
  let calls = 0
  let failed = 0
  const state = { stopped: false }
  const run = async (/** @type {(typeof clients)[number]} */ client) => {
    for (let at = 0; !state.stopped; at++) {
      const tool = TOOLS[at % TOOLS.length] ?? ''
      const text = `${client.name} ${at}`
      calls++
      try {
        const result = await client.call(tool, { text })
        if (result.isError === true || result.structuredContent?.text !== text)
          throw new Error(`a wrong answer: ${JSON.stringify(result).slice(0, 200)}`)
      } catch (error) {
        failed++
        failures.push(`${client.name}: ${tool}: ${String(error).slice(0, 300)}`)
      }
      await pause(PAUSE_MS)
    }
  }
  // Every list is there before the first reload.
  for (const { call } of clients) for (const tool of TOOLS) await call(tool, { text: MARK })
  const running = clients.map(run)
  return {
    get calls() {
      return calls
    },
    get failed() {
      return failed
    },
    /** Ends the load. @returns {Promise<string[]>} what failed */
    async stop() {
      state.stopped = true
      await Promise.all(running)
      for (const { name, call } of clients) {
        const received = JSON.stringify(await call('pipe__received', { last: 1_000_000 }))
        if (!received.includes(MARK)) failures.push(`${name}: the unchanged process was started again`)
      }
      await Promise.all(clients.map(client => client.close()))
      return failures
    },
  }
}
