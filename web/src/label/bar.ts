/** The bar on top: what project this is, how far it is, what is saved, and what belongs to the whole page. */

import { button, h, put } from "../dom";
import { theme, turnTheme } from "../theme";
import type { Desk } from "./desk";
import { inWords } from "./pace";

export interface BarActions {
  showKeys: () => void;
  acceptCertain: () => void;
}

const STATUS = { saved: "Saved", saving: "Saving", offline: "Not saved: the service does not answer" };

export class Bar {
  readonly element = h("header", { class: "bar" });

  constructor(
    private readonly desk: Desk,
    private readonly actions: BarActions,
  ) {}

  paint(): void {
    const { desk } = this;
    const count = desk.items.size;
    const { done, certain, status } = desk;
    const left = count - done;
    const minutes = desk.pace.minutesFor(left);
    const fill = h("i");
    fill.style.width = `${count === 0 ? 0 : (100 * done) / count}%`;
    const meter = h("div", { class: "progress", role: "progressbar", "aria-label": "Pictures done", "aria-valuemin": 0, "aria-valuemax": count, "aria-valuenow": done }, fill);
    const time = left === 0 ? "done" : minutes === null ? `${left} left` : inWords(minutes);
    put(
      this.element,
      h("a", { class: "brand", href: "/", "aria-label": "mien, start page" }, face(), "mien"),
      h("h1", { title: desk.project.name }, desk.project.name),
      h("div", { class: "far" }, h("span", { class: "count" }, h("b", {}, done), ` of ${count}`), meter, h("span", { class: "time" }, time), desk.isLooking && h("span", { class: "looking" }, "the model is looking")),
      h("span", { class: `status ${status}` }, h("i"), STATUS[status]),
      desk.project.has_model &&
        button({ icon: "checks", name: "Accept the pictures that the model is certain of", text: certain.length > 0 ? `Accept ${certain.length} certain` : "None certain", keys: "C", isDisabled: certain.length === 0, press: this.actions.acceptCertain }),
      h(
        "div",
        { class: "group" },
        button({ icon: "undo", name: "Undo", keys: "Ctrl+Z", class: "button plain", isDisabled: !desk.canUndo, press: () => desk.undo() }),
        button({ icon: "redo", name: "Redo", keys: "Ctrl+Shift+Z", class: "button plain", isDisabled: !desk.canRedo, press: () => desk.redo() }),
      ),
      h(
        "div",
        { class: "group" },
        button({ icon: theme() === "dark" ? "sun" : "moon", name: theme() === "dark" ? "Light colours" : "Dark colours", class: "button plain", press: () => (turnTheme(), this.paint()) }),
        button({ icon: "help", name: "Show the keys", keys: "?", class: "button plain", press: this.actions.showKeys }),
      ),
    );
  }
}

function face(): HTMLElement {
  return h("i", { class: "mark" });
}
