/** `${client.NAME}` in the entry of a server stands for a value of the client that a link is for. */

/** Characters of the name of such a value. */
export const CLIENT_VALUE_NAME = /^[A-Za-z_][\w-]{0,63}$/

const PLACEHOLDER = /\$\{client\.([A-Za-z_][\w-]{0,63})\}/g

/** The names in a text, sorted, each once. */
export function clientValueNames(text: string): readonly string[] {
  return [...new Set(Array.from(text.matchAll(PLACEHOLDER), ([, name]) => name as string))].toSorted()
}

/** The text with the value of each name. */
export function withClientValues(text: string, value: (name: string) => string): string {
  return text.includes('${client.') ? text.replace(PLACEHOLDER, (_, name: string) => value(name)) : text
}
