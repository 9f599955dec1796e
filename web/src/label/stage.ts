/** The picture with its faces: drawing them, and working on them with the pointer. */

import { h, put, s } from "../dom";
import { pathTo } from "../http";
import type { Desk, Picture } from "./desk";
import {
  area,
  clampPoint,
  fitView,
  HANDLES,
  handlePlace,
  moveFace,
  resizeBox,
  tidyBox,
  toPicture,
  toScreen,
  zoomView,
  type Handle,
  type Size,
  type View,
} from "./geometry";
import { copyLabels, words, type Box, type Face, type Labels, type Point } from "./types";

/** Screen pixels that the pointer moves before a press becomes a drag. */
const SLACK = 4;
const LEAST_NEW = 8;
const ZOOM_STEP = 1.25;

interface Drag {
  start: Point;
  last: Point;
  isMoving: boolean;
  move: (place: Point, step: Point) => void;
  end: (place: Point, isMoved: boolean) => void;
}

export class Stage {
  readonly element: HTMLElement;
  readonly #image = h("img", { alt: "", draggable: "false" });
  readonly #layer = s("svg", { class: "layer", role: "group", "aria-label": "Faces in this picture" });
  readonly #banner = h("div", { class: "banner" });
  #view: View = { scale: 1, x: 0, y: 0 };
  #drag: Drag | null = null;
  #draft: Box | null = null;
  #pointer: Point = [0, 0];
  #isHidden = false;
  #isPanning = false;
  #isFitted = true;

  constructor(
    private readonly desk: Desk,
    private readonly repaint: () => void,
  ) {
    this.element = h("main", { class: "stage", tabindex: "-1", "aria-label": "Picture" }, this.#image, this.#layer, this.#banner);
    this.#listen();
    new ResizeObserver(() => {
      if (this.#isFitted) this.fit();
      else this.repaint();
    }).observe(this.element);
  }

  // --- view ------------------------------------------------------------------------------------------------------

  get size(): Size {
    return { width: this.element.clientWidth, height: this.element.clientHeight };
  }

  show(picture: Picture): void {
    this.#image.classList.remove("there");
    this.#image.src = pathTo("/api/label/images", picture.file);
    this.#image.alt = picture.file;
    this.fit();
  }

  fit(): void {
    const picture = this.desk.picture;
    if (picture) this.#view = this.#fitted(picture);
    this.#isFitted = true;
    this.repaint();
  }

  #fitted(picture: Size): View {
    return fitView([0, 0, picture.width, picture.height], this.size, 28, 8);
  }

  /** Show the selected face large; a second time the whole picture again. */
  zoomToFace(): void {
    const face = this.desk.face;
    if (face === null || !this.#isFitted) {
      this.fit();
      return;
    }
    const [x1, y1, x2, y2] = face.box;
    const room = 0.6 * Math.max(x2 - x1, y2 - y1);
    this.#view = fitView([x1 - room, y1 - room, x2 + room, y2 + room], this.size, 28, Math.max(8, 1.5 * this.#view.scale));
    this.#isFitted = false;
    this.repaint();
  }

  zoom(factor: number, at: Point = [this.size.width / 2, this.size.height / 2]): void {
    const picture = this.desk.picture;
    if (picture === null) return;
    const least = this.#fitted(picture).scale / 2;
    this.#view = zoomView(this.#view, factor, at, least);
    this.#isFitted = false;
    this.repaint();
  }

  zoomIn(): void {
    this.zoom(ZOOM_STEP);
  }

  zoomOut(): void {
    this.zoom(1 / ZOOM_STEP);
  }

  get percent(): number {
    return Math.round(this.#view.scale * 100);
  }

  hide(isHidden: boolean): void {
    this.#isHidden = isHidden;
    this.repaint();
  }

  holdToPan(isPanning: boolean): void {
    this.#isPanning = isPanning;
    this.element.classList.toggle("panning", isPanning);
  }

  /** Where the pointer is, in pixels of the picture. */
  get pointer(): Point {
    return toPicture(this.#view, this.#pointer);
  }

  /** A box for a new face around the pointer, or in the middle when the pointer is elsewhere. */
  boxAtPointer(): Box | null {
    const picture = this.desk.picture;
    if (picture === null) return null;
    let [x, y] = this.pointer;
    if (x < 0 || y < 0 || x > picture.width || y > picture.height) [x, y] = [picture.width / 2, picture.height / 2];
    const side = Math.min(120 / this.#view.scale, Math.min(picture.width, picture.height) / 2);
    return tidyBox([x - side / 2, y - side * 0.6, x + side / 2, y + side * 0.6], picture);
  }

  // --- pointer ---------------------------------------------------------------------------------------------------

  #place(event: MouseEvent): Point {
    const frame = this.element.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  }

  #listen(): void {
    this.#image.addEventListener("load", () => this.#image.classList.add("there"));
    this.element.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        const rate = event.ctrlKey ? 0.01 : event.deltaMode === 1 ? 0.06 : 0.002;
        this.zoom(Math.exp(-event.deltaY * rate), this.#place(event));
      },
      { passive: false },
    );
    this.element.addEventListener("pointerdown", (event) => this.#press(event));
    this.element.addEventListener("pointermove", (event) => {
      this.#pointer = this.#place(event);
      this.#move();
    });
    const release = (event: PointerEvent): void => {
      const drag = this.#drag;
      this.#drag = null;
      this.desk.isHeld = false;
      if (drag === null) return;
      this.element.releasePointerCapture(event.pointerId);
      drag.end(toPicture(this.#view, this.#place(event)), drag.isMoving);
      this.repaint();
    };
    this.element.addEventListener("pointerup", release);
    this.element.addEventListener("pointercancel", release);
    this.element.addEventListener("contextmenu", (event) => event.preventDefault());
    this.element.addEventListener("dblclick", (event) => {
      if ((event.target as Element).closest(".face")) this.zoomToFace();
    });
  }

  #move(): void {
    const drag = this.#drag;
    if (drag === null) {
      if (this.desk.placing) this.repaint();
      return;
    }
    const [x, y] = this.#pointer;
    if (!drag.isMoving && Math.hypot(x - drag.start[0], y - drag.start[1]) < SLACK) return;
    const step: Point = [(x - drag.last[0]) / this.#view.scale, (y - drag.last[1]) / this.#view.scale];
    drag.isMoving = true;
    drag.last = [x, y];
    drag.move(toPicture(this.#view, [x, y]), step);
    this.repaint();
  }

  #press(event: PointerEvent): void {
    const picture = this.desk.picture;
    const target = event.target as Element;
    if (picture === null || target.closest(".banner")) return;
    event.preventDefault();
    (document.activeElement as HTMLElement | null)?.blur?.();
    this.#pointer = this.#place(event);
    const face = picture.faces.find((one) => String(one.id) === target.closest<SVGElement>("[data-face]")?.dataset.face);
    const { handle, point } = (target as SVGElement).dataset;
    if (event.button === 1 || event.button === 2 || this.#isPanning || event.altKey) this.#begin(event, this.#panning());
    else if (event.button !== 0) return;
    else if (this.desk.placing && this.desk.face) this.#placePoint(this.desk.face, picture);
    else if (face && handle) this.#begin(event, this.#resizing(face, handle as Handle, picture));
    else if (face && point) this.#begin(event, this.#pointing(face, point, picture));
    else if (face) this.#begin(event, this.#moving(face, picture));
    else this.#begin(event, this.#drawing(picture));
  }

  #begin(event: PointerEvent, drag: Pick<Drag, "move" | "end">): void {
    this.element.setPointerCapture(event.pointerId);
    this.desk.isHeld = true;
    this.#drag = { ...drag, start: this.#pointer, last: this.#pointer, isMoving: false };
  }

  #panning(): Pick<Drag, "move" | "end"> {
    return {
      move: (_, [dx, dy]) => {
        const { scale, x, y } = this.#view;
        this.#view = { scale, x: x + dx * scale, y: y + dy * scale };
        this.#isFitted = false;
      },
      end: () => {},
    };
  }

  /** A drag that changes a face; one step to undo, however many moves it had. */
  #changing(face: Face, move: (place: Point, step: Point) => void, point: string | null = null): Pick<Drag, "move" | "end"> {
    let before: Labels | null = null;
    this.desk.select(face.id, point);
    return {
      move: (place, step) => {
        before ??= copyLabels(this.desk.picture!);
        move(place, step);
      },
      end: () => {
        if (before === null) return;
        this.desk.touch(face);
        this.desk.commit(before);
      },
    };
  }

  #moving(face: Face, picture: Size): Pick<Drag, "move" | "end"> {
    return this.#changing(face, (_, step) => moveFace(face, step, picture));
  }

  #resizing(face: Face, handle: Handle, picture: Size): Pick<Drag, "move" | "end"> {
    let raw = face.box;
    return this.#changing(face, (_, step) => {
      raw = resizeBox(raw, handle, step);
      face.box = tidyBox(raw, picture);
    });
  }

  #pointing(face: Face, name: string, picture: Size): Pick<Drag, "move" | "end"> {
    return this.#changing(face, (place) => this.desk.movePoint(face, name, clampPoint(place, picture)), name);
  }

  #placePoint(face: Face, picture: Size): void {
    const name = this.desk.placing!;
    this.desk.edit(() => this.desk.movePoint(face, name, clampPoint(this.pointer, picture)));
    this.desk.placeNext(name);
  }

  #drawing(picture: Size): Pick<Drag, "move" | "end"> {
    const start = clampPoint(this.pointer, picture);
    return {
      move: (place) => {
        this.#draft = tidyBox([...start, ...clampPoint(place, picture)], picture);
      },
      end: (_, isMoved) => {
        const box = this.#draft;
        this.#draft = null;
        const least = LEAST_NEW / this.#view.scale;
        if (box && isMoved && box[2] - box[0] >= least && box[3] - box[1] >= least) this.desk.addFace(box);
        else this.desk.select(null);
      },
    };
  }

  // --- drawing ---------------------------------------------------------------------------------------------------

  paint(): void {
    const picture = this.desk.picture;
    const { scale, x, y } = this.#view;
    this.#image.hidden = picture === null;
    this.element.classList.toggle("placing", this.desk.placing !== null);
    if (picture === null) {
      put(this.#layer);
      put(this.#banner);
      return;
    }
    Object.assign(this.#image.style, {
      width: `${picture.width}px`,
      height: `${picture.height}px`,
      transform: `translate(${x}px, ${y}px) scale(${scale})`,
      imageRendering: scale > 4 ? "pixelated" : "auto",
    });
    const inOrder = [...picture.faces].sort((one, other) => area(other.box) - area(one.box));
    inOrder.sort((one, other) => Number(one.id === this.desk.selected) - Number(other.id === this.desk.selected));
    const faces = this.#isHidden ? [] : inOrder.map((face) => this.#paintFace(face, picture));
    put(this.#layer, ...faces, this.#draft && this.#paintBox(this.#draft, "draft"), this.#paintCross());
    this.#paintBanner();
  }

  #paintBox(box: Box, kind: string): SVGRectElement {
    const [x1, y1] = toScreen(this.#view, [box[0], box[1]]);
    const [x2, y2] = toScreen(this.#view, [box[2], box[3]]);
    return s("rect", { class: kind, x: x1, y: y1, width: Math.max(0, x2 - x1), height: Math.max(0, y2 - y1), rx: 3 });
  }

  #paintFace(face: Face, picture: Picture): SVGGElement {
    const isSelected = face.id === this.desk.selected;
    const answer = this.desk.answerOf(face);
    const number = picture.faces.indexOf(face) + 1;
    const told = answer === null ? "" : typeof answer === "string" ? answer : answer.text;
    const kind = face.isIgnored ? "ignored" : face.isDoubtful ? "doubtful" : face.by === "person" ? "mine" : "suggested";
    const origin = { ignored: "ignored", doubtful: "perhaps a face", mine: "by a person", suggested: "suggested" }[kind];
    const name = [`Face ${number}`, told || (this.desk.isComplete(face) ? "" : "no answer"), origin].filter(Boolean).join(", ");
    const group = s("g", { class: `face ${kind} ${isSelected ? "selected" : ""}`, "data-face": face.id, role: "img", "aria-label": name });
    if (answer !== null && typeof answer !== "string") group.style.setProperty("--colour", answer.colour);
    group.append(this.#paintBox(face.box, "halo"), this.#paintBox(face.box, "box"));
    const label = face.isIgnored ? "ignored" : face.isDoubtful ? "a face?" : told || (this.desk.project.question ? "?" : String(number));
    const score = face.score !== null && face.by !== "person" ? ` ${Math.round(face.score * 100)}` : "";
    if (isSelected || !this.#isSmall(face)) group.append(this.#paintLabel(face.box, label + score));
    const points = face.isDoubtful && !isSelected ? [] : Object.entries(face.keypoints);
    for (const [point, place] of points) group.append(this.#paintPoint(face, point, place, isSelected));
    if (isSelected) {
      for (const handle of HANDLES) {
        const [hx, hy] = toScreen(this.#view, handlePlace(face.box, handle));
        const corner = handle.length === 2;
        const half = corner ? 5 : 4;
        const place = { x: hx - half, y: hy - half, width: 2 * half, height: 2 * half, rx: corner ? 3 : 4 };
        group.append(s("rect", { class: `handle ${handle}`, "data-handle": handle, ...place }));
      }
    }
    return group;
  }

  #isSmall(face: Face): boolean {
    return (face.box[2] - face.box[0]) * this.#view.scale < 26;
  }

  #paintLabel(box: Box, text: string): SVGGElement {
    const [x, y] = toScreen(this.#view, [box[0], box[1]]);
    const width = 14 + text.length * 7.1;
    const top = y > 24 ? y - 23 : y + 4;
    return s(
      "g",
      { class: "label", transform: `translate(${x}, ${top})` },
      s("rect", { width, height: 19, rx: 5 }),
      s("text", { x: width / 2, y: 13.5, "text-anchor": "middle" }, text),
    );
  }

  #paintPoint(face: Face, name: string, place: Point, isSelected: boolean): SVGGElement {
    const [x, y] = toScreen(this.#view, place);
    const isChosen = isSelected && this.desk.selectedPoint === name;
    const radius = isSelected ? (isChosen ? 6 : 4.5) : 2.6;
    const group = s("g", { class: `point ${isChosen ? "chosen" : ""}` });
    group.style.setProperty("--point", this.desk.pointColour(name));
    group.append(s("circle", { class: "dot", cx: x, cy: y, r: radius }));
    if (isSelected) {
      const grip = s("circle", { class: "grip", cx: x, cy: y, r: 10, "data-point": name, "data-face": face.id });
      grip.append(s("title", {}, words(name)));
      group.append(grip);
    }
    return group;
  }

  #paintCross(): SVGGElement | null {
    if (!this.desk.placing) return null;
    const [x, y] = this.#pointer;
    const { width, height } = this.size;
    const lines = [
      { x1: 0, x2: width, y1: y, y2: y },
      { x1: x, x2: x, y1: 0, y2: height },
    ];
    return s("g", { class: "cross" }, ...lines.map((line) => s("line", line)));
  }

  #paintBanner(): void {
    const name = this.desk.placing;
    if (name === null) {
      put(this.#banner);
      return;
    }
    const dot = h("i", { class: "swatch" });
    dot.style.background = this.desk.pointColour(name);
    const own = name.includes("left") || name.includes("right") ? "the person's own side" : "";
    put(
      this.#banner,
      h("div", { class: "pill" }, dot, h("b", {}, `Click the ${words(name)}`), own && h("span", {}, own), h("kbd", {}, "X"), "skip", h("kbd", {}, "Esc"), "stop"),
    );
  }
}
