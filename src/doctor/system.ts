import { readFileSync, readdirSync, readlinkSync, statfsSync } from 'node:fs'
import { execFile } from 'node:child_process'
import { dirname } from 'node:path'

/** What only the system knows. Each answer is bounded in time, and `undefined` where the system does not tell. */
export interface SystemFacts {
  /** PATH of applications that the desktop starts. */
  desktopPath(): Promise<string | undefined>
  /** Free bytes on the disk of a path that may not exist yet. */
  freeBytes(path: string): number | undefined
  /** The process that listens on a port, as in `node (pid 42)`. */
  listenerOn(port: number): Promise<string | undefined>
}

const TIMEOUT_MS = 2000
/** The PATH of launchd, without what shells add. */
const MAC_PATH = '/usr/bin:/bin:/usr/sbin:/sbin'
/** The PATH of a login without a shell. */
const LINUX_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** More processes are not looked at. */
const MOST_PROCESSES = 5000

export function systemFacts(platform: NodeJS.Platform): SystemFacts {
  return {
    desktopPath: async () => {
      if (platform === 'darwin') return (await printed('launchctl', ['getenv', 'PATH'])) || MAC_PATH
      // On Windows, applications have the PATH of the shell.
      return platform === 'linux' ? (pathOfFile('/etc/environment') ?? LINUX_PATH) : undefined
    },
    freeBytes,
    listenerOn: port => (platform === 'linux' ? Promise.resolve(ofProc(port)) : ofLsof(port)),
  }
}

function pathOfFile(file: string): string | undefined {
  try {
    return /^PATH=["']?([^"'\n]+)/m.exec(readFileSync(file, 'utf8'))?.[1]
  } catch {
    return undefined
  }
}

function freeBytes(path: string): number | undefined {
  for (let at = path; ; at = dirname(at)) {
    try {
      const { bavail, bsize } = statfsSync(at)
      return bavail * bsize
    } catch {
      if (dirname(at) === at) return undefined
    }
  }
}

/** From the tables of the kernel: the socket that listens, and the process that has it. */
function ofProc(port: number): string | undefined {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0')
  const inodes = new Set<string>()
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6'])
    for (const line of linesOf(table)) {
      const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/)
      if (state === '0A' && local.endsWith(`:${wanted}`) && inode !== undefined)
        inodes.add(`socket:[${inode}]`)
    }
  if (inodes.size === 0) return undefined
  const pids = namesIn('/proc').filter(name => /^\d+$/.test(name))
  for (const pid of pids.slice(0, MOST_PROCESSES))
    for (const fd of namesIn(`/proc/${pid}/fd`))
      if (inodes.has(targetOf(`/proc/${pid}/fd/${fd}`)))
        return `${linesOf(`/proc/${pid}/comm`)[0] ?? '?'} (pid ${pid})`
  return undefined
}

async function ofLsof(port: number): Promise<string | undefined> {
  const found = await printed('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fpc'])
  const [, pid] = /^p(\d+)$/m.exec(found) ?? []
  const [, name] = /^c(.+)$/m.exec(found) ?? []
  return pid === undefined ? undefined : `${name ?? '?'} (pid ${pid})`
}

/** What a program of the system prints; empty where it fails. */
function printed(program: string, args: readonly string[]): Promise<string> {
  return new Promise(resolve => {
    execFile(program, args, { timeout: TIMEOUT_MS, maxBuffer: 64 * 1024 }, (error, stdout) =>
      resolve(error ? '' : stdout.trim()),
    )
  })
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n')
  } catch {
    return []
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function targetOf(link: string): string {
  try {
    return readlinkSync(link)
  } catch {
    return ''
  }
}
