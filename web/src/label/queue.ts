/** Which picture comes when: the least certain first, without the list jumping under a person's eyes. */

import type { Item } from "./types";

export type Filter = "todo" | "labelled" | "all";
export type Order = "unsure" | "added" | "name";

const NOT_LOOKED_AT = 0.5;
const DONE = 2;

export class Queue {
  filter: Filter = "todo";
  order: Order = "unsure";
  /** File names in the order in which they are shown. */
  shown: string[] = [];
  #kept = new Set<string>();
  #ranks = new Map<string, number>();

  constructor(private readonly items: Map<string, Item>) {}

  /** Set the list up anew, as filter and order say. */
  rebuild(current: string | null): void {
    this.#kept = new Set(current === null ? [] : [current]);
    this.#ranks.clear();
    this.shown = [...this.items.values()].filter((item) => this.#passes(item)).map((item) => item.file_name);
    this.#sort(this.shown);
  }

  /** Note that a picture is being looked at: it stays where it is. */
  visit(file: string): void {
    this.#kept.add(file);
    this.#ranks.set(file, this.#rank(file));
    if (!this.shown.includes(file)) this.shown.unshift(file);
  }

  /** Sort what is still ahead of the current picture, now that more is known. */
  refresh(current: string | null): void {
    const place = current === null ? 0 : this.shown.indexOf(current) + 1;
    const ahead = this.shown.slice(place).filter((file) => this.#passes(this.items.get(file)));
    this.#sort(ahead);
    this.shown = [...this.shown.slice(0, place), ...ahead];
  }

  /** The next picture in the list after a place, or before it; null at its end. */
  step(current: string | null, by: 1 | -1): string | null {
    const place = current === null ? -1 : this.shown.indexOf(current);
    return this.shown[place + by] ?? null;
  }

  /** The next picture that is still to be done: ahead of the current one, else from the beginning; null when all are. */
  nextToDo(current: string | null): string | null {
    const place = current === null ? -1 : this.shown.indexOf(current);
    const isToDo = (file: string): boolean => {
      const item = this.items.get(file);
      return file !== current && item !== undefined && item.state !== "labelled" && !item.error;
    };
    const listed = [...this.shown.slice(place + 1), ...this.shown.slice(0, Math.max(0, place))];
    return listed.find(isToDo) ?? [...this.items.keys()].find(isToDo) ?? null;
  }

  #passes(item: Item | undefined): boolean {
    if (item === undefined) return false;
    if (this.filter === "all" || this.#kept.has(item.file_name)) return true;
    return (item.state === "labelled") === (this.filter === "labelled");
  }

  #rank(file: string): number {
    const item = this.items.get(file);
    if (item === undefined || item.state === "labelled") return this.#ranks.get(file) ?? DONE;
    return this.#ranks.get(file) ?? item.margin ?? NOT_LOOKED_AT;
  }

  #sort(files: string[]): void {
    if (this.order === "name") {
      files.sort(new Intl.Collator(undefined, { numeric: true }).compare);
    } else if (this.order === "unsure") {
      const ranks = new Map(files.map((file) => [file, this.#rank(file)]));
      files.sort((one, other) => ranks.get(one)! - ranks.get(other)!);
    }
  }
}
