/** How long it will still take, from how long it took so far. */

const LEAST = 3;
const LAST = 20;
/** A longer pause is a pause, not work. */
const LONGEST_S = 90;

export class Pace {
  #times: number[] = [];
  #last = performance.now();

  /** A picture was done just now. */
  tick(now = performance.now()): void {
    const seconds = (now - this.#last) / 1000;
    this.#last = now;
    if (seconds <= LONGEST_S) this.#times = [...this.#times, seconds].slice(-LAST);
  }

  /** Minutes that so many pictures will take; null until a few are done. */
  minutesFor(count: number): number | null {
    if (this.#times.length < LEAST) return null;
    const mean = this.#times.reduce((sum, time) => sum + time, 0) / this.#times.length;
    return (mean * count) / 60;
  }
}

export function inWords(minutes: number): string {
  if (minutes < 0.75) return "less than a minute left";
  if (minutes < 90) return `about ${Math.round(minutes)} min left`;
  return `about ${(minutes / 60).toFixed(1)} h left`;
}
