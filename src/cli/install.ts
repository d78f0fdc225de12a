import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { APPLICATIONS } from '../client-files/applications/applications.ts'
import { loadFormat } from '../client-files/load-format.ts'
import { MCP_SERVERS } from '../client-files/applications/folders.ts'
import { GatewayError } from '../core/errors.ts'
import { withoutEnd } from '../core/without-end.ts'
import { readConfigFile, type OwnConfig } from '../first-run/config-file.ts'
import { installEntry, targetOf, uninstallEntry } from '../first-run/install.ts'
import { ownEntryFor } from '../first-run/own-program.ts'
import { alignColumns } from './table.ts'
import { print, printJson, say } from './say.ts'
import { applicationNamed, ownConfigFile, recordsFolder, shownPath, thisMachine } from './this-machine.ts'
import { thisProgram, typed } from './this-program.ts'
import type { Application, Machine, OwnEntry, Scope } from '../client-files/applications/application.ts'

export interface InstallOptions {
  readonly config?: string
  readonly scope?: Scope
  readonly http?: boolean
  /** Key of the application, or how it refers to one. */
  readonly key?: string
  readonly name: string
  readonly print?: boolean
  readonly json?: boolean
}

/**
 * `install`: adds the entry of the gateway to the file of an application.
 * @throws GatewayError `config` for an unknown application, and for a file that cannot be changed
 */
export async function runInstall(name: string | undefined, options: InstallOptions): Promise<void> {
  const machine = thisMachine()
  if (name === undefined) return print(applicationsText(machine))
  const application = applicationNamed(name)
  const local = join(machine.cwd, 'servers.json')
  const file =
    options.config === undefined && existsSync(local) ? local : ownConfigFile(options.config, machine)
  const config = await readConfigFile(file)
  if (!config.before && !options.print)
    throw new GatewayError(
      'config',
      `There is no configuration ${file} yet, so the gateway would not start. Make one of the servers that your applications have: ${typed('init', undefined)}`,
    )
  if (options.key !== undefined && !options.http)
    throw new GatewayError(
      'config',
      '--key is for --http: a gateway that an application starts asks for none.',
    )
  const entry = options.http
    ? atAddress(application, config, options)
    : startedBy(application, config, machine)
  const scope = options.scope ?? 'user'
  const reading = { machine, address: config.address, configFile: file }
  const target = await targetOf(application, scope, reading)
  if (options.print || !target) {
    if (!target && options.scope !== undefined && application.files(machine).length > 0)
      throw noScope(application, options.scope)
    const section = target?.file.section ?? MCP_SERVERS
    const format = await loadFormat(target?.file.syntax ?? 'jsonc')
    if (!options.json) say(pasteText(application, target?.file.file))
    const snippet = format.snippet(section, {
      name: options.name,
      value: application.write(entry, options.name),
    })
    return options.json ? printJson({ file: target?.file.file, snippet }) : print(snippet)
  }
  const command = `install ${application.id}`
  const stateFolder = recordsFolder(machine)
  const installed = await installEntry({ target, entry, name: options.name, stateFolder, command })
  const { file: path } = target.file
  if (installed.state === 'left') process.exitCode = 1
  if (options.json) return printJson({ file: path, ...installed })
  if (installed.state === 'left') {
    say(`${path} ${withoutEnd(installed.reason, '.')}. It was left as it is. Paste this into it:`)
    return print(installed.snippet)
  }
  if (installed.state === 'there')
    return print(`${shownPath(path, machine)} has the entry "${installed.name}" already.`)
  print(`${shownPath(path, machine)} has the entry "${installed.name}". Restart ${application.title}.`)
  print(`To undo it: ${typed('undo', undefined)}`)
}

/** `uninstall`: removes the entry of the gateway. */
export async function runUninstall(name: string | undefined, options: InstallOptions): Promise<void> {
  const machine = thisMachine()
  if (name === undefined) return print(applicationsText(machine))
  const application = applicationNamed(name)
  const configFile = ownConfigFile(options.config, machine)
  const { address } = await readConfigFile(configFile)
  const results: { file: string; state: string; reason?: string }[] = []
  for (const scope of options.scope === undefined ? (['user', 'project'] as const) : [options.scope]) {
    const target = await targetOf(application, scope, { machine, address, configFile })
    if (!target?.found) continue
    const outcome = await uninstallEntry(target, recordsFolder(machine), `uninstall ${application.id}`)
    results.push({ file: target.file.file, ...outcome })
  }
  if (results.some(({ state }) => state === 'left')) process.exitCode = 1
  if (options.json) return printJson(results)
  for (const { file, state, reason } of results) {
    if (state === 'changed')
      print(`${shownPath(file, machine)} has no entry of the gateway any more. Restart ${application.title}.`)
    if (state === 'left') print(`${file} ${withoutEnd(reason ?? '', '.')}. It was left as it is.`)
  }
  if (!results.some(({ state }) => state !== 'absent'))
    print(`No file of ${application.title} has an entry of the gateway.`)
}

function startedBy(application: Application, { file, servers }: OwnConfig, machine: Machine): OwnEntry {
  const program = { ...thisProgram(), node: process.execPath, config: file, servers: Object.values(servers) }
  return ownEntryFor(application, program, machine)
}

function atAddress(
  { http, title, id }: Application,
  { file, asksForKey, address: { host, port } }: Pick<OwnConfig, 'file' | 'asksForKey' | 'address'>,
  { key, print: isPrinted }: InstallOptions,
): OwnEntry {
  if (!http)
    throw new GatewayError(
      'config',
      `${title} takes no URL in its file. Let it start the gateway: mcp-manifold install ${id}`,
    )
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host
  const url = `http://${name}:${port}/mcp`
  if (key === undefined && !asksForKey) return { url }
  if (key === undefined && !isPrinted)
    throw new GatewayError(
      'config',
      `The gateway of ${file} asks its clients for a key, and would refuse ${title} without one.\nMake one: ${typed('keys create <client>', file)}\nThen: ${typed(`install ${id} --http --key <key>`, undefined)}\nWhere ${title} knows references such as \${env:GATEWAY_KEY}, one of those as <key> keeps the key out of its file.`,
    )
  return { url, headers: { Authorization: `Bearer ${key ?? '<key>'}` } }
}

function noScope({ title, id }: Application, scope: Scope): GatewayError {
  const other = scope === 'project' ? 'user' : 'project'
  return new GatewayError(
    'config',
    `${title} has no file of the ${scope}. Try: mcp-manifold install ${id} --scope ${other}`,
  )
}

function pasteText({ title }: Application, file: string | undefined): string {
  return file === undefined ? `Paste this into the settings of ${title}:` : `For ${file}:`
}

function applicationsText(machine: Machine): string {
  const rows = APPLICATIONS.map(application => {
    const files = application.files(machine).filter(({ scope }) => scope === 'user')
    const file =
      files.find(candidate => existsSync(candidate.file)) ?? files.find(({ isUsual }) => isUsual) ?? files[0]
    return [
      application.id,
      application.title,
      file === undefined ? 'pasted by hand' : shownPath(file.file, machine),
    ]
  })
  return [
    'Applications and their files:',
    ...alignColumns(rows),
    '',
    'Next: mcp-manifold install <application>',
  ].join('\n')
}
