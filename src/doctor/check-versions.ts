import { describeError } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import { signalWithin } from '../core/signal-within.ts'
import type { Examination } from './examination.ts'
import { finding, type Finding } from './finding.ts'

const PACKAGE = 'mcp-manifold'
const REGISTRY = 'https://registry.npmjs.org'
const TIMEOUT_MS = 5000
const MAX_BYTES = 1024 * 1024
const VERSION = /^\d{1,9}\.\d{1,9}\.\d{1,9}(?:[-+][\w.+-]{1,64})?$/

/** Whether a newer version is in the npm registry. Asks only where the person permits it. */
export async function checkVersions({ world, skipped }: Examination): Promise<Finding[]> {
  const skip = (because: string): Finding[] => {
    skipped.push({ layer: 'versions', server: undefined, because })
    return []
  }
  if (!world.online) return skip('the npm registry is asked only with --online')
  let newest: string
  try {
    newest = await newestIn(world.env['npm_config_registry'] || REGISTRY, world.signal)
  } catch (error) {
    return skip(`the npm registry gave no answer: ${describeError(error)}`)
  }
  if (!isNewer(newest, world.version)) return []
  return [
    finding('version_outdated', {
      cause: `The version ${newest} is in the npm registry; this is ${world.version}.`,
      fix: 'Update it, and restart the gateways that run.',
      command: `npm install -g ${PACKAGE}@latest`,
    }),
  ]
}

async function newestIn(registry: string, signal: AbortSignal): Promise<string> {
  // An error of `fetch` would quote the password.
  const { username, password } = URL.canParse(registry) ? new URL(registry) : { username: '', password: '' }
  if (username !== '' || password !== '') throw new Error('npm_config_registry holds a user or a password')
  const response = await fetch(`${registry.replace(/\/$/, '')}/${PACKAGE}/latest`, {
    signal: signalWithin(signal, TIMEOUT_MS),
  })
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true })
    if (text.length > MAX_BYTES) throw new Error('its answer is too long')
  }
  const about: unknown = JSON.parse(text)
  const version = isJsonObject(about) ? about['version'] : undefined
  if (!response.ok || typeof version !== 'string' || !VERSION.test(version))
    throw new Error(`HTTP ${response.status}`)
  return version
}

function isNewer(one: string, other: string): boolean {
  const [a, b] = [one, other].map(version => version.split(/[.-]/).slice(0, 3).map(Number))
  for (const at of [0, 1, 2]) {
    const difference = (a?.[at] ?? 0) - (b?.[at] ?? 0)
    if (difference !== 0) return difference > 0
  }
  return false
}
