import type { Path, Problem } from '../problem.ts'
import type { ServerEntry } from '../options/file.ts'

/**
 * Cache rules that the schema cannot express: a tag without members would leave outdated results in place, and a tool
 * cannot both invalidate results and be cached.
 */
export function checkCaches({ cache, tools = {} }: ServerEntry, path: Path): Problem[] {
  const problems: Problem[] = []
  const tags = new Set<string>(typeof cache === 'object' ? cache.tags : [])
  for (const tool of Object.values(tools))
    if (tool.cache) for (const tag of tool.cache.tags ?? []) tags.add(tag)
  for (const [glob, { cache: own, readOnly, invalidates }] of Object.entries(tools)) {
    const at = [...path, 'tools', glob]
    if (own && readOnly === false) {
      const fix = 'Remove one of the two: a call that is answered from memory changes nothing.'
      problems.push({ path: [...at, 'readOnly'], cause: 'cannot stand beside cache', fix })
    }
    if (typeof invalidates !== 'object') continue
    invalidates.forEach((tag, index) => {
      if (tags.has(tag)) return
      const known = tags.size > 0 ? `There are: ${[...tags].join(', ')}.` : 'Add it to "tags" of a "cache".'
      problems.push({
        path: [...at, 'invalidates', index],
        cause: 'is a tag that no cache of this server has',
        fix: known,
      })
    })
  }
  return problems
}
