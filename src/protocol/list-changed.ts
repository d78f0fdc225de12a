import type { ListKind } from '../core/route.ts'

const NOTIFICATIONS: Readonly<Record<ListKind, string>> = {
  tools: 'notifications/tools/list_changed',
  resources: 'notifications/resources/list_changed',
  resourceTemplates: 'notifications/resources/list_changed',
  prompts: 'notifications/prompts/list_changed',
}

/** The notification about a changed list; resources and templates share one. */
export function listChangedMethod(kind: ListKind): string {
  return NOTIFICATIONS[kind]
}
