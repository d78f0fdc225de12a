import { existsSync } from 'node:fs'
import { changeEntry } from '../config/edit/change-entry.ts'
import { GatewayError } from '../core/errors.ts'
import { shellWord } from '../core/shell-word.ts'
import { entryOfPlan } from './add-plan.ts'
import { fileToEdit, tell } from './edited.ts'
import { entryNames } from './entry-to-edit.ts'
import type { AddOptions, Added } from './add-options.ts'
import type { JsonObject } from '../core/exchange.ts'

/**
 * `add`: writes a server into the configuration file: a command, an address, what a registry describes, or a bundle.
 * @param target the command with its arguments, or the address; empty for a registry name or a bundle
 * @throws GatewayError `config` when it cannot be added; the file has not changed then
 */
export async function runAdd(source: string, target: readonly string[], options: AddOptions): Promise<void> {
  const file = await fileToEdit(options)
  const added = target.length > 0 ? ownEntry(source, target, options) : await entryOfPlan(source, options)
  const { server, entry, laterVariables, left, prepare } = added
  const names = existsSync(file) ? await entryNames(file) : []
  if (names.includes(server) && !options.replace)
    throw new GatewayError(
      'config',
      `There is a server "${server}" in ${file} already. Take another name, or add --replace.`,
    )
  await prepare?.()
  const changed = await changeEntry({ file, name: server, change: () => entry, laterVariables })
  const said = changed
    ? `Added "${server}" to ${file}.`
    : `"${server}" is in ${file} already, as it should be.`
  const next = laterVariables.length > 0 ? [] : [`Try it: mcp-manifold tools ${shellWord(server)}`]
  await tell(options, { file, server, changed, said, left: [...left, ...next] })
}

function ownEntry(server: string, target: readonly string[], options: AddOptions): Added {
  const [first = '', ...args] = target
  const isAddress = target.length === 1 && /^https?:\/\//i.test(first)
  const entry = isAddress ? addressEntry(first, options) : commandEntry(first, args, options)
  return { server: options.name ?? server, entry, laterVariables: [], left: [] }
}

function commandEntry(
  command: string,
  args: readonly string[],
  { env, header, transport }: AddOptions,
): JsonObject {
  if (header !== undefined || (transport !== undefined && transport !== 'stdio'))
    throw refused('--header and --transport http or sse are for a server with an address.')
  return {
    command,
    ...(args.length > 0 && { args: [...args] }),
    ...(env && { env: pairs(env, '=', 'NAME=value') }),
  }
}

function addressEntry(url: string, { env, header, transport }: AddOptions): JsonObject {
  if (env !== undefined || transport === 'stdio')
    throw refused('--env and --transport stdio are for a server with a command.')
  return {
    ...(transport === 'sse' && { type: 'sse' }),
    url,
    ...(header && { headers: pairs(header, ':', '"Name: value"') }),
  }
}

function pairs(texts: readonly string[], separator: string, form: string): JsonObject {
  return Object.fromEntries(
    texts.map(text => {
      const at = text.indexOf(separator)
      if (at < 1) throw refused(`${JSON.stringify(text)} has not the form ${form}.`)
      const value = text.slice(at + 1)
      return [text.slice(0, at).trim(), separator === ':' ? value.trim() : value]
    }),
  )
}

function refused(message: string): GatewayError {
  return new GatewayError('config', message)
}
