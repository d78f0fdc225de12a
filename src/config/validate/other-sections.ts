import { nearest, plain } from './nearest.ts'
import { SECTIONS } from '../options/file.ts'
import { formatPath, type Path } from '../problem.ts'

/** The parts of a file that are searched, besides servers and clients. */
const GATEWAY = 'gateway'

/**
 * The location where a key that is unknown at `path` would be valid: in the same part of the file, or in `gateway` for
 * a top-level key. An equal name is preferred to a similar one, then a nearer location to a farther one.
 */
export function otherSectionOf(path: Path): string | undefined {
  const key = String(path.at(-1))
  const at = path.slice(0, -1)
  const root = at[0] === 'servers' ? 'mcpServers' : (at[0] ?? GATEWAY)
  let best: string | undefined
  let bestRank = Infinity
  for (const { path: section, options } of SECTIONS) {
    const parts = section.split('.')
    if (parts[0] !== root) continue
    const known = Object.keys(options).filter(name => !options[name]?.ignored)
    const near = nearest(key, known)
    if (near === undefined) continue
    const shared = sharedParts(parts, at)
    const steps = parts.length + at.length - 2 * shared
    const rank = steps + (plain(near) === plain(key) ? 0 : 100)
    if (steps === 0 || rank >= bestRank) continue
    const start = shared === 0 ? [] : [formatPath(at.slice(0, shared))]
    best = [...start, ...parts.slice(shared), near].join('.')
    bestRank = rank
  }
  return best
}

/** Number of steps that two locations have in common; `servers` is an alias of `mcpServers`. */
function sharedParts(section: readonly string[], path: Path): number {
  let at = 0
  for (; at < Math.min(section.length, path.length); at++) {
    const [part, other] = [section[at], path[at]]
    if (part !== '*' && part !== other && !(at === 0 && other === 'servers')) break
  }
  return at
}
