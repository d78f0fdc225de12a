import { formatPath } from '../config/problem.ts'
import { storedUsage } from '../quota/stored.ts'
import type { Examination } from './examination.ts'
import { finding, type Finding } from './finding.ts'

/** What of the configured limits is used up. */
export async function checkQuotas({ config, store, world }: Examination): Promise<Finding[]> {
  if (!config || !store?.shared) return []
  const rows = await storedUsage(config, store)
  return rows
    .filter(({ left, resetsAt }) => left === 0 && resetsAt !== undefined)
    .map(({ of, name, limit, resetsAt }) => {
      const [kind, owner = ''] = of.split(/:(.*)/s)
      const server = kind === 'server' ? owner : kind === 'tool' ? owner.split('/')[0] : undefined
      return finding('quota_exhausted', {
        ...(server !== undefined && { server }),
        cause: `The limit ${name} of ${of} is used up: ${limit} of ${limit}${resetsAt === undefined ? '' : `, until ${resetsAt}`}.`,
        fix: 'Wait for the end of the period, or raise the limit.',
        command: world.typed('usage'),
        set: { key: formatPath(kind === 'client' ? ['clients', owner] : ['mcpServers', server ?? owner]) },
      })
    })
}
