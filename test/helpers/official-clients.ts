import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernHttpTransport,
} from '@modelcontextprotocol/client'
import type { VersionNegotiationMode } from '@modelcontextprotocol/client'
import { StdioClientTransport as ModernStdioTransport } from '@modelcontextprotocol/client/stdio'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { BIN } from './served.ts'

/** The two ways to the gateway: a configuration to start it with, and one that is already listening. */
export interface Entrance {
  readonly configFile: string
  /** `http://127.0.0.1:<port>` */
  readonly origin: string
}

export interface CallOptions {
  onProgress?: (progress: number, total: number | undefined) => void
  signal?: AbortSignal
}

export interface ToolResult {
  readonly content: readonly Record<string, unknown>[]
  readonly isError?: boolean | undefined
  readonly structuredContent?: unknown
}

/** What the tests ask of a client, whichever it is. Everything rejects as the client itself does. */
export interface Connected extends AsyncDisposable {
  /** Revision the client settled on; `undefined` where it does not tell. */
  readonly protocolVersion: string | undefined
  listTools(): Promise<readonly { readonly name: string }[]>
  listPrompts(): Promise<readonly { readonly name: string }[]>
  listResources(): Promise<readonly { readonly uri: string }[]>
  callTool(name: string, args: Record<string, unknown>, options?: CallOptions): Promise<ToolResult>
  readResource(uri: string): Promise<readonly Record<string, unknown>[]>
  getPrompt(name: string, args: Record<string, string>): Promise<readonly { readonly content: unknown }[]>
  /** Values for an argument of a prompt. Only with `full`. */
  completePrompt?(name: string, argument: string, start: string): Promise<readonly string[]>
}

/** A row of the matrix: a client on one of its transports. */
export interface OfficialClient {
  readonly name: string
  readonly front: 'stdio' | 'http' | 'sse'
  /** Whether it can complete, hear progress and cancel: a library can, a command line cannot. */
  readonly full: boolean
  /** Whether it can be sent to an endpoint other than the usual one: the Inspector always asks `/mcp` or `/sse`. */
  readonly anyEndpoint: boolean
  /** @param path endpoint on the gateway; only with `anyEndpoint` */
  connect(entrance: Entrance, path?: string): Promise<Connected>
}

const INFO = { name: 'official-client', version: '1.0.0' }

const gatewayCommand = (entrance: Entrance): { command: string; args: string[]; stderr: 'ignore' } => ({
  command: process.execPath,
  args: [BIN, '--config', entrance.configFile],
  stderr: 'ignore',
})

/** What the clients of both SDK generations have in common, as far as the tests use it. */
interface SdkClient {
  listTools(): Promise<{ tools: { name: string }[] }>
  listPrompts(): Promise<{ prompts: { name: string }[] }>
  listResources(): Promise<{ resources: { uri: string }[] }>
  readResource(params: { uri: string }): Promise<{ contents: Record<string, unknown>[] }>
  getPrompt(params: {
    name: string
    arguments: Record<string, string>
  }): Promise<{ messages: { content: unknown }[] }>
  complete(params: {
    ref: { type: 'ref/prompt'; name: string }
    argument: { name: string; value: string }
  }): Promise<{ completion: { values: string[] } }>
}

type SharedVerbs = Omit<Connected, 'protocolVersion' | 'callTool' | keyof AsyncDisposable>

const sharedVerbs = (client: SdkClient): SharedVerbs => ({
  listTools: async () => (await client.listTools()).tools,
  listPrompts: async () => (await client.listPrompts()).prompts,
  listResources: async () => (await client.listResources()).resources,
  readResource: async uri => (await client.readResource({ uri })).contents,
  getPrompt: async (name, args) => (await client.getPrompt({ name, arguments: args })).messages,
  completePrompt: async (name, argument, start) => {
    const ref = { type: 'ref/prompt' as const, name }
    return (await client.complete({ ref, argument: { name: argument, value: start } })).completion.values
  },
})

/** Request options of either SDK; absent ones are left out, since both SDKs tell them from `undefined`. */
function requestOptions(options: CallOptions): {
  onprogress?: (progress: { progress: number; total?: number | undefined }) => void
  signal?: AbortSignal
} {
  const { onProgress, signal } = options
  return {
    ...(onProgress ? { onprogress: ({ progress, total }) => onProgress(progress, total) } : {}),
    ...(signal ? { signal } : {}),
  }
}

/** The client of the v1 SDK. Its HTTP transport ends its session when it is closed. */
function v1(front: OfficialClient['front']): OfficialClient {
  return {
    name: 'SDK v1 client',
    front,
    full: true,
    anyEndpoint: front === 'http',
    async connect(entrance, path) {
      const client = new Client(INFO)
      const http =
        front === 'http'
          ? new StreamableHTTPClientTransport(new URL(path ?? '/mcp', entrance.origin))
          : undefined
      const transport =
        http ??
        (front === 'sse'
          ? new SSEClientTransport(new URL(path ?? '/sse', entrance.origin))
          : new StdioClientTransport(gatewayCommand(entrance)))
      // The SDK's own transports do not satisfy its interface under exactOptionalPropertyTypes.
      await client.connect(transport as Transport)
      return {
        protocolVersion: http?.protocolVersion,
        ...sharedVerbs(client),
        callTool: async (name, args, options = {}) =>
          (await client.callTool(
            { name, arguments: args },
            undefined,
            requestOptions(options),
          )) as ToolResult,
        async [Symbol.asyncDispose]() {
          await http?.terminateSession()
          await client.close()
        },
      }
    },
  }
}

/** The client of the v2 SDK, which speaks the modern revision when told to. */
function v2(front: 'stdio' | 'http', mode: VersionNegotiationMode): OfficialClient {
  const label = typeof mode === 'string' ? mode : `pinned to ${mode.pin}`
  return {
    name: `SDK v2 client, ${label}`,
    front,
    full: true,
    anyEndpoint: front === 'http',
    async connect(entrance, path) {
      const client = new ModernClient(INFO, { versionNegotiation: { mode } })
      const http =
        front === 'http' ? new ModernHttpTransport(new URL(path ?? '/mcp', entrance.origin)) : undefined
      await client.connect(http ?? new ModernStdioTransport(gatewayCommand(entrance)))
      return {
        protocolVersion: client.getNegotiatedProtocolVersion(),
        ...sharedVerbs(client),
        callTool: async (name, args, options = {}) =>
          (await client.callTool({ name, arguments: args }, requestOptions(options))) as ToolResult,
        async [Symbol.asyncDispose]() {
          if (client.getProtocolEra() === 'legacy') await http?.terminateSession()
          await client.close()
        },
      }
    },
  }
}

const INSPECTOR = fileURLToPath(new URL('../../node_modules/.bin/mcp-inspector', import.meta.url))
const run = promisify(execFile)

/** An option of the Inspector and its values; nothing when there are none. */
const pairs = (option: string, args: Record<string, unknown>): string[] => {
  const entries = Object.entries(args)
  return entries.length === 0 ? [] : [option, ...entries.map(([key, value]) => `${key}=${String(value)}`)]
}

/** The command line of the MCP Inspector: a process, and a connection, for every request. */
function inspector(front: OfficialClient['front']): OfficialClient {
  return {
    name: 'MCP Inspector CLI',
    front,
    full: false,
    anyEndpoint: false,
    async connect(entrance) {
      const ask = async (method: string, ...args: string[]): Promise<Record<string, unknown>> => {
        // What follows `--` is left alone by the Inspector's own --config option.
        const target =
          front === 'stdio'
            ? [process.execPath, BIN, '--config', entrance.configFile]
            : [new URL(front === 'sse' ? '/sse' : '/mcp', entrance.origin).href, '--transport', front]
        const { stdout } = await run(process.execPath, [
          INSPECTOR,
          '--cli',
          '--',
          ...target,
          '--method',
          method,
          ...args,
        ])
        return JSON.parse(stdout) as Record<string, unknown>
      }
      return {
        protocolVersion: undefined,
        listTools: async () => (await ask('tools/list'))['tools'] as { name: string }[],
        listPrompts: async () => (await ask('prompts/list'))['prompts'] as { name: string }[],
        listResources: async () => (await ask('resources/list'))['resources'] as { uri: string }[],
        callTool: async (name, args) =>
          (await ask(
            'tools/call',
            '--tool-name',
            name,
            ...pairs('--tool-arg', args),
          )) as unknown as ToolResult,
        readResource: async uri =>
          (await ask('resources/read', '--uri', uri))['contents'] as Record<string, unknown>[],
        getPrompt: async (name, args) =>
          (await ask('prompts/get', '--prompt-name', name, ...pairs('--prompt-args', args)))['messages'] as {
            content: unknown
          }[],
        async [Symbol.asyncDispose]() {},
      }
    },
  }
}

export const MODERN = '2026-07-28'

/** Every official client on every transport it has. */
export const OFFICIAL_CLIENTS: readonly OfficialClient[] = [
  v1('stdio'),
  v1('http'),
  v1('sse'),
  v2('stdio', { pin: MODERN }),
  v2('http', { pin: MODERN }),
  v2('stdio', 'auto'),
  v2('http', 'auto'),
  v2('http', 'legacy'),
  inspector('stdio'),
  inspector('http'),
  inspector('sse'),
]
