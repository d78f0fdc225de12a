import { open } from 'node:fs/promises'
import { loadConfigFile } from '../config/load/load.ts'
import { GatewayError } from '../core/errors.ts'
import type { CommonOptions, JsonOptions } from './common-options.ts'
import { MAX_FILE_BYTES, readFileOrDescriptor, whyUnreadable } from '../regular-file.ts'
import { exportRecords, importRecords } from '../vault/transfer.ts'
import { printJson, say } from './say.ts'
import { typed } from './this-program.ts'
import { withVault } from './with-vault.ts'

export interface ExportOptions extends CommonOptions {
  readonly file?: string
  readonly stdout?: boolean
  readonly server?: string
}

export interface ImportOptions extends JsonOptions {
  readonly replace?: boolean
}

/** `credentials export`: writes logins in clear to a new file of mode 0600, or to a pipe. */
export async function exportCredentials({ config, log, file, stdout, server }: ExportOptions): Promise<void> {
  if ((file === undefined) === (stdout !== true))
    throw refused('The tokens are written in clear. Say where to: --file <new file>, or --stdout for a pipe.')
  if (stdout === true && process.stdout.isTTY)
    throw refused('Tokens are not written to a terminal. Fix: pipe the output, or use --file <new file>.')
  const loaded = await loadConfigFile({ file: config })
  const isWanted = (name: { readonly server: string }): boolean =>
    server === undefined || name.server === server
  const { text, exported, unopened } = await withVault(
    loaded,
    ({ vault }) => exportRecords(vault, isWanted),
    log,
  )
  if (server !== undefined && exported + unopened.length === 0)
    throw refused(
      `There is nothing to export of server ${JSON.stringify(server.slice(0, 100))}. See: ${typed('credentials list', loaded.file)}`,
    )
  if (file === undefined) process.stdout.write(text)
  else await writeNew(file, text)
  say(
    `${countOf(exported)} exported${file === undefined ? '' : ` to ${file}`}, in clear. Delete the export once it is imported, and use each login in one place only.`,
    ...unopened.map(({ server: of, owner }) => `Not exported, its key is not here: ${of} of ${owner}`),
  )
}

/** `credentials import`: seals exported logins in the state. `-` is the standard input. */
export async function importCredentials(
  file: string,
  { config, log, replace = false, json }: ImportOptions,
): Promise<void> {
  const loaded = await loadConfigFile({ file: config })
  const content = await (file === '-' ? standardInput() : contentOf(file))
  const { imported, kept } = await withVault(
    loaded,
    ({ vault }) => importRecords(vault, content, replace),
    log,
  )
  if (json) return printJson({ imported, kept })
  // What was not imported may still be wanted.
  say(`${countOf(imported)} imported.${file === '-' || kept > 0 ? '' : ` Delete ${file} now.`}`)
  if (kept > 0) say(`${countOf(kept)} kept, because there are such logins already. Fix: --replace`)
}

/** `credentials rotate`: seals all records with the first key. */
export async function rotateCredentials({ config, log, json }: JsonOptions): Promise<void> {
  const loaded = await loadConfigFile({ file: config })
  const { sealed, unopened } = await withVault(loaded, ({ vault }) => vault.rotate(), log)
  if (json) printJson({ sealed, unopened })
  else say(`${countOf(sealed)} sealed anew with the first key.`)
  if (unopened > 0)
    throw refused(`Records that no key here opens: ${unopened}. Fix: add the key to "gateway.vault.keys".`)
}

/** For its owner alone; a file that is there is not overwritten, because others might be able to read it. */
async function writeNew(path: string, text: string): Promise<void> {
  try {
    const file = await open(path, 'wx', 0o600)
    await file.writeFile(text).finally(() => file.close())
  } catch (error) {
    const { code = 'unknown cause' } = error as NodeJS.ErrnoException
    throw refused(
      code === 'EEXIST'
        ? `${path} is there already, and is not overwritten. Fix: remove it, or name another file.`
        : `${path} cannot be written (${code}).`,
    )
  }
}

async function contentOf(file: string): Promise<string> {
  try {
    return (await readFileOrDescriptor(file)).toString('utf8')
  } catch (error) {
    throw refused(`Nothing was imported from ${file}: ${whyUnreadable(error)}.`)
  }
}

async function standardInput(): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_FILE_BYTES) throw refused(`Nothing was imported: more than ${MAX_FILE_BYTES} bytes.`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function countOf(records: number): string {
  return records === 1 ? '1 record is' : `${records} records are`
}

function refused(why: string): GatewayError {
  return new GatewayError('config', why)
}
