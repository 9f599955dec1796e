/** What the labelling page asks: the pictures to accept, and what to do about a conflict. */

import { h, s } from "../dom";
import { openDialog, toast } from "../dialog";
import { pathTo, request } from "../http";
import type { Desk } from "./desk";
import type { CertainItem, Labels, Row } from "./types";

const MOST_SHOWN = 60;

/** Show the pictures that the model is certain of, so that a person sees what they accept. */
export async function askToAccept(desk: Desk): Promise<void> {
  await desk.saver.settle();
  const certain = await request<CertainItem[]>("GET", "/api/label/certain");
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

function tile(item: CertainItem, left: Set<string>): HTMLElement {
  const { file_name: file, width, height } = item;
  const text = item.faces === 1 ? "1 face" : `${item.faces} faces`;
  const press = (): void => {
    if (!left.delete(file)) left.add(file);
    element.setAttribute("aria-pressed", String(left.has(file)));
  };
  const boxes = item.boxes.map(([x1, y1, x2, y2]) => s("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1 }));
  const picture = s(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "xMidYMid meet", "aria-hidden": "true" },
    s("image", { href: pathTo("/api/label/thumbnails", file), width, height }),
    ...boxes,
  );
  const element = h("button", { type: "button", class: "tile", "aria-pressed": "true", "aria-label": `${file}, ${text}`, title: file, on: { click: press } }, picture, h("span", {}, text));
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
