import { finding, type Finding } from './finding.ts'
import type { World } from './world.ts'

/** The oldest Node.js that the gateway runs with. */
const OLDEST = [20, 19] as const

export function checkMachine({ nodeVersion }: Pick<World, 'nodeVersion'>): Finding[] {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number)
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return []
  return [
    finding('node_too_old', {
      cause: `This is Node.js ${nodeVersion}; the gateway needs ${OLDEST.join('.')} or newer.`,
      fix: 'Install a newer Node.js from https://nodejs.org, or with a version manager.',
      command: 'nvm install --lts',
    }),
  ]
}
