// @ts-check
/** @type {typeof import('./whole-updates.js').isReplaced} */
export function isReplaced({ uri, begun, ended }, whole) {
  return whole.some(update => update.uri === uri && update.at >= begun && ended > update.after)
}
