import { existsSync } from 'node:fs'
import { formatPath, maskArgs, maskText, valueAt, type Path } from './problem.ts'
import { isJsonObject } from '../core/json-object.ts'
import { SERVER_SECTIONS } from './scope.ts'

/**
 * Sentences about commands that hold their own arguments, as a shell would take them. A program whose path has a space in it is none of these.
 * @param value the file with its variables expanded; `raw` as it was written, which is what may be shown
 */
export function commandHints(raw: unknown, value: unknown): string[] {
  return endpoints(value).flatMap(path => {
    const command = valueAt(value, [...path, 'command'])
    if (typeof command !== 'string' || !/\S\s+\S/.test(command) || existsSync(command)) return []
    const written = valueAt(raw, [...path, 'command'])
    const [program = '', ...args] = words(typeof written === 'string' ? written : '')
    // A path such as C:\Program Files\node.exe is not a program with arguments.
    if (args.length === 0 || /[\\/]\S*\s[^\s]*[\\/]/.test(command)) return []
    const split = `"command": ${JSON.stringify(maskText(program))}, "args": ${JSON.stringify(maskArgs(args)).replaceAll('","', '", "')}`
    return `${formatPath([...path, 'command'])} holds arguments, so that no program of this name is found. Write ${split}.`
  })
}

/** Places of everything that may have a command: servers, and their replicas. */
function endpoints(value: unknown): Path[] {
  return SERVER_SECTIONS.flatMap(section => {
    const servers = valueAt(value, [section])
    if (!isJsonObject(servers)) return []
    return Object.entries(servers).flatMap(([name, entry]): Path[] => {
      const path = [section, name]
      const replicas = isJsonObject(entry) && Array.isArray(entry['replicas']) ? entry['replicas'] : []
      return [path, ...replicas.map((_, at) => [...path, 'replicas', at])]
    })
  })
}

/** As a shell splits a line, as far as quotes go. */
function words(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, plain]) => double ?? single ?? plain ?? '',
  )
}
