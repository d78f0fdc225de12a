import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { startAuthorizationServer, type AuthorizationServer } from './authorization-server.ts'
import { startProtectedServer } from './protected-server.ts'
import { makeScratch } from './scratch.ts'
import { BIN } from './served.ts'

/** A command that runs. */
export interface Run {
  readonly said: () => string
  readonly type: (line: string) => void
  readonly close: () => void
  readonly end: Promise<{ readonly code: number | null; readonly out: string; readonly said: string }>
}

/** How a server is logged in to that needs no person. */
const MACHINE = { grant: 'client_credentials', clientId: 'machine', clientSecret: 'of-the-machine' }

export interface LoginCommands {
  readonly authorization: AuthorizationServer
  /** The configuration file. */
  readonly file: string
  readonly run: (...args: string[]) => Run
}

/**
 * A protected server with its authorization server, and the commands for a state that they share.
 * @param servers the configured ones, at the address of the protected one
 */
export async function setUpLoginCommands(
  servers = (url: string): object => ({ mail: { url }, reports: { url, oauth: MACHINE } }),
): Promise<LoginCommands> {
  const scratch = makeScratch()
  onTestFinished(() => scratch[Symbol.asyncDispose]())
  const folder = scratch.path
  const authorization = await startAuthorizationServer()
  const { issuer, resourceServer: introspection } = authorization
  const server = await startProtectedServer({ issuer, introspection, scopesSupported: ['mcp'] })
  onTestFinished(async () => {
    await server[Symbol.asyncDispose]()
    await authorization[Symbol.asyncDispose]()
  })
  const file = join(folder, 'servers.json')
  const gateway = { state: `lmdb:${join(folder, 'state')}`, vault: { keySource: 'file' } }
  writeFileSync(file, JSON.stringify({ mcpServers: servers(server.url), gateway }))
  const run = (...args: string[]): Run => {
    const child = spawn(process.execPath, [BIN, '-c', file, ...args], {
      env: { PATH: process.env['PATH'], HOME: folder },
    })
    let [out, said] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
    return {
      said: () => said,
      close: () => child.stdin.end(),
      type: line => child.stdin.write(`${line}\n`),
      end: new Promise(resolve => child.on('close', code => resolve({ code, out, said }))),
    }
  }
  return { authorization, file, run }
}

/** The address that a login has shown. */
export async function addressIn(login: Run): Promise<string> {
  await expect.poll(login.said, { timeout: 20_000 }).toMatch(/^ {2}http\S+$/m)
  return /^ {2}(http\S+)$/m.exec(login.said())?.[1] ?? ''
}
