/** Dialogs: the browser's own, so that focus, Escape and screen readers work. */

import { button, h, type Child } from "./dom";

export interface Choice {
  text: string;
  isMain?: boolean;
  isDanger?: boolean;
  isDisabled?: boolean;
  run?: () => void | Promise<void>;
}

export interface DialogOptions {
  title: string;
  class?: string | undefined;
  content: Child[];
  choices?: Choice[];
  /** Must be answered: Escape does not close it. */
  isInsistent?: boolean;
}

export function openDialog(options: DialogOptions): HTMLDialogElement {
  const choices = options.choices ?? [];
  const title = h("h2", { id: "dialog-title" }, options.title);
  const close = button({ icon: "cross", name: "Close", keys: "Esc", class: "button plain", press: () => dialog.close() });
  const dialog = h(
    "dialog",
    { class: options.class, "aria-labelledby": "dialog-title" },
    h("header", {}, title, !options.isInsistent && close),
    h("div", { class: "body" }, ...options.content),
    choices.length > 0 &&
      h(
        "footer",
        {},
        ...choices.map((choice) =>
          h(
            "button",
            {
              type: "button",
              class: `button ${choice.isMain ? "main" : ""} ${choice.isDanger ? "danger" : ""}`,
              autofocus: choice.isMain,
              disabled: choice.isDisabled,
              on: {
                click: () => {
                  dialog.close();
                  void choice.run?.();
                },
              },
            },
            choice.text,
          ),
        ),
      ),
  );
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("cancel", (event) => {
    if (options.isInsistent) event.preventDefault();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog && !options.isInsistent) dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

let toastBox: HTMLElement | undefined;

/** A line that shows for a while, with at most one thing to do about it. */
export function toast(text: string, choice?: { text: string; run: () => void }, kind: "" | "bad" = ""): void {
  if (toastBox === undefined) {
    toastBox = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
    document.body.append(toastBox);
  }
  const line = h("div", { class: `toast ${kind}` }, h("span", {}, text));
  const remove = (): void => line.remove();
  if (choice) {
    line.append(
      button({ name: choice.text, text: choice.text, class: "button small", press: () => (remove(), choice.run()) }),
    );
  }
  toastBox.replaceChildren(line);
  setTimeout(remove, choice ? 9000 : 4500);
}
