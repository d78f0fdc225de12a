import type { Json, JsonObject } from '../core/exchange.ts'
import { GatewayError } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import { withoutEnd } from '../core/without-end.ts'
import { eachElement, find, lastMembers, members, rawAt, withMembers, type JsonMember } from './json-text.ts'
import { LATEST_LEGACY } from './revisions.ts'

/**
 * Differences between legacy revisions where a client would reject or misread the messages of a newer server. Members
 * that are merely unknown to a revision (titles, annotations, icons, output schemas, structured content beside content,
 * `execution`) stay: every released version of the official SDK, and so most clients, ignores them.
 * docs/architecture.md describes how this was verified.
 */
export interface RevisionProfile {
  readonly revision: string
  /** Content types in tool results and prompt messages; strict clients reject a result with any other type. */
  readonly content: readonly string[]
  /** Content types in sampling requests. */
  readonly sampled: readonly string[]
  /** Whether a sampling message may contain a list of content. */
  readonly sampledLists: boolean
  /** Whether `structuredContent` may contain more than `content`. */
  readonly structured: boolean
  /** Whether a body may contain several messages. */
  readonly batches: boolean
  /** Whether `sizes` of icons is a list. Clients that had icons before the specification expect a string. */
  readonly iconSizes: boolean
}

/** Revisions before the newest one. Source: the changelogs of the specification, read backwards. */
const LEVELS: readonly RevisionProfile[] = [
  {
    revision: '2025-06-18',
    content: ['text', 'image', 'audio', 'resource', 'resource_link'],
    sampled: ['text', 'image', 'audio'],
    sampledLists: false,
    structured: true,
    batches: false,
    iconSizes: false,
  },
  {
    revision: '2025-03-26',
    content: ['text', 'image', 'audio', 'resource'],
    sampled: ['text', 'image', 'audio'],
    sampledLists: false,
    structured: false,
    batches: true,
    iconSizes: true,
  },
  {
    revision: '2024-11-05',
    content: ['text', 'image', 'resource'],
    sampled: ['text', 'image'],
    sampledLists: false,
    structured: false,
    batches: true,
    iconSizes: true,
  },
]

/**
 * The limitations of clients of this revision; `undefined` for the newest legacy revision and for modern ones, which
 * have none.
 */
export function revisionProfile(revision: string): RevisionProfile | undefined {
  if (revision >= LATEST_LEGACY) return undefined
  // The unreleased 2024-10-07 is older than all of them and equals its successor.
  return LEVELS.find(level => level.revision <= revision) ?? LEVELS.at(-1)
}

/** The text of a result (of `tools/call` or `prompts/get`) for this level; the same text when no change is needed. */
export function resultAt(level: RevisionProfile, method: string, { text, value }: Json): string {
  if (!isJsonObject(value)) return text
  if (method === 'prompts/get') return messagesAt(level, text, value.messages)
  if (method !== 'tools/call') return text
  const { content, structuredContent } = value
  if (!Array.isArray(content) || content.length === 0) {
    if (level.structured || !isJsonObject(structuredContent)) return text
    const member = find(members(text), 'structuredContent')
    if (!member) return text
    return withMembers(text, { content: `[${textBlock(text.slice(member.start, member.end), '{}')}]` })
  }
  return rewritten(text, 'content', content, {
    differs: block => differs(level, level.content, block),
    change: (block, blockText) => blockAt(level, level.content, block as JsonObject, blockText),
    leftOut: count => leftOut(level, count),
  })
}

/**
 * Maximum number of messages and content blocks, or fields and choices, of a question that is rewritten for a client.
 */
const MAX_PARTS = 10_000
/**
 * Maximum characters that are repeated when the blocks of a question become messages of their own, over all its
 * messages.
 */
const MAX_REPEATED_CHARS = 1024 * 1024

/**
 * Raw `params` of `sampling/createMessage` for this level.
 * @throws GatewayError `cannot_ask` for more than `MAX_PARTS`, or when more than `MAX_REPEATED_CHARS` would be repeated
 */
export function samplingAt(level: RevisionProfile, { text, value }: Json, server: string): string {
  const { messages } = value as JsonObject
  const member = Array.isArray(messages) ? find(members(text), 'messages') : undefined
  if (!member || !Array.isArray(messages)) return text
  let parts = 0
  for (const message of messages as unknown[]) {
    const content = isJsonObject(message) ? message.content : undefined
    parts += Array.isArray(content) && content.length > 1 ? content.length : 1
    if (parts > MAX_PARTS)
      throw tooMuch(server, `to sample from more than ${MAX_PARTS} messages and parts of messages`)
  }
  let out = ''
  let from = 0
  let repeated = 0
  eachElement(text, member.start, (start, end, at) => {
    const message: unknown = messages[at]
    if (!isJsonObject(message)) return
    const { content } = message
    if (!Array.isArray(content)) {
      if (!differs(level, level.sampled, content)) return
      out += text.slice(from, start) + contentAt(level, level.sampled, message, text.slice(start, end))
      from = end
      return
    }
    // One message per block; consecutive messages of one role are allowed.
    const shell = shellOf(text.slice(start, end))
    repeated += Math.max(1, content.length) * (shell.before.length + shell.after.length)
    if (repeated > MAX_REPEATED_CHARS)
      throw tooMuch(
        server,
        'to sample from parts of messages, each of which is a message of its own for this client; ' +
          `what is repeated for them has more than ${MAX_REPEATED_CHARS} characters`,
      )
    out += text.slice(from, start)
    from = end
    if (content.length === 0) out += shell.before + textBlock('', '{}') + shell.after
    else
      eachElement(shell.content, 0, (first, last, index) => {
        const block = blockAt(level, level.sampled, content[index], shell.content.slice(first, last))
        out += (index === 0 ? '' : ',') + shell.before + block + shell.after
      })
  })
  return out + text.slice(from)
}

function tooMuch(server: string, what: string): GatewayError {
  return new GatewayError('cannot_ask', `Server "${server}" asks ${what}.`, { server, delivery: 'answered' })
}

/** The text of a message around its content, and the content. */
function shellOf(message: string): { before: string; content: string; after: string } {
  const { start, end } = find(members(message), 'content') as JsonMember
  // Of duplicate content members, one remains.
  const shell = withMembers(message, { content: 'null' })
  const empty = find(members(shell), 'content') as JsonMember
  return {
    before: shell.slice(0, empty.start),
    content: message.slice(start, end),
    after: shell.slice(empty.end),
  }
}

/**
 * Raw `params` of `elicitation/create` for the levels that support forms. A choice with titles (`oneOf`) is also
 * written in their form, because the client would otherwise show a free text field.
 * @throws GatewayError `cannot_ask` for more than `MAX_PARTS` fields and choices
 */
export function elicitationAt({ text, value }: Json, server: string): string {
  const { requestedSchema } = value as JsonObject
  const properties = isJsonObject(requestedSchema) ? requestedSchema.properties : undefined
  const schema = rawAt(text, 'requestedSchema')
  const raw = rawAt(text, 'requestedSchema', 'properties')
  if (!isJsonObject(properties) || schema === undefined || raw === undefined) return text
  let parts = 0
  for (const property of Object.values(properties)) {
    parts += 1 + (isJsonObject(property) && Array.isArray(property.oneOf) ? property.oneOf.length : 0)
    if (parts > MAX_PARTS) throw tooMuch(server, `for more than ${MAX_PARTS} fields and choices`)
  }
  const texts = lastMembers(raw)
  const changed = Object.entries(properties).flatMap(([key, property]) => {
    const choices = titledChoices(property)
    const member = choices && texts.get(key)
    return member ? [[key, withMembers(raw.slice(member.start, member.end), choices)] as const] : []
  })
  if (changed.length === 0) return text
  const replaced = withMembers(schema, { properties: withMembers(raw, Object.fromEntries(changed)) })
  return withMembers(text, { requestedSchema: replaced })
}

/** The definition of a tool, prompt, resource or template for this level. */
export function definitionAt(level: RevisionProfile, text: string): string {
  if (level.iconSizes || !text.includes('"icons"')) return text
  return withoutIconSizes(text, (JSON.parse(text) as JsonObject).icons)
}

/**
 * Maximum number of content blocks that are rewritten for a client. The rest is left out, and a last block reports it.
 */
const MAX_REWRITTEN = 10_000
/** Maximum number of rewritten icons of a link. A link with more icons loses all of them. */
const MAX_ICONS = 16

interface Rewriting {
  /** Whether the level does not support a value as it is. */
  differs(value: unknown): boolean
  /** The text of such a value for the level. */
  change(value: unknown, text: string): string
  /** An element that reports how many were left out. */
  leftOut(count: number): string
}

/**
 * The object `text` with the elements of the array `key` rewritten for a level; `values` is that array as parsed. One
 * pass.
 */
function rewritten(text: string, key: string, values: unknown, rewriting: Rewriting): string {
  if (!Array.isArray(values) || !values.some(value => rewriting.differs(value))) return text
  const member = find(members(text), key)
  if (!member) return text
  let out = ''
  let from = 0
  let count = 0
  let last = member.start
  eachElement(text, member.start, (start, end, at) => {
    if (rewriting.differs(values[at])) {
      count++
      if (count <= MAX_REWRITTEN)
        out += text.slice(from, start) + rewriting.change(values[at], text.slice(start, end))
      // Includes the comma before it, because other elements precede it.
      else if (from < last) out += text.slice(from, last)
      from = end
    }
    last = end
  })
  if (count > MAX_REWRITTEN) {
    out += `${text.slice(from, last)},${rewriting.leftOut(count - MAX_REWRITTEN)}`
    from = last
  }
  return out + text.slice(from)
}

function messagesAt(level: RevisionProfile, text: string, messages: unknown): string {
  return rewritten(text, 'messages', messages, {
    differs: message => isJsonObject(message) && differs(level, level.content, message.content),
    change: (message, messageText) => contentAt(level, level.content, message as JsonObject, messageText),
    leftOut: count => `{"role":"user","content":${leftOut(level, count)}}`,
  })
}

/** A message with its single block rewritten for the level. */
function contentAt(
  level: RevisionProfile,
  types: readonly string[],
  message: JsonObject,
  text: string,
): string {
  const raw = rawAt(text, 'content')
  if (raw === undefined) return text
  return withMembers(text, { content: blockAt(level, types, message.content, raw) })
}

function leftOut(level: RevisionProfile, count: number): string {
  const text = `[${count} more parts were left out: revision ${level.revision} of MCP does not have them here.]`
  return textBlock(text, '{}')
}

/** Whether a level does not support such a block as it is. */
function differs(level: RevisionProfile, types: readonly string[], block: unknown): boolean {
  if (!isJsonObject(block) || typeof block.type !== 'string') return false
  if (!types.includes(block.type)) return true
  return block.type === 'resource_link' && !level.iconSizes && listsIconSizes(block.icons)
}

function blockAt(level: RevisionProfile, types: readonly string[], block: unknown, text: string): string {
  if (!isJsonObject(block) || !differs(level, types, block)) return text
  if (!types.includes(block.type as string)) return textBlock(described(level, block, text), text)
  return withoutIconSizes(text, block.icons)
}

/** A text block that replaces another block and keeps its annotations and `_meta`. */
function textBlock(content: string, original: string): string {
  let kept = ''
  for (const { key, start, end } of members(original))
    if (key === 'annotations' || key === '_meta') kept += `,"${key}":${original.slice(start, end)}`
  return `{"type":"text","text":${JSON.stringify(content)}${kept}}`
}

/** Readable description of a block that the client's revision does not support, or of its omitted parts. */
function described(level: RevisionProfile, block: JsonObject, text: string): string {
  const { type, name, title, uri, mimeType, size, description, data } = block
  if (type === 'resource_link' && typeof uri === 'string') {
    const names =
      typeof title === 'string' && title !== name ? `"${title}" (${String(name)})` : `"${String(name)}"`
    const details = [mimeType, typeof size === 'number' ? `${size} bytes` : undefined]
    const known = details.filter(detail => typeof detail === 'string').join(', ')
    const more = typeof description === 'string' ? `\n${description}` : ''
    return `Link to the resource ${names}: ${uri}${known === '' ? '' : ` (${known})`}${more}`
  }
  if (type === 'audio' && typeof data === 'string') {
    const bytes = Math.floor((withoutEnd(data, '=').length * 3) / 4)
    return `[Audio was left out: ${String(mimeType)}, ${bytes} bytes. Revision ${level.revision} of MCP, which this client speaks, has no audio here.]`
  }
  return `[Content of type "${String(type)}", which revision ${level.revision} of MCP does not have here: ${text}]`
}

/**
 * The members equivalent to the `oneOf` of a choice; `undefined` for a property without `oneOf`, or with these members.
 */
function titledChoices(property: unknown): { enum: string; enumNames: string } | undefined {
  if (!isJsonObject(property) || !Array.isArray(property.oneOf) || 'enum' in property) return undefined
  const choices = property.oneOf as (JsonObject | null)[]
  if (!choices.every(choice => typeof choice?.const === 'string')) return undefined
  const names = choices.map(choice => choice?.title ?? choice?.const)
  return { enum: JSON.stringify(choices.map(choice => choice?.const)), enumNames: JSON.stringify(names) }
}

function listsSizes(icon: unknown): boolean {
  return isJsonObject(icon) && Array.isArray(icon.sizes)
}

function listsIconSizes(icons: unknown): icons is unknown[] {
  return Array.isArray(icons) && icons.some(listsSizes)
}

function withoutIconSizes(text: string, icons: unknown): string {
  if (listsIconSizes(icons) && icons.length > MAX_ICONS) return withMembers(text, { icons: undefined })
  return rewritten(text, 'icons', icons, {
    differs: listsSizes,
    change: (_, iconText) => withMembers(iconText, { sizes: undefined }),
    leftOut: () => '{}',
  })
}
