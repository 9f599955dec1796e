/** Every key of the labelling page. The overlay that `?` opens is made of this table. */

import type { Shortcut } from "../keys";
import type { Desk } from "./desk";
import { tidyBox, clampPoint, moveFace } from "./geometry";
import type { Stage } from "./stage";
import type { Point } from "./types";
import { words } from "./types";

export interface PageActions {
  acceptCertain: () => void;
  showKeys: () => void;
}

export function shortcutsOf(desk: Desk, stage: Stage, actions: PageActions): Shortcut[] {
  const { question } = desk.project;
  return [
    { group: "Pictures", keys: ["Enter"], shown: ["Enter"], does: "Confirm and go on to the next", run: () => desk.confirm() },
    { group: "Pictures", keys: ["Shift+Enter"], shown: ["Shift", "Enter"], does: "Confirm although an answer is missing", run: () => desk.confirm(true) },
    { group: "Pictures", keys: ["n"], shown: ["N"], does: "Nobody is in this picture", run: () => desk.confirmNobody() },
    { group: "Pictures", keys: ["d", "PageDown"], shown: ["D"], does: "Next picture", run: () => desk.step(1) },
    { group: "Pictures", keys: ["a", "PageUp"], shown: ["A"], does: "Picture before", run: () => desk.step(-1) },
    { group: "Pictures", keys: ["c"], shown: ["C"], does: "Accept the pictures that the model is certain of", run: actions.acceptCertain },
    { group: "Pictures", keys: ["Control+z"], shown: ["Ctrl", "Z"], does: "Undo", run: () => desk.undo() },
    { group: "Pictures", keys: ["Control+Shift+z", "Control+y"], shown: ["Ctrl", "Shift", "Z"], does: "Redo", run: () => desk.redo() },
    ...answerKeys(desk),
    { group: "Faces", keys: ["s"], shown: ["S"], does: "Next face", run: () => desk.cycle(1) },
    { group: "Faces", keys: ["w"], shown: ["W"], does: "Face before", run: () => desk.cycle(-1) },
    { group: "Faces", keys: ["b"], shown: ["B"], does: "New face at the pointer; or drag on the picture", run: () => addFace(desk, stage) },
    { group: "Faces", keys: ["y"], shown: ["Y"], does: "Take a suggested face as it is", run: () => desk.takeSelected() },
    ...(question ? [{ group: "Faces", keys: ["r"], shown: ["R"], does: "Take the answer back", run: () => desk.answer(undefined) }] : []),
    { group: "Faces", keys: ["i"], shown: ["I"], does: "Ignore this face in training", run: () => desk.ignoreSelected() },
    { group: "Faces", keys: ["Delete", "Backspace"], shown: ["Delete"], does: "Delete the face, or the selected point", run: () => desk.removeSelected() },
    { group: "Boxes and points", keys: ["p"], shown: ["P"], does: "Place the points that are missing", run: () => desk.placeNext() },
    { group: "Boxes and points", keys: ["x"], shown: ["X"], does: "Skip a point that cannot be seen", run: () => desk.placing && desk.placeNext(desk.placing) },
    { group: "Boxes and points", keys: ["k"], shown: ["K"], does: "Select the next point", run: () => nextPoint(desk) },
    ...arrows(desk),
    { group: "Boxes and points", keys: [], shown: ["Arrows"], does: "Move the selected box or point; with Shift ten times as far" },
    { group: "Boxes and points", keys: [], shown: ["Alt", "Arrows"], does: "Make the box larger or smaller" },
    { group: "View", keys: ["+", "="], shown: ["+"], does: "Zoom in; or turn the wheel", run: () => stage.zoomIn() },
    { group: "View", keys: ["-"], shown: ["-"], does: "Zoom out", run: () => stage.zoomOut() },
    { group: "View", keys: ["0"], shown: ["0"], does: "Whole picture", run: () => stage.fit() },
    { group: "View", keys: ["z"], shown: ["Z"], does: "Zoom to the face and back", run: () => stage.zoomToFace() },
    { group: "View", keys: [], shown: ["Space", "drag"], does: "Move the picture; or drag with the right button" },
    { group: "View", keys: [], shown: ["H"], does: "Hide the labels while held" },
    { group: "View", keys: ["Escape"], shown: ["Esc"], does: "Stop placing points; select nothing", run: () => (desk.placing ? desk.stopPlacing() : desk.select(null)) },
    { group: "View", keys: ["?"], shown: ["?"], does: "Show these keys", run: actions.showKeys },
  ];
}

function answerKeys(desk: Desk): Shortcut[] {
  const { question } = desk.project;
  if (question === null) return [];
  if (question.answers.length === 0) {
    const keys = [..."0123456789"];
    const focus = (event: KeyboardEvent): void => {
      const field = document.querySelector<HTMLInputElement>(".number input:enabled");
      if (field === null) return;
      field.focus();
      field.value = event.key;
      field.dispatchEvent(new Event("input"));
    };
    return [{ group: "Faces", keys, shown: ["0", "9"], does: `Type the answer: ${words(question.name)}`, run: focus }];
  }
  return question.answers.slice(0, 9).map((answer, number) => ({
    ...{ group: "Faces", keys: [String(number + 1)], shown: [String(number + 1)], does: `Answer: ${answer.text}` },
    run: () => desk.answer(answer.name),
  }));
}

function addFace(desk: Desk, stage: Stage): void {
  const box = stage.boxAtPointer();
  if (box) desk.addFace(box);
}

function nextPoint(desk: Desk): void {
  const face = desk.face;
  if (face === null) return;
  const names = desk.project.keypoints.map((one) => one.name).filter((name) => name in face.keypoints);
  const place = desk.selectedPoint === null ? -1 : names.indexOf(desk.selectedPoint);
  desk.select(face.id, names[place + 1] ?? null);
}

function arrows(desk: Desk): Shortcut[] {
  const steps: Record<string, Point> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  return Object.entries(steps).map(([key, [dx, dy]]) => ({
    ...{ group: "", keys: [key, `Shift+${key}`, `Alt+${key}`, `Alt+Shift+${key}`], shown: [], does: "" },
    run: (event) => {
      const far = event.shiftKey ? 10 : 1;
      nudge(desk, [dx * far, dy * far], event.altKey);
    },
  }));
}

function nudge(desk: Desk, [dx, dy]: Point, isResizing: boolean): void {
  const { face, picture, selectedPoint } = desk;
  if (face === null || picture === null) return;
  const mark = `${isResizing ? "resize" : "move"} ${face.id} ${selectedPoint ?? ""}`;
  desk.edit(() => {
    const point = selectedPoint === null ? undefined : face.keypoints[selectedPoint];
    if (point && selectedPoint !== null) desk.movePoint(face, selectedPoint, clampPoint([point[0] + dx, point[1] + dy], picture));
    else if (isResizing) face.box = tidyBox([face.box[0], face.box[1], face.box[2] + dx, face.box[3] + dy], picture);
    else moveFace(face, [dx, dy], picture);
    desk.touch(face);
  }, mark);
}
