/** The labelling page, put together. */

import { button, h, put } from "../dom";
import { toast } from "../dialog";
import { request } from "../http";
import { listenForKeys, showShortcuts } from "../keys";
import { Bar } from "./bar";
import { Desk } from "./desk";
import { askAboutConflict, askToAccept } from "./dialogs";
import { Panel } from "./panel";
import { shortcutsOf } from "./shortcuts";
import { Stage } from "./stage";
import { Strip } from "./strip";
import type { Overview } from "./types";

const POLL_MS = 2000;

export async function openLabelPage(root: HTMLElement): Promise<void> {
  const project = await request<Overview>("GET", "/api/label");
  document.title = `${project.name} - label - mien`;
  const painter = new Painter();
  const desk = new Desk(project, {
    changed: () => painter.ask(),
    opened: (picture) => stage.show(picture),
    conflict: (file, mine, theirs) => askAboutConflict(desk, file, mine, theirs),
    message: (text, kind) => toast(text, undefined, kind ?? ""),
  });
  const stage = new Stage(desk, () => painter.askStage());
  const strip = new Strip(desk);
  const panel = new Panel(desk);
  const actions = {
    acceptCertain: () => void askToAccept(desk).catch((error: Error) => toast(error.message, undefined, "bad")),
    showKeys: () => showShortcuts(shortcuts.filter((one) => one.shown.length > 0)),
  };
  const bar = new Bar(desk, actions);
  const shortcuts = shortcutsOf(desk, stage, actions);
  const notice = h("div", { class: "notice" });
  const hints = h("footer", { class: "hints", "aria-hidden": "true" });
  const view = h("div", { class: "view" });
  stage.element.append(notice, view);
  put(root, h("div", { class: "label-page" }, bar.element, strip.element, stage.element, panel.element, hints));

  painter.begin(
    () => {
      bar.paint();
      strip.paint();
      panel.paint();
      paintNotice(notice, desk);
      paintHints(hints, desk);
    },
    () => {
      stage.paint();
      paintView(view, stage);
    },
  );
  const signal = new AbortController().signal;
  listenForKeys(shortcuts, signal);
  listenForHeldKeys(stage);
  addEventListener("online", () => desk.saver.wake());
  addEventListener("beforeunload", (event) => {
    if (!desk.saver.isClean) event.preventDefault();
  });
  await desk.start();
  painter.ask();
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    if (!document.hidden) await desk.poll().catch(() => undefined);
  }
}

/** Draws at most once a frame, and leaves buttons alone while one is being pressed. */
class Painter {
  #isAsked = false;
  #isStageAsked = false;
  #isPressed = false;
  #paintRest = (): void => {};
  #paintStage = (): void => {};

  begin(paintRest: () => void, paintStage: () => void): void {
    this.#paintRest = paintRest;
    this.#paintStage = paintStage;
    const release = (): void => {
      this.#isPressed = false;
      if (this.#isAsked) requestAnimationFrame(() => this.#paint());
    };
    addEventListener("pointerdown", (event) => (this.#isPressed = !(event.target as Element).closest(".stage")), true);
    addEventListener("pointerup", () => setTimeout(release), true);
    addEventListener("pointercancel", release, true);
    this.ask();
  }

  ask(): void {
    this.#isAsked = true;
    this.askStage();
  }

  askStage(): void {
    if (this.#isStageAsked) return;
    this.#isStageAsked = true;
    requestAnimationFrame(() => this.#paint());
  }

  #paint(): void {
    if (this.#isStageAsked) {
      this.#isStageAsked = false;
      this.#paintStage();
    }
    if (!this.#isAsked || this.#isPressed) return;
    this.#isAsked = false;
    const focused = document.activeElement;
    const region = focused?.closest(".bar, .strip, .panel");
    const name = focused?.getAttribute("aria-label");
    this.#paintRest();
    if (region && name && !focused?.isConnected) {
      region.querySelector<HTMLElement>(`[aria-label="${CSS.escape(name)}"]`)?.focus({ preventScroll: true });
    }
  }
}

function listenForHeldKeys(stage: Stage): void {
  const hold = (event: KeyboardEvent, isDown: boolean): void => {
    const target = event.target as Element;
    if (target.closest?.("input, select, dialog, button") || event.ctrlKey || event.metaKey) return;
    if (event.key === " ") {
      event.preventDefault();
      stage.holdToPan(isDown);
    }
    if (event.key.toLowerCase() === "h") stage.hide(isDown);
  };
  document.addEventListener("keydown", (event) => hold(event, true));
  document.addEventListener("keyup", (event) => hold(event, false));
  addEventListener("blur", () => (stage.holdToPan(false), stage.hide(false)));
}

/** What stands in the picture's place when there is none to show. */
function paintNotice(notice: HTMLElement, desk: Desk): void {
  const { name } = desk.project;
  if (desk.items.size === 0) {
    put(notice, h("div", { class: "sheet" }, h("h2", {}, "No pictures yet"), h("p", {}, "Put some in, then load this page again:"), h("pre", {}, `mien capture ${name} --count 30\nmien data import ${name} FOLDER`)));
  } else if (desk.failure) {
    const again = button({ name: "Try again", text: "Try again", press: () => desk.file && void desk.open(desk.file) });
    const next = button({ name: "Next picture", text: "Next picture", keys: "D", class: "button main", press: () => desk.step(1) });
    put(notice, h("div", { class: "sheet" }, h("h2", {}, "This picture cannot be shown"), h("p", {}, desk.failure), h("div", { class: "pair" }, again, next)));
  } else if (desk.isFinished) {
    const count = desk.items.size;
    const look = button({ name: "Look through them", text: "Look through them", press: () => desk.setFilter("labelled") });
    put(notice, h("div", { class: "sheet" }, h("h2", {}, `${count === 1 ? "The picture is" : `All ${count} pictures are`} labelled`), h("p", {}, "Everything is saved. What comes next:"), h("pre", {}, `mien data check ${name}\nmien data split ${name}`), h("div", { class: "pair" }, look)));
  } else {
    put(notice);
  }
  notice.hidden = notice.childElementCount === 0;
}

function paintView(view: HTMLElement, stage: Stage): void {
  const text = `${stage.percent} %`;
  if (view.childElementCount > 0) {
    view.querySelector("output")!.textContent = text;
    return;
  }
  put(
    view,
    button({ icon: "minus", name: "Zoom out", keys: "-", class: "button plain", press: () => stage.zoomOut() }),
    h("output", {}, text),
    button({ icon: "plus", name: "Zoom in", keys: "+", class: "button plain", press: () => stage.zoomIn() }),
    button({ icon: "fit", name: "Whole picture", keys: "0", class: "button plain", press: () => stage.fit() }),
  );
}

function paintHints(hints: HTMLElement, desk: Desk): void {
  const { answers, face } = desk;
  const wanted: [string[], string][] = [[["Enter"], "confirm"]];
  if (desk.project.question) wanted.push(answers.length > 1 ? [["1", String(Math.min(9, answers.length))], "answer"] : [["0", "9"], "type the answer"]);
  if ((desk.picture?.faces.length ?? 0) > 1) wanted.push([["W", "S"], "faces"]);
  if (face) wanted.push([["P"], "points"], [["Del"], "delete"]);
  else wanted.push([["drag"], "new face"], [["N"], "nobody"]);
  wanted.push([["A", "D"], "pictures"], [["?"], "all keys"]);
  put(hints, ...wanted.map(([keys, text]) => h("span", {}, ...keys.map((key) => h("kbd", {}, key)), text)));
}

