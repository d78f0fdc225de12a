import { GatewayError } from '../../core/errors.ts'
import type { Json, JsonObject } from '../../core/exchange.ts'
import { isJsonObject } from '../../core/json-object.ts'
import { isDeeperThan, rawAt } from '../../protocol/json-text.ts'
import type { Peer } from './link-contract.ts'

/** Largest answer to a request of the gateway itself, in characters: a page of a list, or the answer to a greeting. */
export const MAX_OWN_ANSWER_CHARS = 8 * 1024 * 1024

/** Bounds of the parts of a greeting: far more than servers need, and small enough to be passed on to every client. */
const MAX_CAPABILITIES_CHARS = 64 * 1024
const MAX_SERVER_INFO_CHARS = 64 * 1024
const MAX_INSTRUCTIONS_CHARS = 64 * 1024
const MAX_DEPTH = 32

/**
 * The result of a greeting, bounded in size and depth. Instructions that are too long are cut.
 * @throws GatewayError `upstream_protocol` that names the bound
 */
export function introductionOf(
  server: string,
  { text, value }: Json<JsonObject>,
  serverInfo = rawAt(text, 'serverInfo') ?? '{}',
): Pick<Peer, 'capabilities' | 'instructions' | 'serverInfo'> {
  const { capabilities, instructions } = value
  bounded(server, 'capabilities', rawAt(text, 'capabilities') ?? '{}', MAX_CAPABILITIES_CHARS)
  bounded(server, 'serverInfo', serverInfo, MAX_SERVER_INFO_CHARS)
  return {
    capabilities: isJsonObject(capabilities) ? capabilities : {},
    instructions: typeof instructions === 'string' ? cut(instructions) : undefined,
    serverInfo,
  }
}

function bounded(server: string, what: string, text: string, maxChars: number): void {
  const found =
    text.length > maxChars
      ? `${text.length} characters long; at most ${maxChars} are accepted`
      : isDeeperThan(text, MAX_DEPTH)
        ? `nested too deeply; at most ${MAX_DEPTH} levels are accepted`
        : undefined
  if (found !== undefined)
    throw new GatewayError(
      'upstream_protocol',
      `The "${what}" of server "${server}" are ${found}. Fix: shorten them in the server.`,
      { server, delivery: 'answered' },
    )
}

function cut(instructions: string): string {
  return instructions.length <= MAX_INSTRUCTIONS_CHARS
    ? instructions
    : `${instructions.slice(0, MAX_INSTRUCTIONS_CHARS - 1)}…`
}
