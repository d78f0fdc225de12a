import type { ServerConfig } from '../../config/types.ts'
import { ClientError } from '../../core/client-error.ts'
import { Cancellation } from '../../core/cancellation.ts'
import { GatewayError } from '../../core/errors.ts'
import { detached } from '../../core/detached.ts'
import type { Exchange, HeldParams, Json } from '../../core/exchange.ts'
import { HeldBy } from '../../core/held-by.ts'
import { NO_QUESTION_ROOM, processQuestions, type QuestionRoom } from '../../core/question-room.ts'
import { errorText, resultText } from '../../protocol/message.ts'

/** Maximum number of open questions over one link, for all calls together. */
const MAX_OPEN = 1024

/** A request of a server. It holds a copy of its text, and does not keep the rest of the message in memory. */
export class ServerRequest implements HeldParams {
  readonly id: string
  #text: string | undefined
  #value: unknown
  #giveBack: (() => void) | undefined

  constructor(id: string, params: Json | undefined) {
    this.id = detached(id)
    this.#text = params && detached(params.text)
    this.#value = params?.value
  }

  get params(): HeldParams | undefined {
    return this.#text === undefined ? undefined : this
  }

  get text(): string {
    return this.#text ?? ''
  }

  get value(): unknown {
    if (this.#value === undefined && this.#text !== undefined) this.#value = JSON.parse(this.#text)
    return this.#value
  }

  get gone(): boolean {
    return this.#text === undefined
  }

  /** @returns whether there is room for it */
  takeRoom(room: QuestionRoom, holder: string): boolean {
    this.#giveBack = room.take(holder, this.id.length + this.text.length)
    return this.#giveBack !== undefined
  }

  keepText(): void {
    this.#value = undefined
  }

  letGo(): void {
    this.#text = undefined
    this.#value = undefined
    this.#giveBack?.()
  }
}

interface Question {
  readonly cancellation: Cancellation
  /** The running calls that it may be about. */
  readonly about: Set<Exchange>
  /** The call that it counts for. */
  readonly latest: Exchange | undefined
  /** Whether the server still waits for an answer. */
  awaited: boolean
}

/**
 * Unanswered requests of a server over one link. Ids are the server's own, as raw text. A request ends with the call it
 * is about, and then no longer counts.
 */
export class ServerRequests {
  readonly #server: Pick<ServerConfig, 'name' | 'maxQuestions'>
  /** Holder of the requests that are about no call. */
  readonly #holder: string
  readonly #room: QuestionRoom
  readonly #open = new Map<string, Question>()
  /** Number of open requests by the call they count for. */
  readonly #byCall = new HeldBy<Exchange | undefined>()

  /** Requests that are about no call count for the server. Its `maxQuestions` may change meanwhile. */
  constructor(server: Pick<ServerConfig, 'name' | 'maxQuestions'>, room = processQuestions()) {
    this.#server = server
    this.#holder = `server ${server.name}`
    this.#room = room
  }

  /**
   * Answers a request with the raw JSON that `find` resolves with. `about` gives the calls it may be about, oldest
   * first.
   * @returns the response as a whole message; `undefined` when the server no longer waits for one. Never rejects
   */
  async answer(
    asked: ServerRequest,
    about: readonly Exchange[],
    find: (cancellation: Cancellation) => Promise<string>,
    refused: (error: GatewayError) => void,
  ): Promise<string | undefined> {
    const { id } = asked
    const latest = about.at(-1)
    const problem = this.#problem(id, latest) ?? this.#noRoom(asked, latest)
    if (problem !== undefined) {
      const error = new GatewayError('cannot_ask', problem)
      asked.letGo()
      refused(error)
      return refusal(id, error)
    }
    const question = { cancellation: new Cancellation(), about: new Set(about), latest, awaited: true }
    this.#open.set(id, question)
    this.#byCall.add(latest, 1)
    try {
      const result = await find(question.cancellation)
      return question.awaited ? resultText(id, result) : undefined
    } catch (caught) {
      if (!question.awaited) return undefined
      const error = GatewayError.from(caught)
      refused(error)
      return refusal(id, error)
    } finally {
      asked.letGo()
      this.#open.delete(id)
      this.#byCall.add(latest, -1)
    }
  }

  #problem(id: string, call: Exchange | undefined): string | undefined {
    if (this.#open.has(id)) return 'A question of this id is still open.'
    const { maxQuestions } = this.#server
    if (this.#byCall.of(call) >= maxQuestions)
      return `Too many questions are open for one call; "maxQuestions" of the server allows ${maxQuestions}.`
    const most = Math.max(MAX_OPEN, maxQuestions)
    if (this.#open.size >= most)
      return `Too many questions of the server are open; ${most} may be at once over one connection.`
    return undefined
  }

  #noRoom(asked: ServerRequest, call: Exchange | undefined): string | undefined {
    return asked.takeRoom(this.#room, call?.principal.id ?? this.#holder) ? undefined : NO_QUESTION_ROOM
  }

  /** Whether an open request may be about the call. */
  concern(exchange: Exchange): boolean {
    for (const { about } of this.#open.values()) if (about.has(exchange)) return true
    return false
  }

  /**
   * Ends the requests that were about this call only. The server gets an error, because it may not have noticed the end
   * of the call.
   */
  ended(exchange: Exchange): void {
    for (const { about, cancellation } of this.#open.values())
      if (about.delete(exchange) && about.size === 0)
        cancellation.cancel('the call it was asked for has ended')
  }

  /** Cancels a request on behalf of the server. */
  withdraw(id: string): void {
    this.#drop(id, 'the server withdrew the question')
  }

  close(): void {
    for (const id of this.#open.keys()) this.#drop(id, 'the link was lost')
  }

  #drop(id: string, reason: string): void {
    const question = this.#open.get(id)
    if (!question) return
    question.awaited = false
    question.cancellation.cancel(reason)
  }
}

function refusal(id: string, error: GatewayError): string {
  if (error instanceof ClientError) return errorText(id, error.text)
  return errorText(id, JSON.stringify({ code: error.kind.rpc, message: error.message }))
}
