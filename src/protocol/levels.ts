import type { Json, JsonObject } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import { withoutEnd } from '../core/without-end.ts'
import { elements, find, members, rawAt, splice, withMembers, type Edit } from './json-text.ts'
import { LATEST_LEGACY } from './revisions.ts'

/**
 * Differences between the legacy revisions, as far as a client of one of them would reject or misread what a newer server sends. What is only an unknown
 * member to it (titles, annotations, icons, output schemas, structured content beside content, `execution`) stays: every released version of the official
 * SDK, and so most clients, passes it over. docs/architecture.md says how that was found out.
 */
export interface Level {
  readonly revision: string
  /** Types of content in results of tools and in messages of prompts; strict clients reject a whole result for another one. */
  readonly content: readonly string[]
  /** Types of content in what a client is asked to sample from. */
  readonly sampled: readonly string[]
  /** Whether a message to sample from may hold a list of content. */
  readonly sampledLists: boolean
  /** Whether `structuredContent` may say what `content` does not. */
  readonly structured: boolean
  /** Whether a body may hold several messages. */
  readonly batches: boolean
  /** Whether `sizes` of icons is a list. It once was a text to clients that had icons before the specification did. */
  readonly iconSizes: boolean
}

/** Revisions older than the newest one. Source: the changelogs of the specification, read backwards. */
const LEVELS: readonly Level[] = [
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

/** What a client of this revision lacks; `undefined` for the newest legacy one and for modern ones, which lack nothing. */
export function levelOf(revision: string): Level | undefined {
  if (revision >= LATEST_LEGACY) return undefined
  // Older than all of them is the unreleased 2024-10-07, which has what its successor has.
  return LEVELS.find(level => level.revision <= revision) ?? LEVELS.at(-1)
}

/** The text of a result (of `tools/call` or `prompts/get`) as the level has it; the same text when it has all of it. */
export function resultAt(level: Level, method: string, { text, value }: Json): string {
  if (!isJsonObject(value)) return text
  if (method === 'prompts/get') return spliceAt(text, 'messages', value.messages, messageAt(level))
  if (method !== 'tools/call') return text
  const { content, structuredContent } = value
  if (!Array.isArray(content) || content.length === 0) {
    if (level.structured || !isJsonObject(structuredContent)) return text
    const member = find(members(text), 'structuredContent')
    if (!member) return text
    return withMembers(text, { content: `[${textBlock(text.slice(member.start, member.end), '{}')}]` })
  }
  return spliceAt(text, 'content', content, (block, blockText) =>
    blockAt(level, level.content, block, blockText),
  )
}

/** Raw `params` of `sampling/createMessage` as the level has them. */
export function samplingAt(level: Level, { text, value }: Json): string {
  return spliceAt(text, 'messages', (value as JsonObject).messages, (message, messageText) => {
    const member = isJsonObject(message) ? find(members(messageText), 'content') : undefined
    if (!member) return messageText
    const { content } = message as JsonObject
    const raw = messageText.slice(member.start, member.end)
    if (!Array.isArray(content)) {
      const block = blockAt(level, level.sampled, content, raw)
      return block === raw ? messageText : withMembers(messageText, { content: block })
    }
    // One message for each: nothing says that two in a row may not be of one role.
    const blocks = elements(raw).map(({ start, end }, at) =>
      blockAt(level, level.sampled, content[at], raw.slice(start, end)),
    )
    if (blocks.length === 0) blocks.push(textBlock('', '{}'))
    return blocks.map(block => withMembers(messageText, { content: block })).join(',')
  })
}

/**
 * Raw `params` of `elicitation/create` as the levels that have forms have them: a choice with titles (`oneOf`) says the same in their way as well, or a
 * person would be shown a field for any text.
 */
export function elicitationAt({ text, value }: Json): string {
  const { requestedSchema } = value as JsonObject
  const properties = isJsonObject(requestedSchema) ? requestedSchema.properties : undefined
  const schema = rawAt(text, 'requestedSchema')
  const raw = rawAt(text, 'requestedSchema', 'properties')
  if (!isJsonObject(properties) || schema === undefined || raw === undefined) return text
  const changed = Object.entries(properties).flatMap(([key, property]) => {
    const choices = titledChoices(property)
    return choices ? [[key, withMembers(rawAt(raw, key) ?? '{}', choices)] as const] : []
  })
  if (changed.length === 0) return text
  const replaced = withMembers(schema, { properties: withMembers(raw, Object.fromEntries(changed)) })
  return withMembers(text, { requestedSchema: replaced })
}

/** The definition of a tool, prompt, resource or template as the level has it. */
export function definitionAt(level: Level, text: string): string {
  if (level.iconSizes || !text.includes('"icons"')) return text
  return withoutIconSizes(text, (JSON.parse(text) as JsonObject).icons)
}

type Change = (value: unknown, text: string) => string

function messageAt(level: Level): Change {
  return (message, text) => {
    const member = isJsonObject(message) ? find(members(text), 'content') : undefined
    if (!member) return text
    const raw = text.slice(member.start, member.end)
    const block = blockAt(level, level.content, (message as JsonObject).content, raw)
    return block === raw ? text : withMembers(text, { content: block })
  }
}

function blockAt(level: Level, types: readonly string[], block: unknown, text: string): string {
  if (!isJsonObject(block) || typeof block.type !== 'string') return text
  if (!types.includes(block.type)) return textBlock(described(level, block, text), text)
  if (block.type === 'resource_link' && !level.iconSizes) return withoutIconSizes(text, block.icons)
  return text
}

/** A block of text in place of another one, whose annotations and `_meta` it keeps. */
function textBlock(content: string, original: string): string {
  let kept = ''
  for (const { key, start, end } of members(original))
    if (key === 'annotations' || key === '_meta') kept += `,"${key}":${original.slice(start, end)}`
  return `{"type":"text","text":${JSON.stringify(content)}${kept}}`
}

/** What a block that the client's revision does not have says, or what was left out of it, for a person or a model to read. */
function described(level: Level, block: JsonObject, text: string): string {
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

/** Members that say what `oneOf` of a choice says; `undefined` for a property that is none, or says it already. */
function titledChoices(property: unknown): { enum: string; enumNames: string } | undefined {
  if (!isJsonObject(property) || !Array.isArray(property.oneOf) || 'enum' in property) return undefined
  const choices = property.oneOf as (JsonObject | null)[]
  if (!choices.every(choice => typeof choice?.const === 'string')) return undefined
  const names = choices.map(choice => choice?.title ?? choice?.const)
  return { enum: JSON.stringify(choices.map(choice => choice?.const)), enumNames: JSON.stringify(names) }
}

function withoutIconSizes(text: string, icons: unknown): string {
  return spliceAt(text, 'icons', icons, (icon, iconText) =>
    isJsonObject(icon) && Array.isArray(icon.sizes) ? withMembers(iconText, { sizes: undefined }) : iconText,
  )
}

/** Changes the elements of the array that is the member `key` of an object; `values` is that array as parsed. */
function spliceAt(text: string, key: string, values: unknown, change: Change): string {
  if (!Array.isArray(values)) return text
  const member = find(members(text), key)
  if (!member) return text
  const edits: Edit[] = []
  elements(text, member.start).forEach(({ start, end }, at) => {
    const old = text.slice(start, end)
    const changed = change(values[at], old)
    if (changed !== old) edits.push({ start, end, text: changed })
  })
  return splice(text, edits)
}
