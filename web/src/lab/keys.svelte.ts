/** Whether single keys do something: kept by the browser, and one choice for all views. */
const STORED = "pocketgan lab: keys";

function stored(): boolean {
  try {
    return localStorage.getItem(STORED) !== "off";
  } catch {
    return true; // a browser that stores nothing forgets the choice
  }
}
let on = $state(stored());

export const keys = {
  get on(): boolean {
    return on;
  },
  set on(is: boolean) {
    on = is;
    try {
      localStorage.setItem(STORED, is ? "on" : "off");
    } catch {
      // as above
    }
  },
};

/** Whether a key is typed where it writes, chooses or belongs to the browser: there it does nothing else. */
export const inert = (event: KeyboardEvent): boolean =>
  event.metaKey || event.ctrlKey || event.altKey || (event.target as Element).closest("input, textarea, select, [contenteditable]") !== null;
