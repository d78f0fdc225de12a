import type { Path, Problem } from '../problem.ts'
import type { ServerEntry } from '../options/file.ts'

/** What the schema cannot say of kept results: a tag that nothing has would leave old answers in place, and a tool cannot both change something and be answered from memory. */
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
