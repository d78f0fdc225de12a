/** What people read where they log in: in the middle of a call, or by a command. */
export interface LoginWording {
  /** How another login is begun, for a page. */
  readonly again: string
  /** The same, for the answer to a call or a command. */
  readonly retry: string
  /** Where the person goes on. */
  readonly backTo: string
}

export const IN_CALLS: LoginWording = {
  again: 'Make the call in your MCP client again, and use the new link.',
  retry: 'Make the call again for a new link.',
  backTo: 'your MCP client',
}
