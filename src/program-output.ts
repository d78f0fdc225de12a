import { spawn } from 'node:child_process'

/** Programs that give secrets: how their command line is read, and how they are run. */

const TIMEOUT_MS = 10_000
const MAX_BYTES = 64 * 1024
/** A process that the program left behind may hold its output open. */
const AFTER_EXIT_MS = 500

export interface Surroundings {
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/**
 * Program and arguments of a text: a JSON list of strings, or words between blanks. Words in single or double quotes
 * may hold blanks. Nothing else has a meaning: there is no shell. `undefined`: the text has no such form.
 */
export function commandLine(text: string): readonly [string, ...string[]] | undefined {
  const [program, ...args] = text.trimStart().startsWith('[') ? listOf(text) : wordsOf(text)
  return program === undefined || program === '' || [program, ...args].some(word => word.includes('\0'))
    ? undefined
    : [program, ...args]
}

function listOf(text: string): readonly string[] {
  try {
    const list: unknown = JSON.parse(text)
    return Array.isArray(list) && list.every(item => typeof item === 'string') ? list : []
  } catch {
    return []
  }
}

function wordsOf(text: string): readonly string[] {
  if (!/^\s*(?:(?:"[^"]*"|'[^']*'|[^\s"'])+(?:\s+|$))+$/.test(text)) return []
  return (text.match(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g) ?? []).map(word =>
    word.replace(/"([^"]*)"|'([^']*)'/g, '$1$2'),
  )
}

/**
 * What a program prints, without the line break at its end. It has no standard input, and what it says on standard
 * error is not read: it may quote secrets.
 * @throws Error whose message is for the middle of a sentence, and holds nothing of the output
 */
export function outputOf(
  [program, ...args]: readonly [string, ...string[]],
  { cwd, env }: Surroundings,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...env },
      stdio: ['ignore', 'pipe', 'ignore'],
      windowsHide: true,
      // A group of its own, so that what it starts ends with it.
      detached: process.platform !== 'win32',
    })
    const chunks: Buffer[] = []
    let bytes = 0
    let afterExit: NodeJS.Timeout | undefined
    const settle = (end: () => void): void => {
      clearTimeout(timer)
      clearTimeout(afterExit)
      child.stdout.destroy()
      end()
    }
    const fail = (why: string): void => {
      kill(child.pid)
      settle(() => reject(new Error(why)))
    }
    const finish = (code: number | null, signal: string | null): void => {
      if (code !== 0) return fail(signal === null ? `it exited with code ${code}` : `it ended by ${signal}`)
      const text = Buffer.concat(chunks)
        .toString('utf8')
        .replace(/\r?\n$/, '')
      if (text === '') return fail('it printed nothing')
      settle(() => resolve(text))
    }
    const timer = setTimeout(() => fail(`it did not end within ${TIMEOUT_MS / 1000} s`), TIMEOUT_MS)
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > MAX_BYTES) fail(`it printed more than ${MAX_BYTES} bytes`)
      else chunks.push(chunk)
    })
    child.on('error', error =>
      fail(`it cannot be started (${(error as NodeJS.ErrnoException).code ?? 'unknown cause'})`),
    )
    child.on('exit', (code, signal) => {
      afterExit = setTimeout(() => finish(code, signal), AFTER_EXIT_MS)
    })
    child.on('close', finish)
  })
}

function kill(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}
