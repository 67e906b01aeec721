/** The address, as words between its strokes: each view has its own. */
let words = $state.raw(split(location.pathname));

function split(path: string): string[] {
  return path.split("/").filter(Boolean).map(decodeURIComponent);
}
addEventListener("popstate", () => (words = split(location.pathname)));

export const route = {
  /** The view; the first one where the address names none. */
  get view(): string {
    return words[0] ?? "play";
  },
  /** What it shows: a run's or a model's id. */
  get of(): string | undefined {
    return words[1];
  },
  /** All words. */
  get words(): readonly string[] {
    return words;
  },
  go(path: string): void {
    history.pushState(null, "", path);
    words = split(path);
    scrollTo(0, 0);
  },
};

/** Links within the lab change the view, and load nothing. */
export function follow(event: MouseEvent): void {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = (event.target as Element).closest("a");
  if (!link || link.target || link.origin !== location.origin || link.pathname.startsWith("/api/")) return;
  event.preventDefault();
  route.go(link.pathname);
}
