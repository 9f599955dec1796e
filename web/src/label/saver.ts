/** Autosave: one picture at a time, in order, the newest labels of each. Nothing is dropped until the service has it. */

import { pathTo, request, RequestError, UnreachableError } from "../http";
import { entriesOf, isSame, labelsFrom, type Item, type Labels, type Row } from "./types";

export type SaveStatus = "saved" | "saving" | "offline";

export interface SaverEvents {
  revision: (file: string) => number;
  saved: (item: Partial<Item> & { row: Row }) => void;
  conflict: (file: string, mine: Labels, theirs: Row) => void;
  refused: (file: string, message: string) => void;
  status: (status: SaveStatus) => void;
}

const LONGEST_WAIT_MS = 8000;

export class Saver {
  #waiting = new Map<string, Labels>();
  /** Sent, but the answer never came: the service may have it all the same. */
  #unanswered = new Map<string, Labels>();
  #isBusy = false;
  #pauseMs = 500;
  #sleeper: (() => void) | undefined;

  constructor(private readonly events: SaverEvents) {}

  get isClean(): boolean {
    return this.#waiting.size === 0 && !this.#isBusy;
  }

  /** What is not saved yet of a picture. */
  pending(file: string): Labels | undefined {
    return this.#waiting.get(file);
  }

  put(file: string, labels: Labels): void {
    this.#waiting.set(file, labels);
    void this.#work();
  }

  drop(file: string): void {
    this.#waiting.delete(file);
    this.#unanswered.delete(file);
  }

  /** Try again now instead of waiting. */
  wake(): void {
    this.#sleeper?.();
  }

  /** Resolves when all is saved. */
  async settle(): Promise<void> {
    while (!this.isClean) await new Promise((resolve) => setTimeout(resolve, 30));
  }

  async #work(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.events.status("saving");
    try {
      for (;;) {
        const first = this.#waiting.entries().next();
        if (first.done) break;
        await this.#send(...first.value);
      }
    } finally {
      this.#isBusy = false;
    }
    this.events.status("saved");
  }

  async #send(file: string, labels: Labels): Promise<void> {
    const body = { revision: this.events.revision(file), state: labels.state, faces: entriesOf(labels) };
    try {
      const item = await request<Item & { row: Row }>("PUT", pathTo("/api/label/pictures", file), body);
      this.#finish(file, labels);
      this.#pauseMs = 500;
      this.events.saved(item);
    } catch (error) {
      if (error instanceof UnreachableError || (error instanceof RequestError && error.status >= 500)) {
        this.#unanswered.set(file, labels);
        this.events.status("offline");
        await this.#sleep();
      } else if (error instanceof RequestError && error.status === 409) {
        this.#settleConflict(file, labels, (error.body as { row: Row }).row);
      } else {
        this.drop(file);
        this.events.refused(file, error instanceof Error ? error.message : String(error));
      }
    }
  }

  #settleConflict(file: string, mine: Labels, theirs: Row): void {
    const ghost = this.#unanswered.get(file);
    this.#unanswered.delete(file);
    if (ghost && isSame(labelsFrom(theirs), ghost)) {
      // It was our own edit that got through; what came after it is sent again, on top of it.
      this.#finish(file, ghost);
      this.events.saved({ file_name: file, revision: theirs.revision, state: theirs.state, row: theirs });
      return;
    }
    const newest = this.#waiting.get(file) ?? mine;
    this.drop(file);
    this.events.conflict(file, newest, theirs);
  }

  /** Take a picture from the list, unless there is something newer of it. */
  #finish(file: string, sent: Labels): void {
    this.#unanswered.delete(file);
    if (this.#waiting.get(file) === sent) this.#waiting.delete(file);
  }

  async #sleep(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.#pauseMs);
      this.#sleeper = () => (clearTimeout(timer), resolve());
    });
    this.#sleeper = undefined;
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_WAIT_MS);
  }
}
