import { findProgram } from '../config/load/programs.ts'
import { GatewayError } from '../core/errors.ts'
import { bundleFolder } from './server-key.ts'
import { notThere } from './not-there.ts'
import { whileWaiting } from './waiting.ts'
import type { BundleCode } from '../bundles/unpack.ts'
import type { AddPlan } from '../registry/plan.ts'
import type { AddOptions } from './add-options.ts'

/** What a registry or a bundle describes, before anything is asked for. */
export interface Planned {
  readonly plan: AddPlan
  readonly server: string
  /** Of a bundle. */
  readonly code?: BundleCode
}

/**
 * Reads what is to be added: a bundle, or what a registry has under the name.
 * @param file the configuration that it is added to
 * @throws GatewayError `config`, or the reason of `signal`
 */
export async function plannedServer(
  source: string,
  file: string,
  options: AddOptions,
  signal: AbortSignal,
): Promise<Planned> {
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
  return /\.(?:mcpb|dxt)$/i.test(source)
    ? await bundled(source, file, options)
    : await registered(source, options, signal)
}

async function registered(source: string, options: AddOptions, signal: AbortSignal): Promise<Planned> {
  const [{ findServer, usableAddress, OFFICIAL_REGISTRY }, { planOf }] = await Promise.all([
    import('../registry/find-server.ts'),
    import('../registry/registry-plan.ts'),
  ])
  if (!source.includes('/'))
    throw new GatewayError(
      'config',
      `"${source}" has no command. Write: mcp-manifold add ${source} -- <command>, or the whole name of a server in the registry, such as io.github.owner/${source}, or the path of a bundle (.mcpb).`,
    )
  const address = usableAddress(
    options.registry ?? (process.env['MCP_MANIFOLD_REGISTRY'] || OFFICIAL_REGISTRY),
  )
  const asking = findServer(source, address, signal)
  const { server: found, names } = await whileWaiting(`Asking ${address.shown}`, asking)
  if (!found)
    throw notThere(
      quoted => `There is no server ${quoted} in ${address.shown}`,
      source,
      names,
      'Nothing there has a name like it.',
    )
  const context = { cwd: process.cwd(), env: process.env }
  const plan = planOf(found, program => findProgram(program, context) === 'found', options.package)
  return { plan, server: options.name ?? plan.name }
}

async function bundled(source: string, file: string, options: AddOptions): Promise<Planned> {
  const [{ readArchive }, { manifestOf }, { bundlePlan }, { codeFolder }] = await Promise.all([
    import('../bundles/archive.ts'),
    import('../bundles/manifest.ts'),
    import('../bundles/bundle-plan.ts'),
    import('../bundles/unpack.ts'),
  ])
  const files = await whileWaiting(`Reading ${source}`, readArchive(source))
  const manifest = manifestOf(files, source)
  const server = options.name ?? bundlePlan(manifest, '').name
  const folder = codeFolder(await bundleFolder(file, server))
  const programs = manifest.kind === 'binary' ? [manifest.entryPoint.replace(/^\.\//, '')] : []
  return { plan: bundlePlan(manifest, folder), server, code: { files, folder, programs } }
}
