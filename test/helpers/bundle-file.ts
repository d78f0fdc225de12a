import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { zipSync } from 'fflate'
import { envOf } from './admin-client.ts'
import type { Scratch } from './scratch.ts'

/** Writes a bundle with these files. */
export function bundleFile(folder: Scratch, name: string, files: Record<string, string | object>): string {
  const bytes = Object.entries(files).map(
    ([path, content]) =>
      [path, Buffer.from(typeof content === 'string' ? content : JSON.stringify(content))] as const,
  )
  const file = join(folder.path, name)
  writeFileSync(file, zipSync(Object.fromEntries(bytes), { level: 1 }))
  return file
}

/** An environment in which this program is on PATH, nothing else is, and there is no keyring. */
export function withProgram(folder: Scratch, name: string): Record<string, string> {
  const bin = join(folder.path, 'bin')
  mkdirSync(bin, { recursive: true })
  const file = join(bin, name)
  writeFileSync(file, '#!/bin/sh\nexit 0\n')
  chmodSync(file, 0o755)
  return {
    ...envOf(folder),
    PATH: [bin, '/nowhere'].join(delimiter),
    DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nowhere',
  }
}
