/** Texts that no shell changes. The first character is none that zsh expands. */
const PLAIN = /^[\w@%+:,./-][\w@%+=:,./-]*$/
const PLAIN_ON_WINDOWS = /^[\w@+:,./\\-][\w@+=:,./\\-]*$/

/** A text as one word of a command to copy, which a shell takes as it is, whatever is in it. */
export function shellWord(word: string, platform: NodeJS.Platform = process.platform): string {
  if (platform !== 'win32') return PLAIN.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
  // In cmd and in PowerShell; a backtick is an escape of PowerShell and nothing in cmd.
  return PLAIN_ON_WINDOWS.test(word)
    ? word
    : `"${word.replace(/[`$]/g, letter => `\`${letter}`).replaceAll('"', '""')}"`
}
