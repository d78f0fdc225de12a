import { isJsonObject } from '../core/json-object.ts'
import { withoutEnd } from '../core/without-end.ts'
import type { JsonObject } from '../core/exchange.ts'

/** The content of a result as text: texts as they are, everything else by a line that names it. */
export function contentText(content: unknown): string {
  return (Array.isArray(content) ? content : [content]).filter(isJsonObject).map(blockText).join('\n')
}

function blockText(block: JsonObject): string {
  const { type, text, data, mimeType, resource, uri, name } = block
  if (type === 'text' && typeof text === 'string') return text
  if (type === 'resource' && isJsonObject(resource)) return resourceText(resource)
  if (type === 'resource_link')
    return `[${[name, uri]
      .filter(part => part !== undefined)
      .map(String)
      .join(' ')}]`
  return `[${String(type)}${mimeType === undefined ? '' : ` ${String(mimeType)}`}, ${bytesIn(data)} bytes; --json has them]`
}

/** One part of `resources/read`. */
export function resourceText({ text, blob, uri, mimeType }: JsonObject): string {
  if (typeof text === 'string') return text
  return `[${String(uri)}${mimeType === undefined ? '' : ` ${String(mimeType)}`}, ${bytesIn(blob)} bytes; --json has them]`
}

function bytesIn(base64: unknown): number {
  return typeof base64 === 'string' ? Math.floor((withoutEnd(base64, '=').length * 3) / 4) : 0
}
