/**
 * Invisible or misleading characters: controls and line breaks, direction marks and characters of zero width. They can
 * make a text look like another one, or like several lines.
 */
export const UNSEEN =
  // oxlint-disable-next-line no-control-regex
  /[\0-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g

/** Unusual line breaks that a terminal or a page may show. */
// oxlint-disable-next-line no-control-regex
const ODD_BREAKS = /[\v\f\x85\u2028\u2029]/g

/** A text of a server for display: line breaks and tabs stay, invisible characters are removed. */
export function seenText(text: string): string {
  return text.replace(ODD_BREAKS, '\n').replace(UNSEEN, letter => ('\n\r\t'.includes(letter) ? letter : ''))
}
