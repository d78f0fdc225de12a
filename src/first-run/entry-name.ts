/** A name for an entry that its client file does not have yet. */
export function freeEntryName(wished: string, names: readonly string[]): string {
  if (!names.includes(wished)) return wished
  for (let at = 2; ; at++) if (!names.includes(`${wished}${at}`)) return `${wished}${at}`
}
