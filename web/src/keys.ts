/** One table of shortcuts, from which the keys work and the overlay that explains them is made. */

import { h } from "./dom";
import { openDialog } from "./dialog";

export interface Shortcut {
  /** Names as `event.key` has them, letters small; with "Control+" or "Shift+" before. */
  keys: string[];
  /** How the keys are shown. */
  shown: string[];
  does: string;
  group: string;
  run?: (event: KeyboardEvent) => void;
}

const SILENT = "input, textarea, select, [contenteditable]";

export function keyName(event: KeyboardEvent): string {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const isLetter = key.length === 1 && key !== key.toUpperCase();
  const control = event.ctrlKey || event.metaKey ? "Control+" : "";
  const alt = event.altKey ? "Alt+" : "";
  // Shift only tells apart keys that have no other sign of it: "?" is a key of its own.
  const shift = event.shiftKey && (isLetter || key.length > 1) ? "Shift+" : "";
  return control + alt + shift + key;
}

/** Run shortcuts until the given signal. Typing, open dialogs and focused buttons keep their own keys. */
export function listenForKeys(shortcuts: Shortcut[], signal: AbortSignal): void {
  const runs = new Map(shortcuts.flatMap((one) => (one.run ? one.keys.map((key) => [key, one.run!] as const) : [])));
  document.addEventListener(
    "keydown",
    (event) => {
      const target = event.target as Element;
      if (event.defaultPrevented || target.closest?.(SILENT) || document.querySelector("dialog[open]")) return;
      if (target.closest?.("button, a[href]") && (event.key === "Enter" || event.key === " ")) return;
      const run = runs.get(keyName(event));
      if (run === undefined) return;
      event.preventDefault();
      run(event);
    },
    { signal },
  );
}

export function showShortcuts(shortcuts: Shortcut[]): void {
  const groups = [...new Set(shortcuts.map((one) => one.group))];
  const columns = groups.map((group) =>
    h(
      "section",
      {},
      h("h3", {}, group),
      h(
        "dl",
        {},
        ...shortcuts
          .filter((one) => one.group === group)
          .map((one) => h("div", {}, h("dt", {}, ...one.shown.map((key) => h("kbd", {}, key))), h("dd", {}, one.does))),
      ),
    ),
  );
  openDialog({ title: "Keys", class: "keys", content: [h("div", { class: "columns" }, ...columns)] });
}
