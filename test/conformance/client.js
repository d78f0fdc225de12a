// @ts-check
/**
 * What the client suites test: the gateway, towards the server that a scenario provides, with a plain client in front of it that uses
 * everything that server has.
 *
 *   node client.js --era legacy|modern <url>
 *
 * The runner starts it, names the scenario in MCP_CONFORMANCE_SCENARIO and gives some of them a JSON text in MCP_CONFORMANCE_CONTEXT.
 * Exits with 0 when everything was answered.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { isRefused, oauthOf, visit } from './logins.js'
import { connect } from './plain-client.js'
import { scratchFolder } from './scratch.js'

/** @import { Json, PlainClient } from './plain-client.js' */

const GATEWAY = fileURLToPath(new URL('../../bin/mcp-manifold.cjs', import.meta.url))

/** Below the runner's own, so that the reason is told. */
const TIMEOUT_MS = 25_000

/** @type {Record<string, (client: PlainClient, context: Json) => Promise<void>>} */
const ACTIONS = {
  // The server has a tool to be listed, but none to be called.
  'json-schema-ref-no-deref': async client => {
    await client.request('tools/list')
  },
  'http-custom-headers': async (client, { toolCalls }) => {
    for (const { name, arguments: args } of toolCalls) await callTool(client, name, args)
  },
  'json-schema-2020-12-preservation': async client => {
    const { tools } = await client.request('tools/list')
    const { inputSchema } = tools.find(
      (/** @type {Json} */ tool) => tool['name'] === 'json_schema_2020_12_tool',
    )
    await callTool(client, 'json_schema_echo', { schema: inputSchema })
  },
}

const LOG_IN = 'log_in'
const RELIST_MS = 100

/** Logs in where the server asks for it before it lists anything. @param {PlainClient} client @returns {Promise<Json[]>} its tools */
async function listTools(client) {
  let asked = false
  for (;;) {
    const { tools } = await client.request('tools/list')
    const needsLogin = tools.some((/** @type {Json} */ tool) => tool['name'] === LOG_IN)
    if (!needsLogin && (tools.length > 0 || !scenario.startsWith('auth/'))) return tools
    if (needsLogin && !asked) {
      asked = true
      await callTool(client, LOG_IN, {})
    } else await new Promise(resolve => setTimeout(resolve, RELIST_MS))
  }
}

/** Uses everything there is. @param {PlainClient} client */
async function useAll(client) {
  const tools = await listTools(client)
  for (const { name, inputSchema } of tools) await callTool(client, name, sample(inputSchema))
  if (client.capabilities['resources']) {
    const { resources } = await client.request('resources/list')
    for (const { uri } of resources) await client.request('resources/read', { uri })
  }
  if (client.capabilities['prompts']) {
    const { prompts } = await client.request('prompts/list')
    for (const { name } of prompts) await client.request('prompts/get', { name })
  }
}

/** @param {PlainClient} client @param {string} name @param {Json} args */
async function callTool(client, name, args) {
  const result = await client.request('tools/call', { name, arguments: args })
  if (result['isError']) throw new Error(`${name} failed: ${JSON.stringify(result['content'])}`)
}

/** @type {Record<string, unknown>} */
const SAMPLES = { string: 'text', number: 1.5, integer: 2, boolean: true, array: [], object: {}, null: null }

/** @param {Json} schema of an object @returns {Json} an object with all its properties: their defaults, or something of their types */
const sample = ({ properties = {} }) =>
  Object.fromEntries(
    Object.entries(properties).map(([key, property]) => [
      key,
      property.default ?? SAMPLES[property.type] ?? 'text',
    ]),
  )

/** @type {PlainClient | undefined} */
let client

/** Accepts every form as it is. @param {string} method @param {Json} params @returns {Json | Promise<Json>} */
async function answer(method, params) {
  switch (method) {
    case 'elicitation/create':
      if (params['mode'] === 'url') {
        await visit(params['url'])
        return { action: 'accept' }
      }
      // Another call in between must not take over anything of the one that waits for this answer.
      if (scenario === 'sep-2322-client-request-state')
        await client?.request('tools/call', { name: 'test_mrtr_unrelated' })
      return { action: 'accept', content: sample(params['requestedSchema'] ?? {}) }
    case 'sampling/createMessage':
      return {
        role: 'assistant',
        content: { type: 'text', text: 'Sampled.' },
        model: 'none',
        stopReason: 'endTurn',
      }
    case 'roots/list':
      return { roots: [] }
    default:
      return {}
  }
}

const { values, positionals } = parseArgs({
  options: { era: { type: 'string', default: 'legacy' } },
  allowPositionals: true,
})
const [url] = positionals
const { era } = values
const scenario = process.env['MCP_CONFORMANCE_SCENARIO'] ?? ''
const context = JSON.parse(process.env['MCP_CONFORMANCE_CONTEXT'] ?? '{}')
if (url === undefined) throw new Error('The URL of a server is missing.')
if (era !== 'legacy' && era !== 'modern') throw new Error(`--era must be legacy or modern, not ${era}`)

const config = join(scratchFolder('client'), 'servers.json')
writeFileSync(
  config,
  JSON.stringify({
    mcpServers: { scenario: { url, prefix: false, oauth: oauthOf(scenario, context) } },
    gateway: { state: 'memory' },
  }),
)
setTimeout(() => {
  console.error(`Not done within ${TIMEOUT_MS} ms.`)
  process.exit(1)
}, TIMEOUT_MS).unref()
client = await connect(era, [GATEWAY, '--config', config], answer)
try {
  const uses = (ACTIONS[scenario] ?? useAll)(client, context)
  if (isRefused(scenario)) {
    const why = await uses.then(() => undefined).catch(error => error)
    if (why === undefined) throw new Error('The login succeeded, which it must not.')
    console.error(`Refused: ${why.message}`)
  } else await uses
} finally {
  await client.close()
}
