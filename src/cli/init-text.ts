import { shellWord } from '../core/shell-word.ts'
import { withoutEnd } from '../core/without-end.ts'
import { alignColumns } from './table.ts'
import { oneLine } from './terminal.ts'
import { shownPath } from './this-machine.ts'
import { applicationOf } from '../client-files/applications/applications.ts'
import type { Machine } from '../client-files/applications/application.ts'
import type { Applied } from '../first-run/apply.ts'
import type { FirstRun } from '../first-run/first-run.ts'
import type { Plan, PlannedServer } from '../first-run/plan.ts'

/** What `init` prints. */

export interface PlanView {
  readonly plan: Plan
  readonly found: FirstRun
  readonly machine: Machine
  /** Client files of Windows, seen from WSL. */
  readonly ofWindows: readonly string[]
}

export function planText({ plan, found, machine, ofWindows }: PlanView): string {
  const { servers, files, config } = plan
  const lines: string[] = []
  const block = (title: string, rows: readonly string[]): void => {
    if (rows.length > 0) lines.push(...(lines.length > 0 ? [''] : []), title, ...rows)
  }
  block(
    'Client files:',
    alignColumns(files.map(file => [file.title, shownPath(file.file, machine), countOf(file)])),
  )
  block(
    `${servers.length === 1 ? 'One server' : `${servers.length} servers`}, duplicates merged:`,
    servers.length === 0 ? [] : alignColumns(servers.map(rowOf)),
  )
  block(
    'Left with their applications:',
    alignColumns(files.flatMap(({ title, left }) => left.map(({ name, reason }) => [title, name, reason]))),
  )
  block(
    'Left alone:',
    files.flatMap(({ file, problem }) =>
      problem === undefined ? [] : [`  ${shownPath(file, machine)} ${problem}`],
    ),
  )
  block(
    'Of the project, and taken only with --project:',
    found.ofProject.map(
      ({ file, servers }) =>
        `  ${shownPath(file, machine)}: ${servers.map(({ name }) => oneLine(name)).join(', ')}`,
    ),
  )
  block(
    'Of Windows, where mcp-manifold init has to run for them:',
    ofWindows.map(file => `  ${file}`),
  )
  const isNew = servers.some(({ isKnown, take }) => take && !isKnown)
  const changed = files.filter(({ change }) => change)
  block('To do:', [
    ...(isNew ? [`  ${config.hash === null ? 'make' : 'extend'} ${shownPath(config.file, machine)}`] : []),
    ...changed.map(
      ({ file, moved }) =>
        `  put one entry in place of ${moved.length === 1 ? 'one server' : `${moved.length} servers`} in ${shownPath(file, machine)}`,
    ),
  ])
  return lines.join('\n') || 'No client file was found.'
}

function countOf({ moved, own, left, problem }: Plan['files'][number]): string {
  if (problem !== undefined) return 'left alone'
  const parts = [
    ...(moved.length > 0 ? [moved.length === 1 ? '1 server' : `${moved.length} servers`] : []),
    ...(left.length > 0 ? [`${left.length} left`] : []),
    ...(own.length > 0 ? ['has the gateway'] : []),
  ]
  return parts.join(', ') || 'no servers'
}

function rowOf(server: PlannedServer): string[] {
  const { name, shown, from, isKnown, conflict, secrets, disabled, hint, dropped, left, otherSecrets } =
    server
  const titles = new Set(from.map(({ application }) => applicationOf(application)?.title ?? application))
  const others = [...new Set(from.map(source => source.name))].filter(
    other => other !== name && other !== conflict,
  )
  const notes = [
    ...(left === undefined ? [] : [`stays: ${left}`]),
    ...(others.length > 0 ? [`also named ${others.join(', ')}`] : []),
    ...(isKnown && left === undefined ? ['known already'] : []),
    ...(disabled ? ['off'] : []),
    ...(conflict === undefined ? [] : [`another server is named "${conflict}"`]),
    ...(secrets.length > 0 ? [`secret: ${secrets.join(', ')}`] : []),
    ...(otherSecrets.length > 0 ? [`a secret in ${otherSecrets.join(' and ')}`] : []),
    ...(dropped.length > 0 ? [`without ${dropped.join(', ')}`] : []),
    ...(hint === undefined ? [] : [hint]),
  ]
  return [name, shown, [...titles].join(', '), notes.join('; ')]
}

export interface AppliedView {
  readonly applied: Applied
  /** The configuration. */
  readonly file: string
  /** Titles of applications that run. */
  readonly running: ReadonlySet<string>
  /** The command that undoes it. */
  readonly undo: string
  readonly machine: Machine
}

export function appliedText({ applied, file, running, undo, machine }: AppliedView): string {
  const { added, config, files, stored, isRecorded, isReadByOthers } = applied
  const changed = files.filter(({ outcome }) => outcome.state === 'changed')
  const lines = ['']
  if (config.state === 'changed')
    lines.push(
      `${shownPath(file, machine)} has ${added.length === 1 ? 'one server' : `${added.length} servers`} more.`,
    )
  if (isReadByOthers)
    lines.push(
      `It has secrets, and other users of this machine can read it. Fix: chmod 600 ${shellWord(file)}`,
    )
  if (config.state === 'left') lines.push(`${file} ${config.reason}. No client file was changed.`)
  if (stored.length > 0) lines.push(`In the keyring: ${stored.map(oneLine).join(', ')}.`)
  for (const { file: path, title } of changed)
    lines.push(`${title}: ${shownPath(path, machine)} has the entry.`)
  for (const { file: path, outcome, snippet } of files) {
    if (outcome.state !== 'left') continue
    lines.push(`${path} ${withoutEnd(outcome.reason, '.')}. It was left as it is.`)
    if (snippet !== undefined) lines.push('Paste this into it:', snippet)
  }
  const titles = [...new Set(changed.map(({ title }) => title))]
  const now = titles.filter(title => running.has(title))
  if (titles.length > 0)
    lines.push(`Restart ${listOf(titles)}.${now.length > 0 ? ` Running now: ${listOf(now)}.` : ''}`)
  if (added.length > 0) lines.push('What their tools cost a model, once they were listed: mcp-manifold list')
  if (isRecorded) lines.push(`To undo it, also weeks later: ${undo}`)
  return lines.join('\n')
}

function listOf(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}
