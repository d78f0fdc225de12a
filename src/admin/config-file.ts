import { createHash } from 'node:crypto'
import { editText } from '../config/edit/edit-text.ts'
import { isSame } from '../config/source/differences.ts'
import { mergePatch } from '../config/edit/merge-patch.ts'
import { NotWritten, replaceFile } from '../config/edit/replace-file.ts'
import { sectionOf } from '../config/edit/section-of.ts'
import { adopt } from '../config/load/adopt.ts'
import { unmarked } from '../config/load/byte-order-mark.ts'
import { isNestedTooDeep, MAX_DEPTH } from '../config/load/nesting.ts'
import { otherFormat } from '../config/load/other-formats.ts'
import { parseJsonc } from '../config/load/source-text.ts'
import { formatPath, type Path } from '../config/problem.ts'
import { monotonicNow } from '../core/clock.ts'
import { GatewayError } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { JsonObject } from '../core/exchange.ts'
import { readRegularFile, whyUnreadable } from '../regular-file.ts'
import { definedCommands } from './commands.ts'
import { masked, movedSecrets, unmasked } from './masks.ts'
import { movedReferences } from './references.ts'
import { AdminProblem, problemOf } from './problem-details.ts'
import type { AdminService, ReloadAnswer } from './service.ts'

/** The configuration file in displayable form. */
export interface ShownConfig {
  readonly etag: string
  readonly value: JsonObject
}

/** The result of a write. */
export interface WriteResult {
  readonly etag: string
  readonly reload: ReloadAnswer
}

interface Content {
  readonly text: string
  readonly value: JsonObject
  readonly etag: string
  /** Why the file cannot be written over the API; `undefined` when it can. */
  readonly foreign: string | undefined
}

/** The configuration file of a running gateway, read and written over the admin API. Writes do not overlap. */
export class ConfigFile {
  readonly #service: AdminService
  #writing: Promise<unknown> = Promise.resolve()

  constructor(service: AdminService) {
    this.#service = service
  }

  /** @throws AdminProblem 404 or 409 when there is no readable file */
  async show(): Promise<ShownConfig> {
    const { value, etag } = await this.#read()
    return { etag, value: masked(value) as JsonObject }
  }

  /**
   * Replaces the whole configuration in the file.
   * @throws AdminProblem 403, 409, 412, 422 or 428; nothing has changed then
   */
  replace(sent: unknown, ifMatch: string | undefined): Promise<WriteResult> {
    return this.#write(ifMatch, () => sent)
  }

  /**
   * Changes one server with a JSON merge patch; `null` removes it.
   * @throws AdminProblem as `replace`
   */
  patchServer(name: string, patch: unknown, ifMatch: string | undefined): Promise<WriteResult> {
    return this.#write(ifMatch, value => {
      const section = sectionOf(value, name)
      const servers = isJsonObject(value[section]) ? value[section] : {}
      if (!Object.hasOwn(servers, name) && this.#service.isServer(name))
        throw new AdminProblem(
          409,
          `Server ${JSON.stringify(name)} is not in ${this.#service.file}: it comes from an included file. Change it there.`,
        )
      if (!Object.hasOwn(servers, name) && patch === null)
        throw new AdminProblem(404, `There is no server ${JSON.stringify(name)}.`)
      return mergePatch(value, { [section]: { [name]: patch } })
    })
  }

  #write(ifMatch: string | undefined, change: (masked: JsonObject) => unknown): Promise<WriteResult> {
    const written = this.#writing.then(() => this.#change(ifMatch, change))
    this.#writing = written.catch(() => {})
    return written
  }

  async #change(ifMatch: string | undefined, change: (shown: JsonObject) => unknown): Promise<WriteResult> {
    if (ifMatch === undefined)
      throw new AdminProblem(
        428,
        'Send If-Match with the ETag of GET /admin/config, so that no other change is lost.',
      )
    const content = await this.#read()
    if (content.foreign !== undefined) throw new AdminProblem(409, content.foreign)
    if (ifMatch !== content.etag) throw changedMeanwhile()
    const after = this.#afterOf(content, change(masked(content.value) as JsonObject))
    if (isSame(content.value, after))
      return { etag: content.etag, reload: await this.#service.reload({ dryRun: false }) }
    const text = edited(content.text, after)
    await this.#check(content.value, after, text)
    const since = monotonicNow()
    await this.#replace(content.etag, text)
    try {
      const reload = await this.#service.reload({ dryRun: false })
      return { etag: etagOf(text), reload: withOwnChanges(reload, since) }
    } catch (error) {
      // A configuration that cannot be applied is removed from the file again.
      await this.#replace(etagOf(text), content.text).catch(() => {})
      throw error
    }
  }

  /** The new value of the file. */
  #afterOf({ value: before }: Content, sent: unknown): JsonObject {
    const { value: after, unknown, restored } = unmasked(sent, before)
    if (!isJsonObject(after)) throw new AdminProblem(422, 'The configuration is a JSON object.')
    checkForm(after)
    if (unknown.length > 0)
      throw new AdminProblem(
        422,
        `${unknown.slice(0, 5).join(', ')} ${unknown.length === 1 ? 'holds' : 'hold'} "***" where nothing is hidden that it could stand for. Write the value in full, or \${NAME} for a variable.`,
      )
    const commands = this.#service.allowsCommands ? [] : definedCommands(before, after)
    if (commands.length > 0)
      throw new AdminProblem(
        403,
        `${commands.slice(0, 5).join(', ')}: what the gateway runs cannot be defined or changed over the admin API. Change the file itself, or start the gateway with --allow-command-admin.`,
      )
    const references = this.#service.allowsCommands ? [] : movedReferences(before, after)
    if (references.length > 0)
      throw new AdminProblem(
        403,
        `${references.slice(0, 5).join(', ')}: \${file:…}, \${input:…}, \${keyring:…} and \${exec:…} stand for secrets. Over the admin API, they get no new place and no new address. Change the file itself, or start the gateway with --allow-command-admin.`,
      )
    const moved = movedSecrets(before, after, restored)
    if (moved.length > 0)
      throw new AdminProblem(
        403,
        `The address of server ${JSON.stringify(moved[0])} changes, and secrets that are not shown would be sent there. Send its headers and other secrets with it.`,
      )
    return after
  }

  /** @throws AdminProblem 422 for an invalid configuration, including one with an invalid server */
  async #check(before: JsonObject, after: JsonObject, text: string): Promise<void> {
    const { problem, broken } = await this.#service.check(text)
    if (problem !== undefined) throw new AdminProblem(422, problem)
    const wrong = broken.find(({ name }) => !isSame(entryOf(before, name), entryOf(after, name)))
    if (wrong) throw new AdminProblem(422, `${wrong.problem} Nothing has changed.`)
  }

  async #replace(etag: string, text: string): Promise<void> {
    const { file } = this.#service
    try {
      const isWritten = await replaceFile(file ?? '', text, async () => (await this.#read()).etag === etag)
      if (!isWritten) throw changedMeanwhile()
    } catch (error) {
      if (error instanceof NotWritten)
        throw new AdminProblem(409, `The file ${file} ${error.message}. Nothing has changed.`)
      throw error
    }
  }

  async #read(): Promise<Content> {
    const { file } = this.#service
    if (file === undefined) throw new AdminProblem(404, 'The configuration of this gateway is no file.')
    const text = await textOf(file)
    const value = parsed(unmarked(text), file)
    return { text, etag: etagOf(text), ...ownOf(value, file) }
  }
}

async function textOf(file: string): Promise<string> {
  let bytes: Buffer
  try {
    bytes = await readRegularFile(file)
  } catch (error) {
    throw new AdminProblem(409, `The file ${file} was not read: ${whyUnreadable(error)}.`)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new AdminProblem(409, `The file ${file} is not UTF-8. Save it as UTF-8.`)
  }
}

function changedMeanwhile(): AdminProblem {
  return new AdminProblem(
    412,
    'The configuration has changed meanwhile. Get it again, and make the change to that.',
  )
}

/** The part of a file that does not belong to another program. */
function ownOf(value: JsonObject, file: string): Pick<Content, 'value' | 'foreign'> {
  const { value: adopted } = adopt(value, process.cwd())
  if (isSame(adopted, value) || !isJsonObject(adopted)) return { value, foreign: undefined }
  const foreign = `The file ${file} is that of another program. Change it there, or put the servers into a file of the gateway.`
  return { value: adopted, foreign }
}

/**
 * The checks below read the gateway's own form. Loading also takes servers from the forms of other programs, so these
 * are not written.
 * @throws AdminProblem 422
 */
function checkForm(after: JsonObject): void {
  const unusable = placeOf('__proto__', after, [])
  if (unusable)
    throw new AdminProblem(422, `${formatPath(unusable)} has a name that cannot be used. Take another one.`)
  const { value: adopted } = adopt(after, process.cwd())
  if (isSame(adopted, after)) return
  const foreign = Object.keys(after).filter(key => !isJsonObject(adopted) || !Object.hasOwn(adopted, key))
  const shown = (foreign.length > 0 ? foreign : ['mcpServers']).slice(0, 5).map(key => JSON.stringify(key))
  throw new AdminProblem(
    422,
    `${shown.join(', ').slice(0, 300)}: the form of other programs is not written over the admin API. Put servers under "mcpServers".`,
  )
}

/** Where a key is, at any depth. */
function placeOf(key: string, value: unknown, path: Path): Path | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  for (const [name, child] of Object.entries(value)) {
    if (name === key) return [...path, name]
    const found = placeOf(key, child, [...path, name])
    if (found) return found
  }
  return undefined
}

function parsed(text: string, file: string): JsonObject {
  if (isNestedTooDeep(text))
    throw new AdminProblem(409, `The file ${file} is nested more than ${MAX_DEPTH} deep.`)
  const { value, problem } = parseJsonc(text)
  if (problem === undefined && isJsonObject(value)) return value
  const why = otherFormat(text, file) ?? 'holds no valid JSON object at this moment. Mend it by hand.'
  throw new AdminProblem(409, `The file ${file} ${why}`)
}

function edited(text: string, after: JsonObject): string {
  try {
    return editText(text, after)
  } catch (error) {
    if (error instanceof GatewayError) throw new AdminProblem(409, error.message)
    throw problemOf(error)
  }
}

function entryOf(value: JsonObject, name: string): unknown {
  const section = value[sectionOf(value, name)]
  return isJsonObject(section) ? section[name] : undefined
}

function etagOf(text: string): string {
  return `"${createHash('sha256').update(text).digest('hex').slice(0, 32)}"`
}

/** The watch may have applied the change before it was asked for. `since`: when its writing began. */
function withOwnChanges(reload: ReloadAnswer, since: number): ReloadAnswer {
  const { changes, lastApplied } = reload
  const isOwn = lastApplied !== undefined && lastApplied.secondsAgo * 1000 <= monotonicNow() - since + 1000
  if (changes.length > 0 || !isOwn) return reload
  return { ...reload, changes: lastApplied.changes, endings: lastApplied.endings }
}
