import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'

/** A real browser without a screen, driven over the pipe of its debugging protocol. */

const PROGRAM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)

/** Whether this machine has one. */
export const HAS_CHROMIUM = PROGRAM !== undefined

export interface Page extends AsyncDisposable {
  open(url: string): Promise<void>
  /** Runs an expression in the page, and resolves with its value. */
  run<T>(expression: string): Promise<T>
  /** Waits until an expression is true, also over navigations. */
  until(expression: string): Promise<void>
  /** A picture of the page, as PNG. */
  picture(): Promise<Buffer>
}

interface Answer {
  readonly id?: number
  readonly result?: Record<string, unknown>
  readonly error?: { readonly message: string }
}

/** Starts a browser with a profile of its own, and one page. */
export async function startChromium(): Promise<Page> {
  const profile = mkdtempSync(join(tmpdir(), 'manifold-chromium-'))
  const child = spawn(
    PROGRAM as string,
    [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-first-run',
      '--no-proxy-server',
      '--remote-debugging-pipe',
      `--user-data-dir=${profile}`,
      'about:blank',
    ],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
  )
  const [to, from] = [child.stdio[3] as Writable, child.stdio[4] as Readable]
  const waiting = new Map<number, (answer: Answer) => void>()
  let [ids, rest] = [0, '']
  from.on('data', (chunk: Buffer) => {
    const messages = (rest + chunk.toString()).split('\0')
    rest = messages.pop() ?? ''
    for (const text of messages) {
      const answer = JSON.parse(text) as Answer
      if (answer.id !== undefined) waiting.get(answer.id)?.(answer)
    }
  })
  const send = (
    method: string,
    params: object = {},
    sessionId?: string,
  ): Promise<Record<string, unknown>> => {
    const id = ++ids
    to.write(`${JSON.stringify({ id, method, params, sessionId })}\0`)
    return new Promise((resolve, reject) =>
      waiting.set(id, ({ result, error }) => {
        waiting.delete(id)
        if (error) reject(new Error(`${method}: ${error.message}`))
        else resolve(result ?? {})
      }),
    )
  }
  const { targetId } = await send('Target.createTarget', { url: 'about:blank' })
  const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true })
  const page = (method: string, params?: object): Promise<Record<string, unknown>> =>
    send(method, params, String(sessionId))
  await page('Page.enable')
  const run = async <T>(expression: string): Promise<T> => {
    const { result } = await page('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true })
    return (result as { value: T }).value
  }
  return {
    async open(url) {
      await page('Page.navigate', { url })
    },
    run,
    async until(expression) {
      for (let left = 300; ; left--) {
        const isSo = await run<boolean>(expression).catch(() => false)
        if (isSo) return
        if (left === 0)
          throw new Error(`${expression} stays false at ${await run<string>('document.body.innerText')}`)
        await new Promise(resolve => setTimeout(resolve, 50))
      }
    },
    async picture() {
      const { data } = await page('Page.captureScreenshot', { format: 'png' })
      return Buffer.from(String(data), 'base64')
    },
    async [Symbol.asyncDispose]() {
      const ended = new Promise(resolve => child.once('close', resolve))
      await send('Browser.close').catch(() => undefined)
      await ended
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
