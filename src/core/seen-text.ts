/**
 * Characters that are not seen as what they are: controls and line breaks, marks that turn the direction of text, and ones without a width. They can make a
 * text look like another one, or like more lines than it is.
 */
export const UNSEEN =
  // oxlint-disable-next-line no-control-regex
  /[\0-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g

/** Breaks of lines that a terminal or a page may show, beside the usual ones. */
// oxlint-disable-next-line no-control-regex
const ODD_BREAKS = /[\v\f\x85\u2028\u2029]/g

/** A text of a server for people: line breaks and tabs stay, and what cannot be seen is left out. */
export function seenText(text: string): string {
  return text.replace(ODD_BREAKS, '\n').replace(UNSEEN, letter => ('\n\r\t'.includes(letter) ? letter : ''))
}
