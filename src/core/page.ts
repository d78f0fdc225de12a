/** A page for the browser of a person: what is asked for, and the whole answer. Independent of `node:http`. */

export interface PageRequest {
  readonly method: string
  /** Path without query, below the gateway's own prefix. */
  readonly path: string
  readonly query: URLSearchParams
  readonly cookies: ReadonlyMap<string, string>
  /** `Sec-Fetch-Site`; `undefined` from browsers that do not send it. */
  readonly fetchSite: string | undefined
  /** Fields of a form that was sent. */
  readonly form: URLSearchParams
}

export interface PageAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Pages that the HTTP front serves beside its endpoints. */
export interface PageSource {
  /** `undefined`: there is no page at this path. */
  answer(request: PageRequest): Promise<PageAnswer> | undefined
  /** A page in place of one that is refused. `why` is a sentence that may be shown. */
  refusal(status: number, why: string): PageAnswer
}
