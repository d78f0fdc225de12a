/** What of a view's name is the endpoint; the rest says which rules and which kind of client it is for. */
export function endpointOf(view: string): string {
  const end = view.search(/[\n\f]/)
  return end < 0 ? view : view.slice(0, end)
}
