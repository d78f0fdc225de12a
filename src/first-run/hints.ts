import { delimiter, dirname } from 'node:path'
import { findProgram } from '../config/load/programs.ts'
import { lastingPath } from './program-path.ts'
import { variablesIn } from './variables.ts'
import type { Machine } from '../client-files/applications/application.ts'
import type { FoundFile } from './find.ts'
import type { MergedServer } from './merge.ts'

/** What a server lacks, as the gateway will be started; `undefined` for nothing that is known. */
export function hintOf(
  server: MergedServer,
  files: readonly FoundFile[],
  machine: Machine,
): string | undefined {
  const hints = [commandHint(server, machine), variablesHint(server, files)]
  return hints.filter(hint => hint !== undefined).join('; ') || undefined
}

function commandHint({ entry }: MergedServer, machine: Machine): string | undefined {
  const { command, cwd } = entry as { command?: string; cwd?: string }
  if (command === undefined || command.includes('${')) return undefined
  const context = { cwd: cwd ?? machine.cwd, env: machine.env }
  const lookup = findProgram(command, context)
  if (lookup === 'absent') return 'its command is not found here'
  if (lookup === 'not executable') return 'its command is not executable'
  const PATH = [dirname(process.execPath), ...lastingPath(machine)].join(delimiter)
  if (findProgram(command, { ...context, env: { ...machine.env, PATH } }) === 'found') return undefined
  return 'its command is on the PATH of this terminal only'
}

/** Variables that applications do not hand on which get the entry of the gateway. */
function variablesHint({ entry }: MergedServer, files: readonly FoundFile[]): string | undefined {
  const names = variablesIn([entry])
  const isChanged = ({ servers, inPlace }: FoundFile): boolean => servers.length + inPlace.length > 0
  const without = files
    .filter(file => isChanged(file) && file.application.isDesktop && !file.application.variable)
    .map(({ application }) => application.title)
  if (names.length === 0 || without.length === 0) return undefined
  return `needs ${names.join(', ')}, which ${[...new Set(without)].join(', ')} does not hand on`
}
