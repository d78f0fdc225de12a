import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernHttpTransport,
} from '@modelcontextprotocol/client'
import { StdioClientTransport as ModernStdioTransport } from '@modelcontextprotocol/client/stdio'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from '@modelcontextprotocol/sdk/types.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { Inbox } from '../helpers/inbox.ts'
import type { Answers, ProgramClient } from './program.ts'

/** Where a program goes: a command, or the URL of an endpoint. */
export type Target =
  | { readonly kind: 'stdio'; readonly command: string; readonly args: readonly string[] }
  | { readonly kind: 'http' | 'sse'; readonly url: string }

const INFO = { name: 'differential', version: '1.0.0' }
const CAPABILITIES = { elicitation: {}, sampling: {}, roots: { listChanged: true } }

type Call = (params: object, ...more: unknown[]) => Promise<unknown>

/** What the clients of both SDKs call by the same name. Their types never meet, so this is what the program takes each of them for. */
interface SdkClient {
  listTools(): Promise<unknown>
  listResources(): Promise<unknown>
  listResourceTemplates(): Promise<unknown>
  listPrompts(): Promise<unknown>
  callTool: Call
  readResource: Call
  getPrompt: Call
  complete: Call
  ping(): Promise<unknown>
  setLoggingLevel(level: string): Promise<unknown>
  close(): Promise<void>
}

function verbsOf(
  of: unknown,
  told: ProgramClient['told'],
): Omit<ProgramClient, 'subscribe' | 'unsubscribe' | 'watchLists'> {
  const client = of as SdkClient
  return {
    told,
    listTools: () => client.listTools(),
    listResources: () => client.listResources(),
    listResourceTemplates: () => client.listResourceTemplates(),
    listPrompts: () => client.listPrompts(),
    // The v1 client takes a schema between the parameters and the options.
    callTool: (name, args, options = {}) =>
      of instanceof Client
        ? client.callTool({ name, arguments: args }, undefined, options)
        : client.callTool({ name, arguments: args }, options),
    readResource: uri => client.readResource({ uri }),
    getPrompt: (name, args) => client.getPrompt({ name, ...(args && { arguments: args }) }),
    complete: (ref, name, value) => client.complete({ ref, argument: { name, value } }),
    ping: () => client.ping(),
    setLevel: level => client.setLoggingLevel(level),
    close: () => client.close(),
  }
}

export async function connectV1(target: Target, answers: Answers): Promise<ProgramClient> {
  const client = new Client(INFO, { capabilities: CAPABILITIES })
  const told: ProgramClient['told'] = new Inbox()
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => answers.elicitation(params) as never)
  client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => answers.sampling(params) as never)
  client.setRequestHandler(ListRootsRequestSchema, () => answers.roots() as never)
  client.fallbackNotificationHandler = async notification => void told.push(notification)
  const transport =
    target.kind === 'stdio'
      ? new StdioClientTransport({ command: target.command, args: [...target.args], stderr: 'ignore' })
      : target.kind === 'sse'
        ? new SSEClientTransport(new URL(target.url))
        : new StreamableHTTPClientTransport(new URL(target.url))
  // The SDK's own transports do not satisfy its interface under exactOptionalPropertyTypes.
  await client.connect(transport as Transport)
  return {
    ...verbsOf(client, told),
    subscribe: uri => client.subscribeResource({ uri }),
    unsubscribe: uri => client.unsubscribeResource({ uri }),
    watchLists: async () => {},
  }
}

export async function connectV2(
  target: Target,
  answers: Answers,
  mode: 'legacy' | { pin: string },
): Promise<ProgramClient> {
  const client = new ModernClient(INFO, { capabilities: CAPABILITIES, versionNegotiation: { mode } })
  const told: ProgramClient['told'] = new Inbox()
  client.setRequestHandler('elicitation/create', ({ params }) => answers.elicitation(params) as never)
  client.setRequestHandler('sampling/createMessage', ({ params }) => answers.sampling(params) as never)
  client.setRequestHandler('roots/list', () => answers.roots() as never)
  client.fallbackNotificationHandler = async notification => void told.push(notification as never)
  await client.connect(
    target.kind === 'stdio'
      ? new ModernStdioTransport({ command: target.command, args: [...target.args], stderr: 'ignore' })
      : new ModernHttpTransport(new URL(target.url)),
  )
  const open: { close(): Promise<void> }[] = []
  const listen = async (filter: object): Promise<void> => void open.push(await client.listen(filter as never))
  const legacy = mode === 'legacy'
  return {
    ...verbsOf(client, told),
    subscribe: uri => (legacy ? client.subscribeResource({ uri }) : listen({ resourceSubscriptions: [uri] })),
    unsubscribe: async uri =>
      legacy ? await client.unsubscribeResource({ uri }) : await open.pop()?.close(),
    watchLists: async () => {
      if (!legacy) await listen({ toolsListChanged: true })
    },
  }
}
