export interface Answer {
  readonly status: number
  /** In lower case, without the empty line at its end. */
  readonly head: string
  readonly body: string
}

/** One keep-alive HTTP/1.1 connection on a bare socket, for one request at a time. */
export class Connection {
  constructor(host: string, port: number)
  /** Sends a whole request. */
  send(request: Buffer | string): Promise<Answer>
  close(): void
}

/** A header of an answer's `head`; `name` in lower case. */
export function header(head: string, name: string): string | undefined
