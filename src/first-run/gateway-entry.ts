import { realpathSync } from 'node:fs'
import { configOfEntry } from '../client-files/own-entry.ts'
import { absolutePath, candidateFiles } from '../config/paths.ts'
import type { Machine } from '../client-files/applications/application.ts'
import type { JsonObject } from '../core/exchange.ts'

/** Why an entry of the gateway does not offer all servers of a configuration; `undefined` where it does. */
export function whyOther(
  entry: JsonObject,
  configFile: string,
  { cwd, home, env }: Machine,
): string | undefined {
  const { url } = entry as { url?: string }
  if (url !== undefined) {
    const { pathname } = new URL(url)
    if (/^\/(?:mcp|sse)\/?$/.test(pathname)) return undefined
    return `it is a gateway already, at ${pathname}, where other servers may be`
  }
  const named = configOfEntry(entry)
  const file =
    named === undefined ? (candidateFiles(cwd, home, env).at(-1) as string) : absolutePath(named, cwd, home)
  if (realPath(file) === realPath(configFile)) return undefined
  return `it is a gateway already, with another configuration (${file})`
}

/** The path without links; the path itself where nothing is there. */
export function realPath(file: string): string {
  try {
    return realpathSync(file)
  } catch {
    return file
  }
}
