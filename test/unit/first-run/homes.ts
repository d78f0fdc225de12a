import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { APPLICATIONS } from '../../../src/client-files/applications/applications.ts'
import { loadFormat } from '../../../src/client-files/load-format.ts'
import { applyPlan, type Applied, type Applying } from '../../../src/first-run/apply.ts'
import { lookAround, type FirstRun } from '../../../src/first-run/first-run.ts'
import type { Application, ClientFile, Machine } from '../../../src/client-files/applications/application.ts'
import type { Plan, PlanOptions } from '../../../src/first-run/plan.ts'

/** Homes of three systems with client files of every application, and first runs over them. */

export const PLATFORMS = ['linux', 'darwin', 'win32'] as const
export const OPTIONS: PlanOptions = { project: false, name: 'gw', secrets: 'config' }
export const GATEWAY = { command: '/opt/node', args: ['/opt/mcp-manifold.js', '--config', '/c/servers.json'] }

export function machineIn(folder: string, platform: NodeJS.Platform): Machine {
  const home = join(folder, 'home')
  const cwd = join(folder, 'project')
  mkdirSync(home, { recursive: true })
  mkdirSync(cwd, { recursive: true })
  return { platform, home, cwd, env: { PATH: process.env['PATH'] } }
}

/** The entry of a server, as an application writes it; everything but the gateway is written in the same form. */
export function entryOf(application: Application, name: string): unknown {
  return application.write({ command: 'node', args: [`${name}.js`], env: { MODE: 'x' } }, name)
}

/** A client file with two servers, comments and other settings. */
export async function clientFile(application: Application, { syntax, section }: ClientFile): Promise<string> {
  const format = await loadFormat(syntax)
  const text = {
    jsonc: '// Mine.\n{\n\t"other": { "a": 1 }, // kept\n}\n',
    toml: '# Mine.\nother = "a" # kept\n\n[more]\nx = 1\n',
    yaml: '# Mine.\nother: a # kept\n\nmore:\n  - x # kept\n',
  }[syntax].replaceAll('\n', application.id.length % 2 === 0 ? '\r\n' : '\n')
  return ['shared', `of-${application.id}`].reduce(
    (edited, name) => format.insert(edited, section, { name, value: entryOf(application, name) }).text,
    text,
  )
}

/** Writes the first file of each scope of every application. */
export async function fillHome(machine: Machine, applications = APPLICATIONS): Promise<ClientFile[]> {
  const written: ClientFile[] = []
  for (const application of applications)
    for (const scope of ['user', 'project'] as const) {
      const file = application.files(machine).find(candidate => candidate.scope === scope)
      if (!file || written.some(other => other.file === file.file)) continue
      writeIn(file.file, await clientFile(application, file))
      chmodSync(file.file, 0o640)
      written.push(file)
    }
  return written
}

export function writeIn(file: string, content: string | Buffer): string {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, content)
  return file
}

/** Every file below a folder, with its content and mode. */
export function contentsOf(folder: string): Record<string, string> {
  const names = (readdirSync(folder, { recursive: true }) as string[]).filter(name =>
    statSync(join(folder, name)).isFile(),
  )
  return Object.fromEntries(
    names.sort().map(name => {
      const path = join(folder, name)
      return [name, `${(statSync(path).mode & 0o777).toString(8)} ${readFileSync(path, 'latin1')}`]
    }),
  )
}

export interface Run {
  readonly machine: Machine
  readonly configFile: string
  readonly stateFolder: string
}

export function runIn(folder: string, platform: NodeJS.Platform): Run {
  return {
    machine: machineIn(folder, platform),
    configFile: join(folder, 'config', 'servers.json'),
    stateFolder: join(folder, 'state'),
  }
}

export async function look(
  { machine, configFile }: Run,
  options: Partial<PlanOptions> = {},
): Promise<FirstRun> {
  return await lookAround(APPLICATIONS, machine, configFile, { ...OPTIONS, ...options })
}

export async function apply(
  run: Run,
  found: FirstRun,
  plan: Plan = found.plan,
  more: Partial<Applying> = {},
): Promise<Applied> {
  return await applyPlan({
    ...found,
    plan,
    stateFolder: run.stateFolder,
    command: 'init',
    ownEntry: () => gatewayOf(run),
    storeSecret: async () => {},
    isStopped: () => false,
    ...more,
  })
}

/** The entry of the gateway with the configuration of a run. */
export function gatewayOf({ configFile }: Run): typeof GATEWAY {
  return { ...GATEWAY, args: [...GATEWAY.args.slice(0, -1), configFile] }
}
