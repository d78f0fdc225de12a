import { readConfigFile, type OwnConfig } from './config-file.ts'
import { findFiles, type FoundFile } from './find.ts'
import { mergeServers, type MergedServer } from './merge.ts'
import { hintOf } from './hints.ts'
import { firstRunPlan, type Plan, type PlanOptions } from './plan.ts'
import type { Application, Machine } from '../client-files/applications/application.ts'

/** Everything that a first run knows before it changes anything. */
export interface FirstRun {
  readonly plan: Plan
  readonly config: OwnConfig
  readonly files: readonly FoundFile[]
  readonly servers: readonly MergedServer[]
  /** Files of the project that are left, because only those of the user are asked for. */
  readonly ofProject: readonly FoundFile[]
}

/**
 * Looks at a machine and changes nothing.
 * @param configFile absolute path of the configuration of the gateway
 * @throws GatewayError `config` for a configuration that cannot be extended
 */
export async function lookAround(
  applications: readonly Application[],
  machine: Machine,
  configFile: string,
  options: PlanOptions,
): Promise<FirstRun> {
  const config = await readConfigFile(configFile)
  const all = await findFiles(applications, { machine, address: config.address, configFile })
  // The configuration of the gateway may be a file of an application as well.
  const found = all.filter(({ file }) => file !== configFile)
  const isWished = ({ scope }: FoundFile): boolean => options.project || scope === 'user'
  const files = found.filter(isWished)
  const ofProject = found.filter(file => !isWished(file) && file.servers.length > 0)
  const servers = mergeServers(files, config.servers)
  const plan = firstRunPlan({
    options,
    config: { file: configFile, hash: config.before?.hash ?? null },
    files,
    servers,
    hintOf: server => hintOf(server, files, machine),
  })
  return { plan, config, files, servers, ofProject }
}
