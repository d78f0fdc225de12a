import type { HeaderPart, ProgramRun } from '../config/replica-types.ts'
import { withClientValues } from '../core/client-placeholders.ts'
import type { GatewayError } from '../core/errors.ts'
import { isHeaderText } from '../core/header-text.ts'
import type { CredentialRefusal, UpstreamCredentials } from '../core/upstream-credentials.ts'
import { keptOutput, outputsVersion, renewedOutput } from '../kept-outputs.ts'
import { afterRefusal } from './after-refusal.ts'
import type { ValueOf } from './client-values.ts'

/** The values of the client at this moment. */
interface CurrentValues {
  /** Another number after each change. */
  readonly version: number
  /** @throws GatewayError `missing_value`, here or for a name */
  current(): ValueOf
}

/** A header that has to be filled. */
export interface HeaderText {
  /** In lower case. */
  readonly name: string
  /** With placeholders of values of clients, and with what programs printed at the start. */
  readonly text: string
  /** The same, with the programs. `undefined`: there are none. */
  readonly parts: readonly HeaderPart[] | undefined
}

/**
 * Headers with values of one client, and with what programs print. They follow a change of both, and need no login. A
 * program is run again when the server refuses what it printed.
 */
export class StaticCredentials implements UpstreamCredentials {
  readonly #server: string
  readonly #texts: readonly HeaderText[]
  readonly #programs: readonly ProgramRun[]
  readonly #values: CurrentValues
  #list: readonly string[] = []
  #valuesVersion: number | undefined
  #outputsVersion: number | undefined

  constructor(server: string, texts: readonly HeaderText[], values: CurrentValues) {
    this.#server = server
    this.#texts = texts
    this.#programs = texts.flatMap(({ parts = [] }) => parts.filter(part => typeof part !== 'string'))
    this.#values = values
  }

  headers(): readonly string[] | Promise<readonly string[]> {
    const { version } = this.#values
    const outputs = this.#programs.length === 0 ? 0 : outputsVersion()
    if (version === this.#valuesVersion && outputs === this.#outputsVersion) return this.#list
    try {
      const value = this.#values.current()
      const list = this.#texts.flatMap(header => [header.name, filled(header, value)])
      if (!isSame(list, this.#list)) this.#list = Object.freeze(list)
      this.#valuesVersion = version
      this.#outputsVersion = outputs
      return this.#list
    } catch (error) {
      return Promise.reject(error as GatewayError)
    }
  }

  refused(refusal: CredentialRefusal): Promise<true | GatewayError> {
    const hasPrograms = this.#programs.length > 0
    return afterRefusal(refusal, {
      server: this.#server,
      headers: () => this.headers(),
      renew: hasPrograms ? () => this.#runAgain() : undefined,
      why: ({ status, renewed, failure }) =>
        renewed
          ? this.#noOthers(failure)
          : hasPrograms
            ? `refused the credentials that a program printed (HTTP ${status}). Fix: permit what they stand for at the server, or let the program of ${this.#names} print others.`
            : `refused the credentials of this client (HTTP ${status}). Fix: renew the values of the client that the headers ${this.#names} of this server use.`,
    })
  }

  get #names(): string {
    return this.#texts.map(({ name }) => name).join(', ')
  }

  /** Why a program printed nothing; `undefined`: all have. */
  async #runAgain(): Promise<string | undefined> {
    const outcomes = await Promise.allSettled(this.#programs.map(run => renewedOutput(run, check)))
    const failed = outcomes.findIndex(({ status }) => status === 'rejected')
    if (failed < 0) return undefined
    const { reason } = outcomes[failed] as PromiseRejectedResult
    return `${(reason as Error).message}. Fix: run ${this.#programs[failed]?.command[0]} by hand: it has to print the secret and exit with 0.`
  }

  #noOthers(failure: string | undefined): string {
    const headers = `the program of ${this.#names}`
    return failure === undefined
      ? `refused the gateway's credentials (HTTP 401), and ${headers} prints no others. Fix: renew what that program reads.`
      : `refused the gateway's credentials (HTTP 401), and ${headers} gives no others: ${failure}`
  }
}

function check(output: string): void {
  if (!isHeaderText(output)) throw new Error('it printed what cannot be sent as a header')
}

function filled({ text, parts }: HeaderText, value: ValueOf): string {
  const pieces = parts?.map(part =>
    typeof part === 'string' ? withClientValues(part, value) : keptOutput(part, Infinity),
  )
  // Outputs that were forgotten leave what was printed at the start.
  return pieces?.every(piece => piece !== undefined) ? pieces.join('') : withClientValues(text, value)
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, at) => text === b[at])
}
