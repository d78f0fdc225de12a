import type { ServerConfig } from '../config/types.ts'
import { wildcard } from '../policy/pattern.ts'

/** Tells whether the configuration hides a tool. The first setting that matches the tool decides. */
export function hiddenBy(server: Pick<ServerConfig, 'tools'>): (tool: string) => boolean {
  if (!server.tools.some(({ hidden }) => hidden)) return () => false
  const rules = server.tools.map(({ glob, hidden }) => ({ matches: wildcard(glob), hidden }))
  return name => rules.find(rule => rule.matches(name))?.hidden ?? false
}
