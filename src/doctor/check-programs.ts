import { statSync } from 'node:fs'
import { findProgram, isPath } from '../config/load/programs.ts'
import { shellWord } from '../core/shell-word.ts'
import { childEnv } from '../upstream/transport/stdio/child-env.ts'
import { isBroken, type Examination } from './examination.ts'
import { finding, type Finding } from './finding.ts'
import { inParallel } from './in-parallel.ts'
import type { ProbedEndpoint } from './targets.ts'
import type { World } from './world.ts'

/** Programs that another one brings. */
const COMES_WITH: Readonly<Record<string, string>> = {
  npx: 'Node.js',
  npm: 'Node.js',
  node: 'Node.js',
  uvx: 'uv',
  uv: 'uv',
  bunx: 'Bun',
  docker: 'Docker',
}

/** Whether the programs of servers can be started: here, and by an application that the desktop has started. */
export async function checkPrograms(exam: Examination): Promise<Finding[]> {
  const sound = exam.targets.filter(({ server }) => !isBroken(exam, server.name))
  return (await inParallel(sound, target => programFindings(target, exam.world))).flat()
}

async function programFindings(
  { server: { name: server }, replica, at }: ProbedEndpoint,
  world: World,
): Promise<Finding[]> {
  const { endpoint } = replica
  if (endpoint.url !== undefined) return []
  const { command, cwd } = endpoint
  if (!isFolder(cwd))
    return [
      finding('folder_missing', {
        server,
        cause: `The working directory ${cwd} of its program does not exist.`,
        fix: 'Create it, or correct "cwd".',
        command: `mkdir -p ${shellWord(cwd)}`,
        set: { key: `${at}.cwd` },
      }),
    ]
  const env = childEnv(endpoint.env, world.env as NodeJS.ProcessEnv)
  const set = { key: `${at}.command` }
  const found = findProgram(command, { cwd, env })
  if (found === 'not executable')
    return [
      finding('command_not_executable', {
        server,
        cause: `Its command ${JSON.stringify(command)} is a file that may not be executed.`,
        fix: 'Make it executable, or write the program that runs it as "command" and the file in "args".',
        command: `chmod +x ${shellWord(command)}`,
        set,
      }),
    ]
  if (found === 'absent') return [missing(server, command, set)]
  return await desktopFinding({ server, command, cwd, env, set }, world)
}

function missing(server: string, command: string, set: { readonly key: string }): Finding {
  if (isPath(command))
    return finding('command_missing', {
      server,
      cause: `Its command ${JSON.stringify(command)} does not exist.`,
      fix: `Correct the path in ${set.key}.`,
      set,
    })
  const brings = Object.hasOwn(COMES_WITH, command) ? `${COMES_WITH[command]}, which brings it` : 'it'
  return finding('command_missing', {
    server,
    cause: `Its command ${JSON.stringify(command)} is not on PATH.`,
    fix: `Install ${brings}, or write its absolute path as ${set.key}.`,
    command: `which ${shellWord(command)}`,
    set,
  })
}

interface FoundHere {
  readonly server: string
  readonly command: string
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly set: { readonly key: string }
}

/** A program that is found here, and not by an application with the short PATH of the desktop. */
async function desktopFinding(
  { server, command, cwd, env, set }: FoundHere,
  world: World,
): Promise<Finding[]> {
  // A PATH of its own is the same everywhere.
  if (isPath(command) || env['PATH'] !== world.env['PATH']) return []
  const path = await world.desktopPath()
  if (path === undefined || findProgram(command, { cwd, env: { ...env, PATH: path } }) === 'found') return []
  const value = folderOf(command, { cwd, env })
  return [
    finding('desktop_path', {
      server,
      cause: `Its command ${JSON.stringify(command)} is found here (${value}), but not on the PATH of applications that the desktop starts (${path}).`,
      fix: `Write its absolute path as ${set.key}.`,
      set: { ...set, value },
    }),
  ]
}

/** The first file on PATH that is the program. */
function folderOf(command: string, { cwd, env }: Pick<FoundHere, 'cwd' | 'env'>): string {
  for (const folder of (env['PATH'] ?? '').split(':'))
    if (findProgram(`${folder}/${command}`, { cwd, env }) === 'found') return `${folder}/${command}`
  return command
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}
