import { renameOldKeys } from '../config/edit/rename-old-keys.ts'
import { replaceFile } from '../config/edit/replace-file.ts'
import { FilesRead } from '../config/load/files-read.ts'
import { findConfigFile, loadText } from '../config/load/load.ts'
import { isAboutOldName } from '../config/load/old-names.ts'
import { parse, readMainText } from '../config/load/read-text.ts'
import { describeError, GatewayError } from '../core/errors.ts'
import { shellWord } from '../core/shell-word.ts'
import { readRegularFile } from '../regular-file.ts'
import type { FoundProblem } from '../config/problem.ts'
import type { FindingCode } from './codes.ts'
import type { Examination } from './examination.ts'
import { finding, type Finding } from './finding.ts'
import { targetsOf } from './targets.ts'

const CODE_OF: Readonly<Record<NonNullable<FoundProblem['kind']>, FindingCode>> = {
  'unknown key': 'config_unknown_key',
  variable: 'variable_unset',
  arguments: 'command_holds_arguments',
}

const MARK = '\uFEFF'

/** Finds, reads and checks the configuration file, and sets what the later layers need of it. */
export async function checkFile(exam: Examination): Promise<Finding[]> {
  const { world } = exam
  const { cwd, home, env, typed } = world
  let file: string
  try {
    file = await findConfigFile({ file: world.file, cwd, home, env })
  } catch (error) {
    const command = typed('--config <file>')
    return [of('config_missing', error, 'Write a configuration file, or name one that is there.', command)]
  }
  const files = new FilesRead()
  let text: string
  try {
    text = await readMainText(file, files, false)
  } catch (error) {
    const isMissing = /there is no such file/.test(describeError(error))
    return [
      isMissing
        ? of('config_missing', error, 'Correct the path after --config.')
        : of(
            'config_unreadable',
            error,
            'Let this user read it, or name another file.',
            `ls -l ${shellWord(file)}`,
          ),
    ]
  }
  try {
    await parse(text, file)
  } catch (error) {
    return [of('config_syntax', error, 'Correct the place that is named.', typed(`check ${shellWord(file)}`))]
  }
  const found: FoundProblem[] = []
  try {
    const loaded = await loadText(text, { file, files, cwd, home, env, found })
    exam.config = loaded.config
    exam.written = loaded.raw
    exam.targets = targetsOf(loaded.config, { written: loaded.raw, only: world.only })
  } catch (error) {
    if (found.length === 0) return [of('config_invalid', error, 'Correct what is named.')]
  }
  return [...found.map(toFinding), ...warningsOf(exam, file, text)]
}

function toFinding({ kind, key, server, text, fix }: FoundProblem): Finding {
  const code = kind === undefined ? 'config_invalid' : CODE_OF[kind]
  const details = { server, cause: text, set: { key } }
  return finding(code, { ...details, fix: fix ?? `Correct ${key}.` })
}

/** What is accepted, but not as it should be. */
function warningsOf({ config, world }: Examination, file: string, text: string): Finding[] {
  const renames = renameOldKeys(text)
  // One rename mends all of them.
  const rename = (): Promise<string> => renameIn(file, text, renames)
  const old = renames.renamed.map(({ key, present }) =>
    finding('config_old_key', {
      cause: `${key} has a former name in ${file}.`,
      fix: `Write "${present}" in place of it.`,
      command: world.typed('doctor --fix'),
      mend: rename,
      set: { key: [...key.split('.').slice(0, -1), present].join('.') },
    }),
  )
  const others = (config?.warnings ?? []).filter(warning => !isAboutOldName(warning))
  return [
    ...old,
    ...others.map(warning =>
      finding('config_questionable', { cause: warning, fix: 'Change it, or leave it as it is.' }),
    ),
  ]
}

async function renameIn(
  file: string,
  before: string,
  { text, renamed }: ReturnType<typeof renameOldKeys>,
): Promise<string> {
  // Editors on Windows write a byte order mark, which is no part of the text that was read.
  const contentOf = async (): Promise<string> => (await readRegularFile(file)).toString('utf8')
  const mark = (await contentOf()).startsWith(MARK) ? MARK : ''
  const isCurrent = async (): Promise<boolean> => (await contentOf()) === mark + before
  if (!(await replaceFile(file, mark + text, isCurrent))) throw new Error(`${file} was changed meanwhile`)
  return `Renamed ${renamed.map(({ key, present }) => `${key} to "${present}"`).join(', ')} in ${file}.`
}

function of(code: FindingCode, error: unknown, fix: string, command?: string): Finding {
  const cause = error instanceof GatewayError ? error.message : describeError(error)
  return finding(code, { cause, fix, ...(command !== undefined && { command }) })
}
