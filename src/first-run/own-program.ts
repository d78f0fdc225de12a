import { existsSync } from 'node:fs'
import { delimiter, dirname, join, posix } from 'node:path'
import { isJsonObject } from '../core/json-object.ts'
import { DESKTOP_PATH, isOn, lastingPath } from './program-path.ts'
import { variablesIn } from './variables.ts'
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
  /** The entries of its servers. */
  readonly servers: readonly unknown[]
}

/** The entry of the gateway for an application: absolute paths, and no argument with a space where that can be. */
export function ownEntryFor(
  application: Pick<Application, 'isDesktop' | 'variable'>,
  program: OwnProgram,
  machine: Machine,
): OwnEntry {
  const { command, args, node, config, servers } = program
  const isWindows = machine.platform === 'win32'
  const file = isWindows && config.includes(' ') ? fromHome(config, machine.home) : config
  const runner = command === 'npx' ? npx(args, node, isWindows) : { command, args }
  const variables = variablesIn(servers)
  const env = {
    ...(needsPath(application, program, machine) && {
      PATH: [...new Set([dirname(node), ...lastingPath(machine), ...DESKTOP_PATH])].join(delimiter),
    }),
    ...filledIn(application, variables, machine),
  }
  return {
    command: runner.command,
    args: [...runner.args, '--config', file],
    ...(Object.keys(env).length > 0 && { env }),
    ...(variables.length > 0 && { variables }),
  }
}

/** Whether a desktop would not find Node, which npx looks for, or a program that is found here. */
function needsPath(
  { isDesktop }: Pick<Application, 'isDesktop'>,
  { node, servers }: OwnProgram,
  machine: Machine,
): boolean {
  if (!isDesktop || machine.platform === 'win32') return false
  if (!DESKTOP_PATH.includes(dirname(node))) return true
  const commands = servers.flatMap(entry => (isJsonObject(entry) ? [entry['command']] : []))
  const lasting = lastingPath(machine)
  return commands.some(
    command => typeof command === 'string' && !isOn(DESKTOP_PATH, command) && isOn(lasting, command),
  )
}

/** Variables that the application fills in, as far as they are set: otherwise some keep the text of the variable. */
function filledIn(
  { variable }: Pick<Application, 'variable'>,
  names: readonly string[],
  { env }: Machine,
): Record<string, string> {
  if (!variable) return {}
  return Object.fromEntries(names.filter(name => env[name] !== undefined).map(name => [name, variable(name)]))
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
  if (!/^[\\/]/.test(file.slice(home.length)) || !file.startsWith(home)) return file
  return posix.join('~', file.slice(home.length).replaceAll('\\', '/'))
}
