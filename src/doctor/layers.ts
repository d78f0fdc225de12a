import { checkApplications } from './check-applications.ts'
import { checkFile } from './check-file.ts'
import { checkGateway } from './check-gateway.ts'
import { checkLists } from './check-lists.ts'
import { checkMachine } from './check-machine.ts'
import { checkNetwork } from './check-network.ts'
import { checkPrograms } from './check-programs.ts'
import { checkQuotas } from './check-quotas.ts'
import { checkStarts } from './check-start.ts'
import { checkState } from './check-state.ts'
import { checkVault } from './check-vault.ts'
import { checkVersions } from './check-versions.ts'
import type { Examination } from './examination.ts'
import type { LayerName } from './codes.ts'
import type { Finding } from './finding.ts'

export interface Layer {
  readonly name: LayerName
  /** Whether it has nothing to look at without a configuration. */
  readonly needsFile: boolean
  /** Never sees the findings of later layers. */
  check(exam: Examination): Finding[] | Promise<Finding[]>
}

/**
 * The layers in the order in which they build on each other. A check of one may find what belongs to another: the code
 * of a finding decides about its layer.
 */
export const LAYERS: readonly Layer[] = [
  { name: 'machine', needsFile: false, check: ({ world }) => checkMachine(world) },
  { name: 'file', needsFile: false, check: checkFile },
  { name: 'programs', needsFile: true, check: checkPrograms },
  { name: 'state', needsFile: true, check: checkState },
  { name: 'vault', needsFile: true, check: checkVault },
  { name: 'network', needsFile: true, check: checkNetwork },
  { name: 'start', needsFile: true, check: checkStarts },
  { name: 'lists', needsFile: true, check: checkLists },
  { name: 'quotas', needsFile: true, check: checkQuotas },
  { name: 'gateway', needsFile: true, check: checkGateway },
  { name: 'applications', needsFile: false, check: checkApplications },
  { name: 'versions', needsFile: false, check: checkVersions },
]
