/** Light or dark: as the person's system says, until they choose. */

import { recall, remember } from "./memory";

export type Theme = "dark" | "light";

export function theme(): Theme {
  const chosen = recall("theme");
  if (chosen === "dark" || chosen === "light") return chosen;
  return matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
}

export function showTheme(): void {
  document.documentElement.dataset.theme = theme();
}

export function turnTheme(): Theme {
  const next = theme() === "dark" ? "light" : "dark";
  remember("theme", next);
  showTheme();
  return next;
}
