/** What the browser keeps between visits; a browser that keeps nothing is no error. */

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`mien.${key}`, value);
  } catch {
    // Private windows may refuse.
  }
}

export function recall(key: string): string | null {
  try {
    return localStorage.getItem(`mien.${key}`);
  } catch {
    return null;
  }
}
