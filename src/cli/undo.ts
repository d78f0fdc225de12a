import { keepFiles, readRecords, type UndoRecord } from '../first-run/record.ts'
import { isLeft, undo, undoSteps, type Undone, type UndoStep } from '../first-run/undo.ts'
import { alignColumns } from './table.ts'
import { confirmOrStop } from './confirm.ts'
import { print, printJson } from './say.ts'
import { stoppedByUser } from './stopped-by-user.ts'
import { isPersonThere } from './terminal.ts'
import { recordsFolder, shownPath, thisMachine } from './this-machine.ts'
import { typed } from './this-program.ts'

export interface UndoOptions {
  readonly yes?: boolean
  readonly list?: boolean
  readonly forget?: boolean
  readonly json?: boolean
}

const NOTHING = 'There is nothing to undo. A record is made by init, install and uninstall.'

const DOES: Readonly<Record<UndoStep['kind'], string>> = {
  restore: 'gets its content back, to the byte',
  again: 'is not there any more, and is made again',
  remove: 'is removed, since it was made',
  edit: 'has changed since: the entry is removed, and what was there before is put back',
  nothing: 'is as it was before',
  keep: 'has changed since, and stays as it is',
  blocked: 'cannot be undone now',
}

/**
 * `undo`: takes back what was changed last. Exit code 1 when a file could not be changed, 130 when it was stopped.
 */
export async function runUndo({ yes, list, forget, json }: UndoOptions): Promise<void> {
  const machine = thisMachine()
  const folder = recordsFolder(machine)
  const records = await readRecords(folder)
  if (list) return printRecords(records, json)
  const [record] = records
  if (!record) return json ? printJson([]) : print(NOTHING)
  const steps = await undoSteps(record)
  if (json && !yes)
    return printJson(steps.map(({ recorded, kind, reason }) => ({ file: recorded.file, kind, reason })))
  if (!json) {
    print(`What ${record.command} changed on ${record.time}:`)
    const does = (step: UndoStep): string => (forget ? 'stays as it is' : (step.reason ?? DOES[step.kind]))
    print(...alignColumns(steps.map(step => [shownPath(step.recorded.file, machine), does(step)])))
  }
  if (!yes && !(await isAgreed(forget))) return
  if (forget) {
    keepFiles(folder, record, [])
    return json ? printJson([]) : print('It is forgotten, with the copies of what was there before.')
  }
  const stop = stoppedByUser()
  try {
    const undone = await undo(folder, record, steps, stop.isStopped)
    if (undone.some(isLeft)) process.exitCode = 1
    if (json) printJson(undone.map(jsonOf))
    else printUndone(undone)
  } finally {
    stop.done()
  }
}

async function isAgreed(forget: boolean | undefined): Promise<boolean> {
  if (!isPersonThere()) {
    print('Nothing was changed. With --yes it is done without a question.')
    return false
  }
  const isYes = await confirmOrStop(forget ? 'Forget it, so that it cannot be undone?' : 'Undo it?')
  if (!isYes) print('Nothing was changed.')
  return isYes === true
}

function printRecords(records: readonly UndoRecord[], json: boolean | undefined): void {
  if (json)
    return printJson(
      records.map(({ time, command, files }) => ({ time, command, files: files.map(({ file }) => file) })),
    )
  const rows = records.map(({ time, command, files }) => [
    time,
    command,
    files.length === 1 ? 'one file' : `${files.length} files`,
  ])
  print(alignColumns(rows).join('\n') || NOTHING)
}

function jsonOf({ step, outcome, notes }: Undone): object {
  return { file: step.recorded.file, kind: step.kind, ...outcome, notes }
}

function printUndone(undone: readonly Undone[]): void {
  for (const { step, notes } of undone) for (const note of notes) print(`${step.recorded.file}: ${note}`)
  const left = undone.filter(isLeft)
  for (const { step, outcome } of left)
    print(`${step.recorded.file} ${outcome.state === 'left' ? outcome.reason : ''}.`)
  if (left.length > 0)
    print(
      `${left.length === 1 ? 'It stays' : 'They stay'} in the record. Mend that, and run undo again, or: ${typed('undo --forget', undefined)}`,
    )
  const changed = undone.filter(({ outcome }) => outcome.state === 'changed')
  print(changed.length === 1 ? 'One file was changed back.' : `${changed.length} files were changed back.`)
}
