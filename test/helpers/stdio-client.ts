import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { deferred, type Deferred } from './deferred.ts'
import { BIN } from './served.ts'

/** A message of the gateway, parsed. */
export interface Answer {
  readonly jsonrpc: '2.0'
  readonly id?: number | string | null
  readonly method?: string
  readonly params?: Record<string, unknown>
  readonly result?: Record<string, unknown>
  readonly error?: {
    readonly code: number
    readonly message: string
    readonly data?: Record<string, unknown>
  }
}

/** The built gateway on stdio, as a client's child. */
export interface StdioClient extends AsyncDisposable {
  readonly pid: number
  /** Sends a request; rejects when the gateway ends without having answered. */
  request(method: string, params?: object): Promise<Answer>
  notify(method: string, params?: object): void
  /** Writes bytes as they are. */
  write(text: string): void
  /** `initialize` and what follows it. */
  initialize(protocolVersion?: string): Promise<Answer>
  /** Text of a tool's result, or the message of the error. */
  call(name: string, args?: object): Promise<string>
  /** The first message that matches, passed already or yet to come. */
  next(matches: (answer: Answer) => boolean): Promise<Answer>
  /** Everything on stdout, line by line. */
  readonly lines: readonly string[]
  /** Everything on stderr. */
  readonly log: string
  /** Resolves when stderr matches. */
  logged(pattern: RegExp): Promise<void>
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>
  /** Closes stdin and resolves with the exit code. */
  leave(): Promise<number | null>
  kill(signal: NodeJS.Signals): void
}

const EXIT_TIMEOUT_MS = 30_000

/** Starts the built gateway on stdio. At the end of the scope it must have left by itself, and every line of its stdout must be JSON-RPC. */
export function startStdio(configFile: string, options: { env?: Record<string, string> } = {}): StdioClient {
  const child = spawn(process.execPath, [BIN, '--config', configFile], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  })
  const exited = once(child, 'exit').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as string | null,
  }))
  const closed = once(child, 'close')
  const lines: string[] = []
  const answers: Answer[] = []
  let log = ''
  let lastId = 0
  const waiting = new Set<{ matches: (answer: Answer) => boolean; found: Deferred<Answer> }>()
  const reading = new Set<{ pattern: RegExp; found: Deferred<void> }>()

  child.stdin.on('error', () => {})
  createInterface({ input: child.stdout }).on('line', line => {
    lines.push(line)
    let answer: Answer
    try {
      answer = parsed(line)
    } catch {
      return
    }
    answers.push(answer)
    for (const waiter of waiting) {
      if (!waiter.matches(answer)) continue
      waiting.delete(waiter)
      waiter.found.resolve(answer)
    }
  })
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString()
    for (const reader of reading) if (reader.pattern.test(log)) reader.found.resolve()
  })
  void closed.then(() => {
    const error = new Error(`The gateway has ended; it logged: ${log}`)
    for (const { found } of waiting) found.reject(error)
    for (const { found } of reading) found.reject(error)
  })

  const client: StdioClient = {
    pid: child.pid as number,
    async request(method, params) {
      const id = ++lastId
      client.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`)
      return await client.next(answer => answer.id === id && answer.method === undefined)
    },
    notify(method, params) {
      client.write(`${JSON.stringify({ jsonrpc: '2.0', method, params })}\n`)
    },
    write: text => void child.stdin.write(text),
    async initialize(protocolVersion = '2025-11-25') {
      const clientInfo = { name: 'test', version: '1' }
      const answer = await client.request('initialize', { protocolVersion, capabilities: {}, clientInfo })
      client.notify('notifications/initialized')
      return answer
    },
    async call(name, args = {}) {
      return textOf(await client.request('tools/call', { name, arguments: args }))
    },
    async next(matches) {
      const passed = answers.find(matches)
      if (passed) return passed
      const found = deferred<Answer>()
      waiting.add({ matches, found })
      return await found.promise
    },
    lines,
    get log() {
      return log
    },
    async logged(pattern) {
      if (pattern.test(log)) return
      const found = deferred()
      reading.add({ pattern, found })
      await found.promise
    },
    exited,
    async leave() {
      child.stdin.end()
      return (await exited).code
    },
    kill: signal => void child.kill(signal),
    async [Symbol.asyncDispose]() {
      child.stdin.end()
      let overdue = false
      const timer = setTimeout(() => {
        overdue = true
        child.kill('SIGKILL')
      }, EXIT_TIMEOUT_MS)
      await closed
      clearTimeout(timer)
      if (overdue)
        throw new Error(`The gateway did not leave within ${EXIT_TIMEOUT_MS} ms; it logged: ${log}`)
      for (const line of lines) parsed(line)
    },
  }
  return client
}

/** @throws Error when the line is not one JSON-RPC message */
function parsed(line: string): Answer {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    throw new Error(`stdout has a line that is no JSON: ${line.slice(0, 200)}`)
  }
  if (typeof value !== 'object' || value === null || (value as Answer).jsonrpc !== '2.0')
    throw new Error(`stdout has a line that is no message: ${line.slice(0, 200)}`)
  return value as Answer
}

/** What a person would read of an answer to `tools/call`. */
export function textOf(answer: Answer): string {
  if (answer.error) return answer.error.message
  const content = answer.result?.['content'] as readonly { readonly text?: string }[] | undefined
  return content?.map(block => block.text ?? '').join('') ?? ''
}

/** What the gateway adds to a result that stands for a failure of its own. */
export function failureOf(answer: Answer): Record<string, unknown> | undefined {
  const meta = answer.result?.['_meta'] as Record<string, Record<string, unknown>> | undefined
  return meta?.['io.github.mcp-manifold/error']
}
