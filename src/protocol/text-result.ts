import type { OwnResult } from '../core/exchange.ts'
import { META } from './revisions.ts'

/** A result of `tools/call` that is one text of the gateway itself. `meta`: raw JSON of further members of `_meta`. */
export function textResult(
  text: string,
  { modern, serverInfo, isError = false, meta = [] }: TextResultOptions,
): OwnResult {
  const members = modern ? [...meta, `"${META.serverInfo}":${serverInfo}`] : meta
  const about = members.length > 0 ? `,"_meta":{${members.join(',')}}` : ''
  const type = modern ? '"resultType":"complete",' : ''
  const content = `[{"type":"text","text":${JSON.stringify(text)}}]`
  return { kind: 'own', text: `{${type}"content":${content}${isError ? ',"isError":true' : ''}${about}}` }
}

export interface TextResultOptions {
  readonly modern: boolean
  /** Raw JSON of the gateway's `serverInfo`. */
  readonly serverInfo: string
  readonly isError?: boolean
  readonly meta?: readonly string[]
}
