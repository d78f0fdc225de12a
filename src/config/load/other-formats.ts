/** Recognizes texts in formats other than JSON, for better error messages. */

/** An example file for messages, which indent it by two. */
export const EXAMPLE = `  {
    "mcpServers": {
      "files": { "command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "."] }
    }
  }`

/** An unquoted key, or a list item. */
const YAML = /^(?:[A-Za-z_][\w.-]*[ \t]*:(?:[ \t]|$)|- )/
/** The header of a table. */
const TOML = /^\[\[?[\w."-]+\]\]?[ \t]*(?:#.*)?$/
/**
 * An indented key, in quotes or not. It neither begins nor ends with a blank, so that the expression is unambiguous and
 * runs in linear time.
 */
const YAML_NAME = /^[ \t]+(?:- )?(["']?)([\w@./-](?:[\w@./ -]{0,62}[\w@./-])?)\1[ \t]*:/

/**
 * The problem of a text that is empty or begins as another format; a sentence that follows the name of the file.
 * `undefined` for JSON, and for broken JSON.
 */
export function otherFormat(text: string, file: string): string | undefined {
  const lines = text.split('\n').map(line => line.replace(/\r$/, ''))
  const first = lines.find(line => !/^\s*(?:#.*|\/\/.*|---.*)?$/.test(line))
  if (first === undefined)
    return lines.every(line => !/^\s*#/.test(line))
      ? `is empty. Write into it, for example:\n${EXAMPLE}`
      : undefined
  if (file.endsWith('.toml') || TOML.test(first))
    return `is TOML, as Codex has it, and must be JSON. Write its servers in this form:\n${inJson('name')}`
  if (!YAML.test(first)) return undefined
  const name = lines.map(line => YAML_NAME.exec(line)?.[2]).find(found => found !== undefined)
  return `is YAML and must be JSON. Write its servers in this form:\n${inJson(name ?? 'name')}`
}

function inJson(name: string): string {
  return `  { "mcpServers": {
      ${JSON.stringify(name)}: { "command": "npx", "args": ["-y", "server"] } } }`
}
