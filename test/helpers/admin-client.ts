import { request } from 'node:http'
import { request as requestTls } from 'node:https'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { makeScratch, type Scratch } from './scratch.ts'
import { BIN, serve, type Served } from './served.ts'

export interface AdminAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  // eslint-disable-next-line
  readonly body: any
}

export interface AdminRequest {
  readonly method?: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** An object is sent as JSON, a text as it is. */
  readonly body?: object | string
  /** PEM of the authority that an `https` address is trusted by. */
  readonly ca?: string
}

/** One request to the admin API, at a socket or at `http://host:port` or `https://host:port`. */
export async function askAdmin(at: string, asked: AdminRequest): Promise<AdminAnswer> {
  const { method = 'GET', path, headers = {}, body, ca } = asked
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
  const where = /^https?:/.test(at)
    ? { host: new URL(at).hostname, port: new URL(at).port }
    : { socketPath: at }
  return await new Promise((resolve, reject) => {
    const sent = (at.startsWith('https:') ? requestTls : request)({
      ...where,
      ...(ca !== undefined && { ca }),
      method,
      path,
      agent: false,
      headers: {
        host: 'localhost',
        ...(text !== undefined && {
          'content-type': 'application/json',
          'content-length': String(Buffer.byteLength(text)),
        }),
        ...headers,
      },
    })
    sent.on('error', reject)
    sent.on('response', response => {
      let said = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (said += chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: said,
          body: parsed(said),
        }),
      )
    })
    sent.end(text)
  })
}

/** Paths of the sockets below the state folder that is given to a gateway as `XDG_STATE_HOME`. */
export function socketsIn(stateHome: string): string[] {
  const folder = join(stateHome, 'mcp-manifold', 'admin')
  try {
    return readdirSync(folder)
      .filter(name => name.endsWith('.sock'))
      .map(name => join(folder, name))
  } catch {
    return []
  }
}

/** A folder that is removed at the end of the test. */
export function folderForTest(): Scratch {
  const made = makeScratch()
  onTestFinished(() => made[Symbol.asyncDispose]())
  return made
}

/** What gives a gateway, or a command, its state below the folder. */
export const envOf = ({ path }: Scratch): Record<string, string> => ({ HOME: path, XDG_STATE_HOME: path })

/** A gateway with this file until the end of the test, and its admin socket. */
export async function servingWithSocket(
  folder: Scratch,
  file: string,
  { args = [], env = {} }: { readonly args?: readonly string[]; readonly env?: Record<string, string> } = {},
): Promise<{ served: Served; socket: string }> {
  const served = await serve([BIN, 'serve', '--config', file, ...args], { env: { ...envOf(folder), ...env } })
  onTestFinished(async () => void (await served.stop()))
  await expect.poll(() => socketsIn(folder.path).length).toBe(1)
  return { served, socket: socketsIn(folder.path)[0] ?? '' }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
