import { existsSync } from 'node:fs'
import { delimiter, dirname, join, posix } from 'node:path'
import type { Application, Machine, OwnEntry } from '../client-files/applications/application.ts'

/** How applications start the gateway. */

export interface OwnProgram {
  /** How this program was started: Node and its script, or npx. */
  readonly command: string
  readonly args: readonly string[]
  /** The Node that runs this program. */
  readonly node: string
  /** The configuration; absolute. */
  readonly config: string
}

/** Folders on the PATH of programs that a desktop starts. */
const DESKTOP_PATH = ['/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin', '/sbin']

/** The entry of the gateway for an application: absolute paths, and no argument with a space where that can be. */
export function ownEntryFor(
  { isDesktop }: Pick<Application, 'isDesktop'>,
  { command, args, node, config }: OwnProgram,
  { platform, home }: Machine,
): OwnEntry {
  const isWindows = platform === 'win32'
  const file = isWindows && config.includes(' ') ? fromHome(config, home) : config
  const runner = command === 'npx' ? npx(args, node, isWindows) : { command, args }
  const entry = { command: runner.command, args: [...runner.args, '--config', file] }
  // Programs that the gateway starts, such as npx, are beside Node and look for it on PATH.
  if (!isDesktop || isWindows || DESKTOP_PATH.includes(dirname(node))) return entry
  return { ...entry, env: { PATH: [dirname(node), ...DESKTOP_PATH].join(delimiter) } }
}

/** npx is a script: Windows runs it by `cmd`, and a desktop elsewhere finds neither it nor Node. */
function npx(
  args: readonly string[],
  node: string,
  isWindows: boolean,
): { command: string; args: readonly string[] } {
  if (isWindows) return { command: 'cmd', args: ['/c', 'npx', ...args] }
  const script = join(dirname(node), '..', 'lib', 'node_modules', 'npm', 'bin', 'npx-cli.js')
  return existsSync(script) ? { command: node, args: [script, ...args] } : { command: 'npx', args }
}

/** Some clients on Windows break arguments with a space apart. A path in the home directory can do without its name. */
function fromHome(file: string, home: string): string {
  if (!file.startsWith(home)) return file
  return posix.join('~', file.slice(home.length).replaceAll('\\', '/'))
}
