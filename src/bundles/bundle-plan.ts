import { homedir } from 'node:os'
import { join, sep } from 'node:path'
import { isSecretName } from '../observe/redact.ts'
import { joinedText, literal, type AddPlan } from '../registry/plan.ts'
import { isVariableName, variableNote } from '../registry/variable-names.ts'
import type { JsonObject } from '../core/exchange.ts'
import type { Manifest } from './manifest.ts'

/** Separates the values of one that takes several. */
const SEVERAL = ','

/** How a bundle that is unpacked in a folder becomes an entry. */
export function bundlePlan(manifest: Manifest, folder: string): AddPlan {
  const { userConfig, description } = manifest
  const name = manifest.name.slice(manifest.name.lastIndexOf('/') + 1).replaceAll(' ', '-')
  const asked = Object.entries(userConfig).map(([key, value]) => ({
    key,
    label: key,
    description: [value.title, value.description].filter(text => text !== '' && text !== key).join(': '),
    isRequired: value.isRequired,
    isSecret: value.isSensitive || (value.otherwise.length === 0 && isSecretName(key)),
    otherwise:
      value.otherwise.length > 0 ? value.otherwise.map(text => known(text, folder)).join(SEVERAL) : undefined,
    choices: [],
  }))
  const entry = (valueOf: (key: string) => string | undefined): JsonObject => {
    const textsFor = (text: string): string[] => filled(text, manifest, folder, valueOf)
    const env = Object.entries(manifest.env).flatMap(([variable, text]) => {
      const [value] = textsFor(text)
      return isVariableName(variable) && value !== undefined ? [[variable, value] as const] : []
    })
    return {
      command: textsFor(manifest.command)[0] ?? '',
      args: manifest.args.flatMap(textsFor),
      ...(env.length > 0 && { env: Object.fromEntries(env) }),
    }
  }
  const notes = Object.keys(manifest.env)
    .filter(variable => !isVariableName(variable))
    .map(variableNote)
  return { name, description, notes, asked, entry }
}

/** A text with its variables replaced: none or several texts, where it is a value that takes several. */
function filled(
  text: string,
  { userConfig }: Manifest,
  folder: string,
  valueOf: (key: string) => string | undefined,
): string[] {
  const whole = /^\$\{user_config\.(\w+)\}$/.exec(text)?.[1]
  if (whole !== undefined && Object.hasOwn(userConfig, whole)) {
    const value = valueOf(whole)
    if (value === undefined) return []
    return userConfig[whole]?.isMultiple ? value.split(SEVERAL).filter(part => part !== '') : [value]
  }
  const parts = text.split(/(\$\{user_config\.\w+\})/)
  const texts: string[] = []
  for (const part of parts) {
    const key = /^\$\{user_config\.(\w+)\}$/.exec(part)?.[1]
    if (key === undefined) texts.push(literal(known(part, folder)))
    else {
      const value = valueOf(key)
      if (value === undefined) return []
      texts.push(value)
    }
  }
  return [joinedText(texts)]
}

/** A text with the folders replaced that a manifest may name. */
function known(text: string, folder: string): string {
  const home = homedir()
  return text
    .replaceAll('${__dirname}', () => folder)
    .replaceAll('${HOME}', () => home)
    .replaceAll('${DESKTOP}', () => join(home, 'Desktop'))
    .replaceAll('${DOCUMENTS}', () => join(home, 'Documents'))
    .replaceAll('${DOWNLOADS}', () => join(home, 'Downloads'))
    .replaceAll('${pathSeparator}', () => sep)
    .replaceAll('${/}', () => sep)
}
