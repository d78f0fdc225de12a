import { existsSync } from 'node:fs'
import { changeEntry } from '../config/edit/change-entry.ts'
import { GatewayError } from '../core/errors.ts'
import { shellWord } from '../core/shell-word.ts'
import { fileToEdit, tell } from './edited.ts'
import { entryNames } from './entry-to-edit.ts'
import { Stopped, untilStopped } from './stopped.ts'
import type { AddedServer } from './add-described.ts'
import type { AddOptions } from './add-options.ts'
import type { JsonObject } from '../core/exchange.ts'

/**
 * `add`: writes a server into the configuration file: a command, an address, what a registry describes, or a bundle.
 * @param target the command with its arguments, or the address; empty for a registry name or a bundle
 * @throws GatewayError `config` when it cannot be added, Stopped after Ctrl+C; everything is as before then
 */
export async function runAdd(source: string, target: readonly string[], options: AddOptions): Promise<void> {
  const file = await fileToEdit(options)
  if (target.length > 0) return await addOwn(source, target, file, options)
  const { server, changed, left, isReady, tidyUp } = await untilWritten(source, file, options)
  await tell(options, {
    file,
    server,
    changed,
    said: saidOf(server, file, changed),
    left: isReady ? [...left, tryIt(server)] : left,
  })
  await tidyUp()
}

/** Until everything is written, Ctrl+C undoes what was done. */
async function untilWritten(source: string, file: string, options: AddOptions): Promise<AddedServer> {
  const { addDescribed } = await import('./add-described.ts')
  const { signal, done } = untilStopped()
  try {
    return await addDescribed(source, file, options, {
      signal,
      refuseTaken: server => refuseTaken(server, file, options),
    })
  } catch (error) {
    if (error instanceof Stopped || signal.aborted) throw new Stopped('Cancelled. Nothing was added.')
    throw error
  } finally {
    done()
  }
}

async function addOwn(
  name: string,
  target: readonly string[],
  file: string,
  options: AddOptions,
): Promise<void> {
  const [first = '', ...args] = target
  const isAddress = target.length === 1 && /^https?:\/\//i.test(first)
  const entry = isAddress ? addressEntry(first, options) : commandEntry(first, args, options)
  const server = options.name ?? name
  await refuseTaken(server, file, options)
  const changed = await changeEntry({ file, name: server, change: () => entry })
  await tell(options, { file, server, changed, said: saidOf(server, file, changed), left: [tryIt(server)] })
}

async function refuseTaken(server: string, file: string, { replace }: AddOptions): Promise<void> {
  if (server === '') throw refused('The name of the server is empty. Give it one with --name.')
  const names = existsSync(file) ? await entryNames(file) : []
  if (names.includes(server) && !replace)
    throw refused(`There is a server "${server}" in ${file} already. Take another name, or add --replace.`)
}

function saidOf(server: string, file: string, changed: boolean): string {
  return changed ? `Added "${server}" to ${file}.` : `"${server}" is in ${file} already, as it should be.`
}

function tryIt(server: string): string {
  return `Try it: mcp-manifold tools ${shellWord(server)}`
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
