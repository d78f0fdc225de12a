import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { BIN } from './served.ts'
import type { Finding } from '../../src/doctor/finding.ts'
import type { Report } from '../../src/doctor/doctor.ts'
import type { Scratch } from './scratch.ts'

const LISTING_FILE = fileURLToPath(new URL('../fixtures/servers/listing.js', import.meta.url))

/** The entry of a stdio server that does what it is told. */
export function listing(told: object = {}): { command: string; args: string[] } {
  return { command: process.execPath, args: [LISTING_FILE, JSON.stringify(told)] }
}

/** The entry of a stdio server without a fault. */
export const LISTING = listing({ tools: [{ name: 'read', inputSchema: { type: 'object' } }] })

export interface DiagnoseOptions {
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly nodeArgs?: readonly string[]
  /** Whether the modes of files hold for it, also where this user is root. */
  readonly obeysModes?: boolean
  /** Default: the built program. */
  readonly bin?: string
}

/** What `doctor --json` reports, with its exit code. */
export interface Diagnosis extends Report {
  readonly code: number | null
  /** The only finding with this code. */
  only(code: Finding['code']): Finding
}

/**
 * Runs the built `doctor` on a configuration: an object, or the text of the file. State in memory unless it says
 * otherwise; without any file of the user.
 */
export async function diagnose(
  scratch: Scratch,
  config: object | string,
  { args = [], env = {}, nodeArgs = [], obeysModes = false, bin = BIN }: DiagnoseOptions = {},
): Promise<Diagnosis> {
  const inMemory = typeof config === 'string' ? config : { gateway: { state: 'memory' }, ...config }
  const file = scratch.write('servers.json', inMemory)
  const { code, stdout, stderr } = await run(
    [...nodeArgs, bin, 'doctor', '--json', '--config', file, ...args],
    scratch.path,
    env,
    obeysModes,
  )
  let report: Report
  try {
    report = JSON.parse(stdout) as Report
  } catch {
    throw new Error(`doctor printed no report; exit code ${code}: ${stdout}${stderr}`)
  }
  return {
    ...report,
    code,
    only(wanted) {
      const found = report.findings.filter(finding => finding.code === wanted)
      if (found.length === 1) return found[0] as Finding
      throw new Error(`${found.length} findings "${wanted}" in ${stdout}`)
    },
  }
}

async function run(
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
  obeysModes: boolean,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const asRoot = obeysModes && process.getuid?.() === 0
  const [command, line] = asRoot
    ? ['setpriv', ['--bounding-set', '-dac_override,-dac_read_search', process.execPath, ...args]]
    : [process.execPath, args]
  const child = spawn(command, line, {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', HOME: cwd, XDG_STATE_HOME: `${cwd}/xdg`, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { code, stdout, stderr }
}
