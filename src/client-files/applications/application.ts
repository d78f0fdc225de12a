import type { JsonObject } from '../../core/exchange.ts'
import type { EntrySection } from '../formats/format.ts'

/** Where an application is looked for. Nothing here asks the machine itself. */
export interface Machine {
  readonly platform: NodeJS.Platform
  readonly home: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** The project. */
  readonly cwd: string
}

export type Scope = 'user' | 'project'

/** A file in which an application may have entries. */
export interface ClientFile {
  /** Absolute. */
  readonly file: string
  readonly scope: Scope
  readonly section: EntrySection
  readonly syntax: 'jsonc' | 'toml' | 'yaml'
  /** Made where neither this file nor another one is there, although it is not the first one. */
  readonly isUsual?: boolean
}

/** An entry in the form of the gateway, or why it stays with its application. */
export type ReadEntry =
  | {
      readonly entry: JsonObject
      /** Keys that the gateway has no use for. */
      readonly dropped: readonly string[]
    }
  | { readonly left: string }

/** How an application reaches the gateway. */
export type OwnEntry =
  | {
      readonly command: string
      readonly args: readonly string[]
      readonly env?: Readonly<Record<string, string>>
      /** Variables that the gateway needs, for an application that is told their names. */
      readonly variables?: readonly string[]
    }
  | { readonly url: string; readonly headers?: Readonly<Record<string, string>> }

/** What an application takes. Each number is its own, not of MCP. */
export interface ApplicationLimits {
  /** Longest name of a tool, with what the application puts in front of it. */
  readonly nameChars?: number
  /** What the application puts in front of a name, with the name of the entry of the gateway. */
  readonly namePrefix?: (entry: string) => string
  /** Most tools of all servers. */
  readonly tools?: number
  /** Most bytes of a description and of instructions. */
  readonly descriptionBytes?: number
}

/** A program that is an MCP client and has files in which it lists its servers. */
export interface Application {
  readonly id: string
  readonly title: string
  /** Other names that people type. */
  readonly aliases?: readonly string[]
  /** Its files; of several with one scope and section, the first that is there is the one that counts. */
  files(machine: Machine): readonly ClientFile[]
  /** `env`: the environment, where it decides what a text means; without it, every variable is set. */
  read(entry: unknown, env?: Machine['env']): ReadEntry
  /** `name`: that of the entry in its file. */
  write(gateway: OwnEntry, name: string): JsonObject
  /** Whether its file can name a URL. */
  readonly http: boolean
  /** Whether a desktop starts it, with a PATH that knows little. */
  readonly isDesktop: boolean
  /** How a text in `env` of its entries names a variable that it fills in; `undefined`: it fills in none. */
  variable?(name: string): string
  /** What it takes, as far as it is known. */
  readonly limits?: ApplicationLimits
  /** Names of its processes in lower case, without `.exe`. */
  readonly processes: readonly string[]
}
