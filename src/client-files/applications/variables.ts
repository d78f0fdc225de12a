/** How applications write a variable of the environment in `env` of an entry. */

export function editorVariable(name: string): string {
  return `\${env:${name}}`
}

export function shellVariable(name: string): string {
  return `\${${name}}`
}

export function dollarVariable(name: string): string {
  return `$${name}`
}

export function braceVariable(name: string): string {
  return `{env:${name}}`
}
