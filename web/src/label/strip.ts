/** The list of pictures. Only the rows in sight exist, so that a hundred thousand pictures scroll as well as ten. */

import { h, icon, put } from "../dom";
import { pathTo } from "../http";
import type { Desk } from "./desk";
import type { Filter, Order } from "./queue";
import type { Item } from "./types";

const ROW_PX = 64;
const BEYOND = 4;

const FILTERS: [Filter, string][] = [
  ["todo", "To do"],
  ["labelled", "Done"],
  ["all", "All"],
];
const ORDERS: [Order, string][] = [
  ["unsure", "Least certain first"],
  ["added", "As they came"],
  ["name", "By name"],
];

export class Strip {
  readonly element: HTMLElement;
  readonly #filters = h("div", { class: "segments", role: "group", "aria-label": "Which pictures" });
  readonly #order: HTMLSelectElement;
  readonly #list = h("div", { class: "list", role: "listbox", "aria-label": "Pictures", tabindex: "-1" });
  readonly #rows = h("div", { class: "rows" });
  #shownFile: string | null = null;
  #images = new Map<string, HTMLImageElement>();

  constructor(private readonly desk: Desk) {
    const choose = (): void => {
      desk.setOrder(this.#order.value as Order);
      this.#order.blur();
    };
    this.#order = h(
      "select",
      { "aria-label": "Order of the pictures", on: { change: choose } },
      ...ORDERS.map(([value, text]) => h("option", { value }, text)),
    );
    this.#list.append(this.#rows);
    this.#list.addEventListener("scroll", () => this.#paintRows(), { passive: true });
    this.element = h("nav", { class: "strip", "aria-label": "Pictures" }, h("header", {}, this.#filters, this.#order), this.#list);
    new ResizeObserver(() => this.#paintRows()).observe(this.#list);
  }

  paint(): void {
    const { queue, items } = this.desk;
    const counts = { all: items.size, labelled: this.desk.done, todo: items.size - this.desk.done };
    const buttons = FILTERS.map(([filter, text]) =>
      h(
        "button",
        {
          type: "button",
          "aria-pressed": String(queue.filter === filter),
          "aria-label": `${text}, ${counts[filter]} ${counts[filter] === 1 ? "picture" : "pictures"}`,
          on: { click: (event) => ((event.currentTarget as HTMLElement).blur(), this.desk.setFilter(filter)) },
        },
        text,
        h("b", {}, counts[filter]),
      ),
    );
    put(this.#filters, ...buttons);
    this.#order.value = queue.order;
    const place = queue.shown.indexOf(this.desk.file ?? "");
    if (this.desk.file !== this.#shownFile && place >= 0) {
      this.#shownFile = this.desk.file;
      const top = place * ROW_PX;
      const { scrollTop, clientHeight } = this.#list;
      if (top < scrollTop + ROW_PX || top > scrollTop + clientHeight - 2 * ROW_PX) this.#list.scrollTop = top - clientHeight / 3;
    }
    this.#paintRows();
  }

  #paintRows(): void {
    const { shown } = this.desk.queue;
    this.#rows.style.height = `${shown.length * ROW_PX}px`;
    const first = Math.max(0, Math.floor(this.#list.scrollTop / ROW_PX) - BEYOND);
    const count = Math.ceil(this.#list.clientHeight / ROW_PX) + 2 * BEYOND;
    const files = shown.slice(first, first + count);
    this.#images = new Map(files.map((file) => [file, this.#images.get(file) ?? thumbnail(file)]));
    put(this.#rows, ...files.map((file, number) => this.#paintRow(this.desk.items.get(file)!, first + number)));
    if (shown.length === 0) put(this.#rows, h("p", { class: "nothing" }, this.desk.queue.filter === "todo" ? "Nothing left to do." : "None yet."));
  }

  #paintRow(item: Item, place: number): HTMLElement {
    const isCurrent = item.file_name === this.desk.file;
    const row = h(
      "button",
      {
        type: "button",
        class: `row ${item.state}`,
        role: "option",
        tabindex: isCurrent ? "0" : "-1",
        "aria-selected": String(isCurrent),
        "aria-label": `${item.file_name}, ${stateOf(item)}`,
        title: item.file_name,
        on: { click: (event) => ((event.currentTarget as HTMLElement).blur(), void this.desk.open(item.file_name)) },
      },
      this.#images.get(item.file_name),
      h("span", { class: "about" }, h("span", { class: "name" }, item.file_name), h("span", { class: "note" }, this.#meter(item), stateOf(item))),
      item.state === "labelled" && h("span", { class: "tick" }, icon("check", 16)),
    );
    row.style.top = `${place * ROW_PX}px`;
    return row;
  }

  /** How sure the model is, as a little bar. */
  #meter(item: Item): HTMLElement | null {
    if (item.margin === null || item.state === "labelled") return null;
    const fill = h("i");
    fill.style.width = `${Math.round(12 + item.margin * 88)}%`;
    return h("span", { class: item.margin === 1 ? "meter sure" : "meter", title: `The model is ${Math.round(item.margin * 100)} % sure` }, fill);
  }
}

function thumbnail(file: string): HTMLImageElement {
  return h("img", { class: "thumbnail", alt: "", loading: "lazy", decoding: "async", draggable: "false", src: pathTo("/api/label/thumbnails", file) });
}

function stateOf(item: Item): string {
  const faces = item.faces === 1 ? "1 face" : `${item.faces} faces`;
  if (item.error) return "cannot be read";
  if (item.state === "labelled") return item.faces === 0 ? "nobody" : faces;
  if (item.margin === null && item.state === "unlabelled") return "not looked at";
  return item.is_certain ? `${faces}, certain` : faces;
}
