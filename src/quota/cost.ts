import { wildcard } from '../policy/pattern.ts'
import type { ServerConfig } from '../config/types.ts'

/** Cost units of one call of a tool: its own, or those of its server. */
export function costOfTool({ cost, tools }: Pick<ServerConfig, 'cost' | 'tools'>, own: string): number {
  return tools.find(tool => tool.cost !== undefined && wildcard(tool.glob)(own))?.cost ?? cost
}
