/** The endpoint in the name of a view. The rest of the name stands for the rules and the kind of client. */
export function endpointOf(view: string): string {
  const end = view.search(/[\n\f]/)
  return end < 0 ? view : view.slice(0, end)
}
