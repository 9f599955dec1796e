/** What the labelling page asks: the pictures to accept, and what to do about a conflict. */

import { h } from "../dom";
import { openDialog, toast } from "../dialog";
import { pathTo } from "../http";
import type { Desk } from "./desk";
import type { Item, Labels, Row } from "./types";

const MOST_SHOWN = 60;

/** Show the pictures that the model is certain of, so that a person sees what they accept. */
export function askToAccept(desk: Desk): void {
  const certain = desk.certain;
  if (certain.length === 0) {
    toast("There is no picture that the model is certain of.");
    return;
  }
  const left = new Set(certain.map((item) => item.file_name));
  const accept = async (): Promise<void> => {
    const chosen = certain.filter((item) => left.has(item.file_name));
    const count = await desk.acceptCertain(chosen);
    if (count > 0) toast(`${count} accepted.`, { text: "Undo", run: () => desk.undo() });
  };
  const shown = certain.slice(0, MOST_SHOWN).map((item) => tile(item, left));
  const more = certain.length - shown.length;
  const what = desk.project.question ? "Every face in them has its answer" : "It sees these faces and nothing doubtful beside them";
  openDialog({
    title: `Accept ${certain.length} ${certain.length === 1 ? "picture" : "pictures"}?`,
    class: "accept",
    content: [
      h("p", {}, `${what}. A click leaves a picture out; you can undo all of it.`),
      h("div", { class: "tiles" }, ...shown),
      more > 0 && h("p", { class: "note" }, `and ${more} more`),
    ],
    choices: [{ text: "Not now" }, { text: "Accept", isMain: true, run: accept }],
  });
}

function tile(item: Item, left: Set<string>): HTMLElement {
  const text = item.faces === 0 ? "nobody" : item.faces === 1 ? "1 face" : `${item.faces} faces`;
  const press = (): void => {
    if (!left.delete(item.file_name)) left.add(item.file_name);
    element.setAttribute("aria-pressed", String(left.has(item.file_name)));
  };
  const image = h("img", { alt: "", loading: "lazy", src: pathTo("/api/label/thumbnails", item.file_name) });
  const element = h("button", { type: "button", class: "tile", "aria-pressed": "true", "aria-label": `${item.file_name}, ${text}`, title: item.file_name, on: { click: press } }, image, h("span", {}, text));
  return element;
}

/** Somebody else has changed the picture: nothing is overwritten until the person says so. */
export function askAboutConflict(desk: Desk, file: string, mine: Labels, theirs: Row): void {
  const told = (count: number, state: string): string => `${count === 1 ? "1 face" : `${count} faces`}, ${state}`;
  openDialog({
    title: "Changed in another window",
    class: "conflict",
    isInsistent: true,
    content: [
      h("p", {}, h("b", {}, file), " was changed elsewhere while you worked on it. Nothing was overwritten."),
      h(
        "dl",
        {},
        h("div", {}, h("dt", {}, "There"), h("dd", {}, told(theirs.faces?.length ?? 0, theirs.state))),
        h("div", {}, h("dt", {}, "Here"), h("dd", {}, told(mine.faces.filter((face) => !face.isDoubtful).length, mine.state))),
      ),
    ],
    choices: [
      { text: "Keep what is here", run: () => desk.keepMine(file, mine, theirs) },
      { text: "Take what is there", isMain: true, run: () => desk.takeTheirs(file, theirs) },
    ],
  });
}
