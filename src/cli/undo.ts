import { readRecords } from '../first-run/record.ts'
import { undo, undoSteps, type UndoStep } from '../first-run/undo.ts'
import { ask, isInteractive, stoppedByUser } from './ask.ts'
import { alignColumns } from './columns.ts'
import { recordsFolder, shownPath, thisMachine } from './this-machine.ts'

export interface UndoOptions {
  readonly yes?: boolean
  readonly list?: boolean
  readonly json?: boolean
}

const DOES: Readonly<Record<UndoStep['kind'], string>> = {
  restore: 'gets its content back, to the byte',
  remove: 'is removed, since it was made',
  edit: 'has changed since: the entry is removed, and what was there before is put back',
  nothing: 'is as it was before',
  keep: '',
}

/** `undo`: takes back what was changed last. Exit code 1 when a file could not be changed. */
export async function runUndo({ yes, list, json }: UndoOptions): Promise<void> {
  const machine = thisMachine()
  const folder = recordsFolder(machine)
  const records = await readRecords(folder)
  if (list) {
    const rows = records.map(({ time, command, files }) => [time, command, `${files.length} files`])
    return print(
      json
        ? JSON.stringify(
            records.map(({ time, command, files }) => ({
              time,
              command,
              files: files.map(({ file }) => file),
            })),
            undefined,
            2,
          )
        : alignColumns(rows).join('\n') || NOTHING,
    )
  }
  const [record] = records
  if (!record) return print(json ? '[]' : NOTHING)
  const steps = await undoSteps(record)
  const shown = steps.map(({ recorded, kind, reason }) => ({
    file: recorded.file,
    kind,
    ...(reason !== undefined && { reason }),
  }))
  if (json && !yes) return print(JSON.stringify(shown, undefined, 2))
  if (!json) {
    print(`What ${record.command} changed on ${record.time}:`)
    print(
      alignColumns(
        steps.map(({ recorded, kind, reason }) => [shownPath(recorded.file, machine), reason ?? DOES[kind]]),
      ).join('\n'),
    )
  }
  if (!yes && !(isInteractive() && (await ask('Undo it?', true))))
    return print(
      isInteractive()
        ? 'Nothing was changed.'
        : 'Nothing was changed. With --yes it is done without a question.',
    )
  const stop = stoppedByUser()
  try {
    const undone = await undo(folder, record, steps, stop.isStopped)
    const failed = undone.filter(({ step, outcome }) => outcome.state === 'left' && step.kind !== 'keep')
    if (failed.length > 0) process.exitCode = 1
    if (json)
      return print(
        JSON.stringify(
          undone.map(({ step, outcome }) => ({ file: step.recorded.file, kind: step.kind, ...outcome })),
          undefined,
          2,
        ),
      )
    for (const { step, outcome } of failed)
      print(
        `${step.recorded.file} ${outcome.state === 'left' ? outcome.reason : ''}. Mend that, and run undo again.`,
      )
    const changed = undone.filter(({ outcome }) => outcome.state === 'changed')
    print(changed.length === 1 ? 'One file was changed back.' : `${changed.length} files were changed back.`)
  } finally {
    stop.done()
  }
}

const NOTHING = 'There is nothing to undo. A record is made by init, install and uninstall.'

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
