const MAX_DETAIL_CHARS = 200

/**
 * Why a server cannot be logged in to. `message` is one sentence or two that can be shown: cause and fix, without a
 * text of the authorization server, which may quote a secret. `detail` is for the log.
 */
export class OAuthFailure extends Error {
  /** The `error` of the authorization server, such as `invalid_grant`; `undefined` when it sent none. */
  readonly code: string | undefined
  readonly detail: string | undefined
  /** Whether a later attempt may succeed although nothing was changed. */
  readonly isTransient: boolean

  constructor(
    message: string,
    options: {
      readonly code?: string | undefined
      readonly detail?: string | undefined
      readonly isTransient?: boolean
      readonly cause?: unknown
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'OAuthFailure'
    this.code = options.code
    this.detail = options.detail
    this.isTransient = options.isTransient ?? false
  }
}

/** What an authorization server says of its refusal, for the log. It may quote what was sent: nothing long is kept. */
export function refusalDetail(texts: readonly unknown[], secret: string | undefined): string | undefined {
  const said = texts.filter(text => typeof text === 'string').join(': ')
  if (said === '') return undefined
  const without = secret === undefined || secret === '' ? said : said.replaceAll(secret, '…')
  return without
    .replace(/[^\x20-\x7e…]+/g, ' ')
    .replace(/[^ ]{17,}/g, '…')
    .slice(0, MAX_DETAIL_CHARS)
}
