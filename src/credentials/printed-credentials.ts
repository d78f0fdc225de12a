import type { ProgramRun } from '../config/replica-types.ts'
import { GatewayError } from '../core/errors.ts'
import { isHeaderText } from '../core/header-text.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { CredentialRefusal, UpstreamCredentials } from '../core/upstream-credentials.ts'
import { firstOutput, keptOutput, outputsVersion, renewedOutput } from '../kept-outputs.ts'
import { afterRefusal, refusedBy } from './after-refusal.ts'

type List = readonly string[]

const MOST_HEADERS = 100
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}$/

/**
 * The headers that the `headersHelper` of a server prints. It runs when a request first needs them, and again when the
 * server refuses them.
 */
export class PrintedCredentials implements UpstreamCredentials {
  readonly #server: string
  readonly #run: ProgramRun
  #list: List = []
  #version: number | undefined

  constructor(server: string, run: ProgramRun) {
    this.#server = server
    this.#run = run
  }

  headers(): List | Promise<List> {
    if (this.#version === outputsVersion()) return this.#list
    const known = keptOutput(this.#run, Infinity)
    return known === undefined ? this.#first() : this.#adopt(known)
  }

  refused(refusal: CredentialRefusal): Promise<true | GatewayError> {
    return afterRefusal(refusal, {
      server: this.#server,
      headers: () => this.headers(),
      renew: () => this.#runAgain(),
      why: ({ status }) =>
        `refused the headers that its "headersHelper" printed (HTTP ${status}). Fix: let the program print others, or permit what they stand for at the server.`,
    })
  }

  async #runAgain(): Promise<undefined> {
    try {
      this.#adopt(await renewedOutput(this.#run, check))
    } catch (error) {
      throw this.#failed(error)
    }
  }

  async #first(): Promise<List> {
    try {
      return this.#adopt(await firstOutput(this.#run, check))
    } catch (error) {
      throw this.#failed(error)
    }
  }

  #adopt(output: string): List {
    const list = parsed(output)
    if (JSON.stringify(list) !== JSON.stringify(this.#list)) this.#list = Object.freeze(list)
    this.#version = outputsVersion()
    return this.#list
  }

  #failed(error: unknown): GatewayError {
    if (error instanceof GatewayError) return error
    return refusedBy(
      this.#server,
      `gets no headers from its "headersHelper": ${(error as Error).message}. Fix: run ${this.#run.command[0]} by hand: it has to print a JSON object of strings and exit with 0.`,
    )
  }
}

function check(output: string): void {
  parsed(output)
}

/** @throws Error whose message is for the middle of a sentence, and holds nothing of the output */
function parsed(output: string): string[] {
  const headers = new Map<string, string>()
  for (const [name, value] of entriesOf(output)) {
    if (!NAME.test(name)) throw new Error('it printed a name that no header can have')
    if (typeof value !== 'string') throw new Error('it printed a value that is no string')
    if (!isHeaderText(value)) throw new Error('it printed a value that cannot be sent as a header')
    headers.set(name.toLowerCase(), value)
  }
  if (headers.size > MOST_HEADERS) throw new Error(`it printed more than ${MOST_HEADERS} headers`)
  return [...headers].flat()
}

function entriesOf(output: string): [string, unknown][] {
  let value: unknown
  try {
    value = JSON.parse(output)
  } catch {
    throw new Error('it printed no JSON')
  }
  if (!isJsonObject(value)) throw new Error('it printed no JSON object')
  return Object.entries(value)
}
