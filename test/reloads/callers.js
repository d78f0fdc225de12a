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
/** @typedef {(line: string) => void} Reader reads a line that a gateway logs */

const INFO = { name: 'reloads', version: '1.0.0' }
const MODERN = '2026-07-28'
const TOOLS = ['legacy__echo_raw', 'modern__echo_raw', 'pipe__echo_raw', 'changing__echo_raw']
const CLIENTS_OVER_HTTP = 3
/** In the first call of each client: a process that still knows it has not been started again. */
const MARK = 'the first call'

/** A call that is not answered by then has failed. */
const CALL_TIMEOUT_MS = 30_000

/**
 * Clients of both eras, over HTTP and on stdio, that call at a fixed rate. A client whose call is still under way leaves
 * out the next one.
 * @param {Entrance} entrance
 * @param {number} callsPerSecond of all clients together
 * @param {(index: number) => (chunk: string) => void} logOf takes what each gateway on stdio logs
 */
export async function callers({ origin, file, bin }, callsPerSecond, logOf) {
  const command = {
    command: process.execPath,
    args: [bin, '--config', file],
    stderr: /** @type {const} */ ('pipe'),
  }
  const onStdio = (/** @type {any} */ transport, /** @type {number} */ index) => {
    transport.stderr?.setEncoding('utf8').on('data', logOf(index))
    return transport
  }
  const url = new URL('/mcp', origin)
  /** @type {{ name: string, call: (tool: string, args: Record<string, unknown>) => Promise<any>, close: () => Promise<void> }[]} */
  const clients = []
  const legacy = async (/** @type {string} */ name, /** @type {any} */ transport) => {
    const client = new Client(INFO)
    await client.connect(transport)
    clients.push({
      name,
      call: (tool, args) =>
        client.callTool({ name: tool, arguments: args }, undefined, { timeout: CALL_TIMEOUT_MS }),
      close: () => client.close(),
    })
  }
  const modern = async (/** @type {string} */ name, /** @type {any} */ transport) => {
    const client = new ModernClient(INFO, { versionNegotiation: { mode: { pin: MODERN } } })
    await client.connect(transport)
    clients.push({
      name,
      call: (tool, args) => client.callTool({ name: tool, arguments: args }, { timeout: CALL_TIMEOUT_MS }),
      close: () => client.close(),
    })
  }
  for (let at = 0; at < CLIENTS_OVER_HTTP; at++) {
    await legacy(`HTTP, legacy ${at}`, new StreamableHTTPClientTransport(url))
    await modern(`HTTP, modern ${at}`, new ModernHttp(url))
  }
  await legacy('stdio, legacy', onStdio(new StdioClientTransport(command), 0))
  await modern('stdio, modern', onStdio(new ModernStdio(command), 1))

  /** @type {string[]} */
  const failures = []
  let calls = 0
  let failed = 0
  const state = { stopped: false }
  const everyMs = (1000 * clients.length) / callsPerSecond
  const run = async (/** @type {(typeof clients)[number]} */ client, /** @type {number} */ index) => {
    let due = performance.now() + (everyMs * index) / clients.length
    for (let at = 0; !state.stopped; at++) {
      await pause(Math.max(0, due - performance.now()))
      due += everyMs * Math.max(1, Math.ceil((performance.now() - due) / everyMs))
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
