import {
  formatPath,
  renderProblem,
  renderProblems,
  type FoundProblem,
  type Located,
  type Problem,
} from '../problem.ts'
import { serverOfProblem } from '../validate/scope.ts'
import type { Parts } from './parts.ts'
import type { SourceLocations } from './source-text.ts'

/** Maximum number of problems shown per server; `check` shows all. */
const MOST_SHOWN_OF_SERVER = 3

/** Formats the problems of a configuration. */
export interface Renderer {
  /** A title, followed by a line for each problem. */
  all(problems: readonly Problem[]): string
  /** For each server with problems, the first of them. */
  byServer(problems: readonly Problem[]): Map<string, string>
  /** Each problem by itself. */
  each(problems: readonly Problem[]): FoundProblem[]
}

export async function renderer(parts: Parts): Promise<Renderer> {
  const { SourceLocations: Locations } = await import('./source-text.ts')
  const texts = new Map<string, SourceLocations>()
  const locationsIn = (text: string): SourceLocations => {
    const known = texts.get(text) ?? new Locations(text)
    texts.set(text, known)
    return known
  }
  const locate = (problem: Problem): Located => {
    const part = parts.partOf(problem)
    const asWritten = { ...problem, path: part.adopted.origin(problem.path) }
    return {
      problem: asWritten,
      raw: part.written,
      position:
        part.text === undefined
          ? undefined
          : locationsIn(part.text).find(asWritten.path, problem.about === 'key'),
      file: part === parts.main ? undefined : part.file,
    }
  }
  const { file } = parts.main
  return {
    all: problems =>
      renderProblems(
        file === undefined ? 'The configuration' : `The configuration ${file}`,
        problems.map(locate),
      ),
    each: problems =>
      problems.map(problem => {
        const located = locate(problem)
        return {
          kind: problem.kind,
          key: formatPath(located.problem.path),
          server: serverOfProblem(problem),
          text: renderProblem(located),
          fix: problem.fix,
        }
      }),
    byServer: problems => {
      const texts = new Map<string, string>()
      const byName = new Map<string, Problem[]>()
      for (const problem of problems) {
        const name = serverOfProblem(problem)
        if (name === undefined) continue
        const own = byName.get(name)
        if (own) own.push(problem)
        else byName.set(name, [problem])
      }
      for (const [name, own] of byName) {
        const shown = own.slice(0, MOST_SHOWN_OF_SERVER).map(problem => renderProblem(locate(problem)))
        if (own.length > shown.length) shown.push(`And ${own.length - shown.length} more.`)
        texts.set(name, shown.join(' '))
      }
      return texts
    },
  }
}
