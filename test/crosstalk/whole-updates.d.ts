/** The update of a whole resource, which the gateway sends in place of single ones when more than 1,000 wait. */
export interface WholeUpdate {
  readonly uri: string
  /** When it was heard. */
  readonly at: number
  /** The begin of the newest touch that was heard before it. */
  readonly after: number
}

/**
 * Whether an update of a whole resource may stand for that of a touch. Updates keep their order, so it stands for none
 * that was answered before a touch began that was heard earlier. `whole`: those that one listener has heard.
 */
export function isReplaced(
  touch: { readonly uri: string; readonly begun: number; readonly ended: number },
  whole: readonly WholeUpdate[],
): boolean
