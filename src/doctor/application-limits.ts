/** What applications take, as far as it is known. Each number is of the application, not of MCP. */
export interface ApplicationLimits {
  readonly title: string
  /** Longest name of a tool, with what the application puts in front of it. */
  readonly nameChars?: number
  /** What the application puts in front of a name, with the entry of the gateway named `manifold`. */
  readonly namePrefix?: string
  /** Most tools of all servers. */
  readonly tools?: number
  /** Most bytes of a description and of instructions. */
  readonly descriptionBytes?: number
}

const ENTRY = 'manifold'

export const APPLICATION_LIMITS: readonly ApplicationLimits[] = [
  { title: 'Claude Desktop', nameChars: 64, namePrefix: `${ENTRY}:` },
  { title: 'Claude Code', nameChars: 64, namePrefix: `mcp__${ENTRY}__`, descriptionBytes: 2048 },
  { title: 'VS Code', nameChars: 64, namePrefix: `mcp_${ENTRY}_`, tools: 128 },
  { title: 'Cursor', nameChars: 60, namePrefix: `${ENTRY}:`, tools: 40 },
  { title: 'Windsurf', tools: 100 },
]
