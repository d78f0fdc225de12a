import { findProgram } from '../config/load/programs.ts'
import { GatewayError } from '../core/errors.ts'
import { isVariableName, literal, type AddPlan, type AskedValue } from '../registry/plan.ts'
import { bundleFolder } from './bundle-folder.ts'
import { notThere } from './not-there.ts'
import { askPerson, isPersonThere, oneLine } from './terminal.ts'
import { confirm } from './confirm.ts'
import { whileWaiting } from './waiting.ts'
import type { AddOptions, Added } from './add-options.ts'

const MAX_TRIES = 3
/** Service of the keyring entries that `add` makes. */
const KEYRING_SERVICE = 'mcp-manifold'

interface Prepared {
  readonly plan: AddPlan
  readonly server: string
  readonly prepare?: () => Promise<void>
}

/**
 * The entry for what a registry or a bundle describes. What will run is shown and confirmed; values are asked for at a
 * terminal.
 * @throws GatewayError `config`
 */
export async function entryOfPlan(source: string, options: AddOptions): Promise<Added> {
  for (const [option, value] of [
    ['--env', options.env],
    ['--header', options.header],
    ['--transport', options.transport],
  ] as const)
    if (value !== undefined)
      throw new GatewayError(
        'config',
        `${option} is for a server whose command or address is given. Use --set name=value.`,
      )
  const { plan, server, prepare } = /\.(?:mcpb|dxt)$/i.test(source)
    ? await bundled(source, options)
    : await registered(source, options)
  await agree(plan, server, options)
  const { values, laterVariables, left } = await valuesOf(plan.asked, server, options)
  return {
    server,
    entry: plan.entry(key => values.get(key)),
    laterVariables,
    left,
    ...(prepare && { prepare }),
  }
}

async function registered(source: string, options: AddOptions): Promise<Prepared> {
  const [{ findServer, OFFICIAL_REGISTRY }, { planOf }] = await Promise.all([
    import('../registry/find-server.ts'),
    import('../registry/registry-plan.ts'),
  ])
  if (!source.includes('/'))
    throw new GatewayError(
      'config',
      `"${source}" has no command. Write: mcp-manifold add ${source} -- <command>, or the whole name of a server in the registry, such as io.github.owner/${source}, or the path of a bundle (.mcpb).`,
    )
  const base = options.registry ?? (process.env['MCP_MANIFOLD_REGISTRY'] || OFFICIAL_REGISTRY)
  const { server: found, names } = await whileWaiting(`Asking ${base}`, findServer(source, base))
  if (!found)
    throw notThere(
      quoted => `There is no server ${quoted} in ${base}`,
      source,
      names,
      'Nothing there has a name like it.',
    )
  const context = { cwd: process.cwd(), env: process.env }
  const plan = planOf(found, program => findProgram(program, context) === 'found', options.package)
  return { plan, server: options.name ?? plan.name }
}

async function bundled(source: string, options: AddOptions): Promise<Prepared> {
  const [{ readArchive }, { manifestOf }, { bundlePlan }, { unpack }] = await Promise.all([
    import('../bundles/archive.ts'),
    import('../bundles/manifest.ts'),
    import('../bundles/bundle-plan.ts'),
    import('../bundles/unpack.ts'),
  ])
  const files = await whileWaiting(`Reading ${source}`, readArchive(source))
  const manifest = manifestOf(files, source)
  const server = options.name ?? bundlePlan(manifest, '').name
  const folder = bundleFolder(server)
  const plan = bundlePlan(manifest, folder)
  const programs = manifest.kind === 'binary' ? [manifest.entryPoint.replace(/^\.\//, '')] : []
  return { plan, server, prepare: () => unpack(files, folder, programs) }
}

/** @throws GatewayError `config` unless it was agreed to */
async function agree(
  { shown, description }: AddPlan,
  server: string,
  { yes, json }: AddOptions,
): Promise<void> {
  const what = oneLine(shown)
  if (yes) return
  if (json || !isPersonThere())
    throw new GatewayError(
      'config',
      `"${server}" would be: ${what}\nNothing was added. Add --yes to agree to that.`,
    )
  const first = description === '' ? '' : `${oneLine(description)}\n`
  process.stderr.write(`${first}"${server}" will be: ${what}\n`)
  if (!(await confirm('Add it?'))) throw new GatewayError('cancelled', 'Nothing was added.')
}

interface Values {
  readonly values: ReadonlyMap<string, string>
  readonly laterVariables: readonly string[]
  readonly left: readonly string[]
}

async function valuesOf(asked: readonly AskedValue[], server: string, options: AddOptions): Promise<Values> {
  const given = givenValues(options.set ?? [], asked)
  const values = new Map<string, string>()
  const laterVariables: string[] = []
  const left: string[] = []
  for (const one of asked) {
    const value = given.get(one.key) ?? (await answerFor(one, options))
    if (!one.isSecret) {
      if (value !== undefined) values.set(one.key, literal(value))
      else if (one.isRequired)
        throw new GatewayError(
          'config',
          `"${server}" needs ${one.label}${about(one)}. Give it with --set ${one.label}=<value>.`,
        )
      continue
    }
    if (value === undefined && !one.isRequired) continue
    const kept = value === undefined ? undefined : await keptInKeyring(server, one.label, value)
    if (kept !== undefined) {
      values.set(one.key, kept)
      left.push(`${one.label} is in the keyring of the system.`)
      continue
    }
    const variable = variableFor(server, one.label)
    values.set(one.key, `\${${variable}}`)
    laterVariables.push(variable)
    left.push(
      value === undefined
        ? `Set the variable ${variable}${about(one)} before the gateway starts.`
        : `There is no keyring here, so ${one.label} was not kept. Set the variable ${variable} before the gateway starts.`,
    )
  }
  return { values, laterVariables, left }
}

function givenValues(set: readonly string[], asked: readonly AskedValue[]): ReadonlyMap<string, string> {
  return new Map(
    set.map(text => {
      const at = text.indexOf('=')
      const name = text.slice(0, Math.max(at, 0))
      const one = asked.find(({ label, key }) => label === name || key === name)
      if (at < 1 || !one)
        throw notThere(
          quoted => `--set ${quoted}: this server asks for no such value`,
          name === '' ? text : name,
          asked.map(({ label }) => label),
          'It asks for none.',
        )
      return [one.key, text.slice(at + 1)] as const
    }),
  )
}

/** The default where nothing is asked; `undefined`: left out. */
async function answerFor(one: AskedValue, { yes, json }: AddOptions): Promise<string | undefined> {
  const { label, isRequired, isSecret, otherwise, choices } = one
  if (json || !isPersonThere() || (yes && (!isRequired || otherwise !== undefined))) return otherwise
  const hints = [
    ...(choices.length > 0 ? [`one of ${choices.map(oneLine).join(', ')}`] : []),
    ...(otherwise === undefined ? [] : [`default ${oneLine(otherwise)}`]),
    ...(isRequired || otherwise !== undefined ? [] : ['may be left out']),
  ]
  const question = `${oneLine(label)}${about(one)}${hints.length > 0 ? ` (${hints.join('; ')})` : ''}: `
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const answer = await askPerson(question, isSecret)
    if (answer === '' && (otherwise !== undefined || !isRequired)) return otherwise
    if (answer !== '' && (choices.length === 0 || choices.includes(answer))) return answer
  }
  throw new GatewayError('cancelled', `${label} was not given. Nothing was added.`)
}

function about({ description }: AskedValue): string {
  return description === '' ? '' : ` (${oneLine(description)})`
}

/** What stands for a secret that the keyring keeps; `undefined` where there is no keyring. */
async function keptInKeyring(server: string, label: string, secret: string): Promise<string | undefined> {
  const { writeKeyring } = await import('../os-keyring.ts')
  const account = `${server}/${label}`.replace(/[^\w./-]/g, '_')
  try {
    await writeKeyring({ service: KEYRING_SERVICE, account }, secret)
    return `\${keyring:${KEYRING_SERVICE}/${account}}`
  } catch {
    return undefined
  }
}

function variableFor(server: string, label: string): string {
  // What a bundle asks for has a name of its own there, such as "key".
  if (isVariableName(label) && /^[A-Z\d_]+$/.test(label)) return label
  const name = `${server}_${label}`.toUpperCase().replace(/\W+/g, '_')
  return /^\d/.test(name) ? `_${name}` : name
}
