/** The panel beside the picture: the question and its answers, the faces, and what finishes a picture. */

import { button, h, put, type Child } from "../dom";
import { pathTo } from "../http";
import type { Desk, Picture } from "./desk";
import type { Answer, Face } from "./types";
import { words } from "./types";

const CROP_PX = 44;

export class Panel {
  readonly element = h("aside", { class: "panel", "aria-label": "Labels of this picture" });
  readonly #question = h("section", { class: "question" });
  readonly #faces = h("section", { class: "faces" });
  readonly #end = h("section", { class: "end" });

  /** Cut-outs of the faces, kept over repaints. */
  #crops = new Map<number, HTMLElement>();

  constructor(private readonly desk: Desk) {
    this.element.append(this.#question, this.#faces, this.#end);
  }

  paint(): void {
    const { picture } = this.desk;
    this.element.classList.toggle("empty", picture === null);
    if (picture === null) {
      put(this.#question);
      put(this.#faces);
      put(this.#end);
      return;
    }
    // A number being typed keeps its field.
    if (!this.#question.contains(document.activeElement) || document.activeElement?.tagName !== "INPUT") {
      put(this.#question, ...this.#paintQuestion(picture));
    }
    const perhaps = picture.faces.filter((face) => face.isDoubtful).length;
    const sure = picture.faces.length - perhaps;
    const title = (sure === 0 ? "No faces" : sure === 1 ? "1 face" : `${sure} faces`) + (perhaps > 0 ? `, ${perhaps} perhaps` : "");
    put(this.#faces, h("h2", {}, title), ...this.#paintFaces(picture));
    put(this.#end, ...this.#paintEnd(picture));
  }

  #paintQuestion(picture: Picture): Child[] {
    const { question } = this.desk.project;
    if (question === null) return [];
    const face = this.desk.face;
    const given = face ? face.attributes[question.name] : undefined;
    const isOff = picture.faces.length === 0;
    const choices =
      question.answers.length > 0
        ? h("div", { class: "answers", role: "group", "aria-label": question.question }, ...question.answers.map((answer, number) => this.#paintAnswer(answer, number, given === answer.name, isOff)))
        : this.#paintNumber(question.unit, given, face);
    return [h("h2", {}, question.question), choices];
  }

  #paintAnswer(answer: Answer, number: number, isGiven: boolean, isOff: boolean): HTMLElement {
    const key = number < 9 ? String(number + 1) : "";
    const dot = h("i", { class: "swatch" });
    dot.style.background = answer.colour;
    const element = button({
      name: answer.text,
      keys: key,
      class: "answer",
      isPressed: isGiven,
      isDisabled: isOff,
      press: () => this.desk.answer(isGiven ? undefined : answer.name),
    });
    element.style.setProperty("--colour", answer.colour);
    element.append(dot, h("span", {}, answer.text), key && h("kbd", {}, key));
    return element;
  }

  #paintNumber(unit: string, given: string | number | undefined, face: Face | null): HTMLElement {
    const field = h("input", { type: "number", step: "any", inputmode: "decimal", "aria-label": unit, value: given ?? "", disabled: face === null });
    field.addEventListener("input", () => {
      const value = field.value.trim() === "" ? undefined : Number(field.value);
      if (value === undefined || Number.isFinite(value)) this.desk.answer(value, `number ${face?.id}`);
    });
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      field.blur();
      if (event.key === "Enter") this.desk.confirm(event.shiftKey);
    });
    return h("label", { class: "number" }, field, h("span", {}, unit));
  }

  #paintFaces(picture: Picture): Child[] {
    const ids = new Set(picture.faces.map((face) => face.id));
    for (const id of this.#crops.keys()) if (!ids.has(id)) this.#crops.delete(id);
    if (picture.faces.length > 0) return picture.faces.map((face, number) => this.#paintFace(face, number, picture));
    return [h("p", { class: "nothing" }, "Drag on the picture to draw a box around a face, or press ", h("kbd", {}, "N"), " when nobody is in it.")];
  }

  #paintFace(face: Face, number: number, picture: Picture): HTMLElement {
    const isSelected = face.id === this.desk.selected;
    const answer = this.desk.answerOf(face);
    const told = face.isIgnored ? "ignored" : face.isDoubtful ? "a face?" : answer === null ? "" : typeof answer === "string" ? answer : answer.text;
    const origin = face.by === "person" ? "yours" : face.score === null ? "suggested" : `suggested, ${Math.round(face.score * 100)} %`;
    const line = h(
      "button",
      {
        type: "button",
        class: "line",
        "aria-pressed": String(isSelected),
        "aria-label": `Face ${number + 1}${told ? `, ${told}` : ""}, ${origin}`,
        on: { click: (event) => ((event.currentTarget as HTMLElement).blur(), this.desk.select(isSelected ? null : face.id)) },
      },
      this.#crop(face, picture),
      h("span", { class: "about" }, h("span", { class: "name" }, told || (this.desk.project.question ? "no answer yet" : `face ${number + 1}`)), h("span", { class: "note" }, origin)),
      h("span", { class: "dots", "aria-hidden": "true" }, ...this.#paintDots(face)),
    );
    if (answer !== null && typeof answer !== "string") line.style.setProperty("--colour", answer.colour);
    const kind = [face.isIgnored && "ignored", face.isDoubtful && "doubtful", face.by !== "person" && "suggested", isSelected && "selected", !this.desk.isComplete(face) && "open"];
    return h("div", { class: `card ${kind.filter(Boolean).join(" ")}` }, line, isSelected && this.#paintTools(face));
  }

  /** The face, cut out of the picture by the browser. */
  #crop(face: Face, picture: Picture): HTMLElement {
    const known = this.#crops.get(face.id) ?? h("span", { class: "crop" }, h("img", { alt: "", src: pathTo("/api/label/images", picture.file), draggable: "false" }));
    this.#crops.set(face.id, known);
    const [x1, y1, x2, y2] = face.box;
    const side = Math.max(x2 - x1, y2 - y1) * 1.15;
    const scale = CROP_PX / side;
    const left = (x1 + x2 - side) / 2;
    const top = (y1 + y2 - side) / 2;
    Object.assign((known.firstElementChild as HTMLElement).style, {
      ...{ width: `${picture.width * scale}px`, height: `${picture.height * scale}px` },
      transform: `translate(${-left * scale}px, ${-top * scale}px)`,
    });
    return known;
  }

  #paintDots(face: Face): HTMLElement[] {
    return this.desk.project.keypoints.map(({ name, colour }) => {
      const dot = h("i", { title: words(name), class: name in face.keypoints ? "there" : "" });
      if (name in face.keypoints) dot.style.background = colour;
      return dot;
    });
  }

  #paintTools(face: Face): HTMLElement {
    const { desk } = this;
    return h(
      "div",
      { class: "tools" },
      face.isDoubtful && button({ name: "Take this face", text: "Take", keys: "Y", class: "button small main", press: () => desk.takeSelected() }),
      button({ name: "Place missing points", text: "Points", keys: "P", class: "button small", press: () => desk.placeNext() }),
      button({ name: "Ignore this face in training", text: "Ignore", keys: "I", class: "button small", isPressed: face.isIgnored, press: () => desk.ignoreSelected() }),
      button({ icon: "drop", name: "Delete this face", keys: "Delete", class: "button small danger", press: () => (desk.select(face.id), desk.removeSelected()) }),
    );
  }

  #paintEnd(picture: Picture): Child[] {
    const { desk } = this;
    const isDone = picture.state === "labelled";
    const advance = h("input", { type: "checkbox", id: "advance", on: { change: () => (desk.setAdvancing(advance.checked), advance.blur()) } });
    advance.checked = desk.isAdvancing;
    return [
      desk.project.question !== null && h("label", { class: "check", for: "advance" }, advance, "Go on by itself after the last answer"),
      h(
        "div",
        { class: "pair" },
        button({ name: "Nobody is in this picture", text: "Nobody", keys: "N", press: () => desk.confirmNobody() }),
        button({ icon: "check", name: isDone ? "Confirmed; go on to the next" : "Confirm and go on to the next", text: isDone ? "Next" : "Confirm", keys: "\u23ce", class: "button main", press: () => desk.confirm() }),
      ),
    ];
  }
}
