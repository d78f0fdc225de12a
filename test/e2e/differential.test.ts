import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import {
  createAnswers,
  runProgram,
  type Answers,
  type ProgramClient,
  type Transcript,
} from '../differential/program.ts'
import { connectV1, connectV2, type Target } from '../differential/sdk-clients.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { BIN, serve, serveGateway } from '../helpers/served.ts'

/**
 * One program that uses every feature, run directly at a server and through each front of the gateway. What it sees is the same.
 */

const SERVER = fileURLToPath(new URL('../fixtures/servers/conformance/main.js', import.meta.url))
const PYTHON_CLIENT = fileURLToPath(new URL('../differential/client.py', import.meta.url))
const MODERN = '2026-07-28'

type Era = 'legacy' | 'modern'
type Connect = (target: Target, answers: Answers) => Promise<ProgramClient>

const serverArgs = (era: Era, transport: string): string[] => [SERVER, '--era', era, '--transport', transport]

/** `/mcp` of a gateway before a server of `transport`, under the server's own names, and its configuration. */
async function gatewayBefore(
  era: Era,
  transport: 'stdio' | 'http' | 'sse',
): Promise<{ origin: string; file: string } & AsyncDisposable> {
  const scratch = makeScratch()
  const upstream = transport === 'stdio' ? undefined : await serve(serverArgs(era, transport))
  const endpoint = transport === 'sse' ? '/sse' : '/mcp'
  const entry = upstream
    ? { url: `${upstream.origin}${endpoint}`, ...(transport === 'sse' && { type: 'sse' }) }
    : { command: process.execPath, args: serverArgs(era, 'stdio') }
  const file = scratch.write('servers.json', {
    mcpServers: { f: { ...entry, prefix: false } },
    gateway: { http: { port: 0 }, state: 'memory', log: 'error' },
  })
  const gateway = await serveGateway(file)
  return {
    origin: gateway.origin,
    file,
    async [Symbol.asyncDispose]() {
      await gateway.stop()
      await upstream?.stop()
      await scratch[Symbol.asyncDispose]()
    },
  }
}

async function transcriptOf(connect: Connect, target: Target, era: Era): Promise<Transcript> {
  const asked: unknown[] = []
  const answers = createAnswers(asked)
  const client = await connect(target, answers)
  try {
    return normal(await runProgram(client, answers, asked, era === 'legacy'))
  } finally {
    await client.close()
  }
}

/**
 * Without what is the gateway's to decide: the label of questions, ids, what it adds to `_meta`, how fresh a list is, the kind of its own
 * errors in `data`, empty parameters.
 */
function normal(transcript: Transcript): Transcript {
  const text = JSON.stringify(transcript, (key, value: unknown) => {
    if (key === '_meta' || key === 'ttlMs' || key === 'cacheScope') return undefined
    if (key === 'params' && JSON.stringify(value) === '{}') return undefined
    if (key === 'data' && typeof value === 'object' && Object.keys(value ?? {}).join() === 'code')
      return undefined
    return typeof value === 'string' ? value.replace(/^\[f\] /, '') : value
  })
  return JSON.parse(text) as Transcript
}

const CLIENTS: readonly { name: string; era: Era; fronts: readonly Target['kind'][]; connect: Connect }[] = [
  { name: 'v1 client', era: 'legacy', fronts: ['stdio', 'http', 'sse'], connect: connectV1 },
  {
    name: 'v2 client, legacy',
    era: 'legacy',
    fronts: ['stdio', 'http'],
    connect: (target, answers) => connectV2(target, answers, 'legacy'),
  },
  {
    name: 'v2 client, modern',
    era: 'modern',
    fronts: ['stdio', 'http'],
    connect: (target, answers) => connectV2(target, answers, { pin: MODERN }),
  },
]

/** Transports of the servers behind the gateway, by era. */
const BEHIND = { legacy: ['stdio', 'http', 'sse'], modern: ['stdio', 'http'] } as const

describe('a program sees through the gateway what it sees directly', () => {
  for (const { name, era, fronts, connect } of CLIENTS) {
    for (const transport of BEHIND[era]) {
      test(`${name}, ${era} server over ${transport}, by ${fronts.join(', ')}`, async () => {
        const direct = await transcriptOf(
          connect,
          { kind: 'stdio', command: process.execPath, args: serverArgs(era, 'stdio') },
          era,
        )
        expect(Object.keys(direct).length).toBeGreaterThan(40)
        await using gateway = await gatewayBefore(era, transport)
        for (const front of fronts) {
          const target: Target =
            front === 'stdio'
              ? { kind: 'stdio', command: process.execPath, args: [BIN, '--config', gateway.file] }
              : { kind: front, url: `${gateway.origin}/${front === 'sse' ? 'sse' : 'mcp'}` }
          expect({ front, ...(await transcriptOf(connect, target, era)) }).toEqual({ front, ...direct })
        }
      }, 60_000)
    }
  }

  const python = spawnSync('python3', ['-c', 'from mcp import Client']).status === 0
  test.skipIf(!python)(
    'a Python client, where its package is installed',
    async () => {
      const run = (...target: string[]): Transcript => {
        const { stdout, stderr, status } = spawnSync('python3', [PYTHON_CLIENT, ...target], {
          encoding: 'utf8',
          timeout: 50_000,
        })
        expect(status, stderr).toBe(0)
        return normal(JSON.parse(stdout) as Transcript)
      }
      const direct = run('stdio', process.execPath, ...serverArgs('legacy', 'stdio'))
      expect(Object.keys(direct).length).toBeGreaterThan(15)
      await using gateway = await gatewayBefore('legacy', 'stdio')
      expect(run('http', `${gateway.origin}/mcp`)).toEqual(direct)
      expect(run('stdio', process.execPath, BIN, '--config', gateway.file)).toEqual(direct)
    },
    120_000,
  )
})
