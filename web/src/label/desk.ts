/** The state of the labelling page: the project, the picture on the table, and everything that can be done to it. */

import { announce } from "../dom";
import { pathTo, request, RequestError } from "../http";
import { recall, remember } from "../memory";
import { overlap } from "./geometry";
import { Pace } from "./pace";
import { Queue, type Filter, type Order } from "./queue";
import { Saver, type SaveStatus } from "./saver";
import {

  copyLabels,
  faceFrom,
  isSame,
  labelsFrom,
  newId,
  words,
  type Answer,
  type Box,
  type Face,
  type Item,
  type Labels,
  type Overview,
  type PictureAnswer,
  type Point,
  type Row,
} from "./types";

export interface Picture extends Labels {
  file: string;
  width: number;
  height: number;
}

interface Change {
  file: string;
  before: Labels;
  after: Labels;
}

interface Step {
  changes: Change[];
  /** Steps with the same mark that follow quickly are one, such as pressing an arrow key ten times. */
  mark: string;
  time: number;
}

export interface DeskEvents {
  /** Something to be drawn again. */
  changed: () => void;
  /** Another picture is on the table. */
  opened: (picture: Picture) => void;
  conflict: (file: string, mine: Labels, theirs: Row) => void;
  message: (text: string, kind?: "bad") => void;
}

const MOST_STEPS = 500;
const SAME_STEP_MS = 800;
const SAME_FACE = 0.3;

export class Desk {
  readonly items = new Map<string, Item>();
  readonly queue = new Queue(this.items);
  readonly pace = new Pace();
  readonly saver: Saver;
  picture: Picture | null = null;
  /** Why the picture on the table cannot be shown. */
  failure = "";
  selected: number | null = null;
  selectedPoint: string | null = null;
  /** The keypoint that the next click places. */
  placing: string | null = null;
  status: SaveStatus = "saved";
  isLooking = false;
  isAdvancing = recall("advance") === "yes";
  isFinished = false;
  /** While something is dragged, the picture is not exchanged under the hand. */
  isHeld = false;
  #file: string | null = null;
  /** What this page last saw of each picture it opened. The service refuses to save over anything newer. */
  #revisions = new Map<string, number>();
  #count: number;
  #undo: Step[] = [];
  #redo: Step[] = [];
  #ahead = new Map<string, Promise<PictureAnswer>>();

  constructor(
    readonly project: Overview,
    private readonly events: DeskEvents,
  ) {
    this.#count = project.count;
    for (const item of project.pictures) this.items.set(item.file_name, item);
    this.saver = new Saver({
      revision: (file) => this.#revisions.get(file) ?? 0,
      saved: (item) => this.#merge(item),
      conflict: (file, mine, theirs) => {
        this.#forget(file);
        this.events.conflict(file, mine, theirs);
      },
      refused: (file, message) => {
        this.#forget(file);
        this.events.message(`Not saved. ${message}`, "bad");
        if (file === this.#file) void this.open(file);
      },
      status: (status) => {
        this.status = status;
        this.events.changed();
      },
    });
    this.queue.rebuild(null);
  }

  // --- what there is ---------------------------------------------------------------------------------------------

  get file(): string | null {
    return this.#file;
  }

  get face(): Face | null {
    return this.picture?.faces.find((face) => face.id === this.selected) ?? null;
  }

  get answers(): Answer[] {
    return this.project.question?.answers ?? [];
  }

  get done(): number {
    let count = 0;
    for (const item of this.items.values()) if (item.state === "labelled") count += 1;
    return count;
  }

  get certain(): Item[] {
    return [...this.items.values()].filter((item) => item.is_certain && item.state !== "labelled");
  }

  get canUndo(): boolean {
    return this.#undo.length > 0;
  }

  get canRedo(): boolean {
    return this.#redo.length > 0;
  }

  pointColour(name: string): string {
    return this.project.keypoints.find((one) => one.name === name)?.colour ?? "#ffffff";
  }

  answerOf(face: Face): Answer | string | null {
    const question = this.project.question;
    const given = question ? face.attributes[question.name] : undefined;
    if (given === undefined) return null;
    return this.answers.find((answer) => answer.name === given) ?? String(given);
  }

  /** Whether everything is known of a face that the project asks for. */
  isComplete(face: Face): boolean {
    if (face.isIgnored || face.isDoubtful) return true;
    if (this.project.task === "keypoints" && Object.keys(face.keypoints).length === 0) return false;
    return this.project.question === null || this.answerOf(face) !== null;
  }

  // --- opening ---------------------------------------------------------------------------------------------------

  async start(): Promise<void> {
    const first = this.queue.nextToDo(null) ?? this.queue.shown[0] ?? null;
    if (first === null && this.items.size > 0) this.setFilter("all");
    else if (first !== null) await this.open(first);
  }

  async open(file: string): Promise<void> {
    this.#file = file;
    this.failure = "";
    this.isFinished = false;
    this.queue.visit(file);
    this.select(null);
    this.placing = null;
    this.events.changed();
    let answer: PictureAnswer;
    try {
      const waiting = this.saver.pending(file);
      answer = await (this.#ahead.get(file) ?? this.#fetch(file));
      this.#ahead.delete(file);
      if (this.#file !== file) return;
      this.#merge(answer);
      this.picture = this.#lay(answer, waiting);
    } catch (error) {
      this.#ahead.delete(file);
      if (this.#file !== file) return;
      this.picture = null;
      this.failure = error instanceof RequestError ? error.message : "The service does not answer. Is it still running?";
      this.events.changed();
      return;
    }
    this.select(this.#firstOpen()?.id ?? null);
    this.events.opened(this.picture);
    this.events.changed();
    const count = this.picture.faces.length;
    announce(`${file}, ${count} ${count === 1 ? "face" : "faces"}`);
    this.#prefetch();
  }

  #fetch(file: string): Promise<PictureAnswer> {
    return request<PictureAnswer>("GET", pathTo("/api/label/pictures", file));
  }

  /** Have the next picture ready before it is asked for. */
  #prefetch(): void {
    const next = this.queue.nextToDo(this.#file);
    this.#ahead.clear();
    if (next === null) return;
    const answer = this.#fetch(next);
    answer.catch(() => this.#ahead.delete(next));
    this.#ahead.set(next, answer);
    new Image().src = pathTo("/api/label/images", next);
  }

  #lay(answer: PictureAnswer, waiting: Labels | undefined): Picture {
    const { file_name: file, width, height, row } = answer;
    const labels = waiting ? copyLabels(waiting) : labelsFrom(row);
    if (!waiting && labels.isFresh) labels.faces = answer.suggestions.map((entry) => faceFrom(entry));
    if (labels.state !== "labelled") {
      const doubtful = answer.doubtful.map((entry) => faceFrom(entry, true));
      labels.faces.push(...doubtful.filter((one) => labels.faces.every((face) => overlap(face.box, one.box) < SAME_FACE)));
    }
    return { ...labels, file, width, height };
  }

  #firstOpen(): Face | undefined {
    const faces = this.picture?.faces.filter((face) => !face.isDoubtful) ?? [];
    return faces.find((face) => !this.isComplete(face)) ?? (faces.length === 1 ? faces[0] : undefined);
  }

  #merge(news: Partial<Item> & { row?: Row }): void {
    const file = news.file_name ?? news.row?.file_name;
    const old = file === undefined ? undefined : this.items.get(file);
    if (old === undefined) return;
    if (news.row) this.#revisions.set(old.file_name, news.row.revision);
    const { row: _, ...fields } = news as Item & { row?: Row };
    for (const name of Object.keys(old) as (keyof Item)[]) {
      if (fields[name] !== undefined) (old as unknown as Record<string, unknown>)[name] = fields[name];
    }
    this.events.changed();
  }

  step(by: 1 | -1): void {
    const file = this.queue.step(this.#file, by);
    if (file !== null) void this.open(file);
  }

  setFilter(filter: Filter): void {
    this.isFinished = false;
    this.queue.filter = filter;
    this.queue.rebuild(null);
    const first = this.queue.shown[0];
    if (this.#file !== null && this.queue.shown.includes(this.#file)) this.events.changed();
    else if (first !== undefined) void this.open(first);
    else this.events.changed();
  }

  setOrder(order: Order): void {
    this.queue.order = order;
    this.queue.rebuild(this.#file);
    this.events.changed();
  }

  setAdvancing(isAdvancing: boolean): void {
    this.isAdvancing = isAdvancing;
    remember("advance", isAdvancing ? "yes" : "no");
    this.events.changed();
  }

  /** Ask what has become known since: the model looks at the pictures meanwhile, other pages change them. */
  async poll(): Promise<void> {
    const news = await request<{ count: number; pictures: Item[] }>("GET", `/api/label/changes?since=${this.#count}`);
    this.#count = news.count;
    this.isLooking = this.project.has_model && [...this.items.values()].some((one) => one.state !== "labelled" && one.margin === null && !one.error);
    if (news.pictures.length === 0) return;
    let isOvertaken = false;
    for (const item of news.pictures) {
      const file = item.file_name;
      const seen = this.#revisions.get(file);
      if (item.revision !== this.items.get(file)?.revision) this.#ahead.delete(file);
      isOvertaken ||= file === this.#file && seen !== undefined && item.revision > seen;
      this.#merge(item);
    }
    if (isOvertaken && this.saver.isClean && !this.isHeld && this.#file !== null) {
      this.#forget(this.#file);
      this.events.message("Changed in another window. This is how it is now.");
      await this.open(this.#file);
    }
    this.queue.refresh(this.#file);
    this.events.changed();
  }

  // --- changing --------------------------------------------------------------------------------------------------

  select(id: number | null, point: string | null = null): void {
    this.selected = id;
    this.selectedPoint = point;
    if (id === null) this.placing = null;
    this.events.changed();
  }

  /** Change the labels of the picture on the table, remember how to go back, and save. */
  edit(change: (picture: Picture) => void, mark = ""): void {
    const picture = this.picture;
    if (picture === null) return;
    const before = copyLabels(picture);
    change(picture);
    this.commit(before, mark);
  }

  /** Keep what has been changed since `before`: for drags, which change many times and are one step. */
  commit(before: Labels, mark = ""): void {
    const picture = this.picture;
    if (picture === null) return;
    if (picture.isFresh || picture.state === "unlabelled") {
      picture.isFresh = false;
      if (picture.state === "unlabelled") picture.state = "suggested";
    }
    if (isSame(before, picture) && before.faces.length === picture.faces.length) {
      Object.assign(picture, { isFresh: before.isFresh, state: before.state });
      this.events.changed();
      return;
    }
    const after = copyLabels(picture);
    this.#remember({ changes: [{ file: picture.file, before, after }], mark, time: performance.now() });
    this.saver.put(picture.file, after);
    this.events.changed();
  }

  #remember(step: Step): void {
    const last = this.#undo.at(-1);
    const isOne = last !== undefined && step.mark !== "" && last.mark === step.mark && step.time - last.time < SAME_STEP_MS;
    if (isOne) {
      last.changes[0]!.after = step.changes[0]!.after;
      last.time = step.time;
    } else {
      this.#undo.push(step);
      if (this.#undo.length > MOST_STEPS) this.#undo.shift();
    }
    this.#redo = [];
  }

  /** A face that a person touched is theirs. */
  touch(face: Face): void {
    face.by = "person";
    face.isDoubtful = false;
    delete face.rest.keypoints_by;
    delete face.rest.box_by;
  }

  addFace(box: Box): void {
    const face: Face = {
      ...{ id: newId(), box, keypoints: {}, attributes: {}, isIgnored: false },
      ...{ by: "person", score: null, isDoubtful: false, rest: {} },
    };
    this.edit((picture) => picture.faces.push(face));
    this.select(face.id);
  }

  removeSelected(): void {
    const face = this.face;
    if (face === null) return;
    const point = this.selectedPoint;
    if (point !== null) {
      this.edit(() => {
        delete face.keypoints[point];
        this.touch(face);
      });
      this.select(face.id);
      return;
    }
    this.edit((picture) => {
      picture.faces = picture.faces.filter((one) => one !== face);
    });
    this.select(this.#firstOpen()?.id ?? null);
  }

  takeSelected(): void {
    const face = this.face;
    if (face !== null) this.edit(() => this.touch(face));
  }

  ignoreSelected(): void {
    const face = this.face;
    if (face === null) return;
    this.edit(() => {
      face.isIgnored = !face.isIgnored;
      this.touch(face);
    });
  }

  /** Give the selected face its answer; undefined takes it back. Without a selection the first face that lacks one gets it. */
  answer(value: string | number | undefined, mark = ""): void {
    const question = this.project.question;
    const face = this.face ?? this.#firstOpen() ?? null;
    if (question === null || face === null) return;
    this.edit(() => {
      if (value === undefined) delete face.attributes[question.name];
      else face.attributes[question.name] = value;
      this.touch(face);
    }, mark);
    if (mark !== "") return;
    const next = this.picture?.faces.find((one) => !this.isComplete(one));
    if (next) this.select(next.id);
    else if (this.isAdvancing && value !== undefined) this.confirm();
    else this.select(face.id);
  }

  movePoint(face: Face, name: string, point: Point): void {
    face.keypoints[name] = point;
    this.touch(face);
  }

  /** Select the next face, or the one before. */
  cycle(by: 1 | -1): void {
    const faces = this.picture?.faces ?? [];
    if (faces.length === 0) return;
    const place = faces.findIndex((face) => face.id === this.selected);
    const next = place < 0 ? (by > 0 ? 0 : faces.length - 1) : (place + by + faces.length) % faces.length;
    this.select(faces[next]!.id);
    announce(`Face ${next + 1} of ${faces.length}`);
  }

  /** Begin to place keypoints with the first that is missing; or with the one after the one just placed. */
  placeNext(after: string | null = null): void {
    const face = this.face;
    if (face === null) return;
    const names = this.project.keypoints.map((one) => one.name);
    const start = after === null ? 0 : names.indexOf(after) + 1;
    this.placing = names.slice(start).find((name) => !(name in face.keypoints)) ?? null;
    if (this.placing === null && after === null) this.events.message("All points of this face are there. Drag them, or select one and press Delete.");
    this.events.changed();
    if (this.placing) announce(`Place the ${words(this.placing)}`);
  }

  stopPlacing(): void {
    this.placing = null;
    this.events.changed();
  }

  // --- finishing -------------------------------------------------------------------------------------------------

  /** The picture is right as it is: on to the next. A face without an answer is shown first, unless forced. */
  confirm(isForced = false): void {
    const picture = this.picture;
    if (picture === null) return;
    const open = picture.faces.find((face) => !this.isComplete(face));
    if (open && !isForced) {
      this.select(open.id);
      const what = this.project.question ? "no answer" : "no points";
      this.events.message(`This face has ${what} yet. Shift+Enter confirms the picture all the same.`);
      return;
    }
    const before = copyLabels(picture);
    picture.faces = picture.faces.filter((face) => !face.isDoubtful);
    for (const face of picture.faces) if (face.by !== "person") face.by = "person";
    picture.state = "labelled";
    picture.isFresh = false;
    this.#finish(before);
  }

  /** There is no face in this picture. */
  confirmNobody(): void {
    const picture = this.picture;
    if (picture === null) return;
    const before = copyLabels(picture);
    Object.assign(picture, { faces: [], state: "labelled", isFresh: false });
    this.select(null);
    this.#finish(before);
  }

  #finish(before: Labels): void {
    const item = this.items.get(this.#file ?? "");
    if (before.state !== "labelled") this.pace.tick();
    this.commit(before);
    if (item) item.state = "labelled";
    const next = this.queue.nextToDo(this.#file);
    if (next !== null) void this.open(next);
    else {
      this.isFinished = true;
      announce("All pictures are labelled");
      this.events.changed();
    }
  }

  /** Take the suggestions of pictures that the model is certain of. */
  async acceptCertain(items: { file_name: string; revision: number }[]): Promise<number> {
    const seen = items.map(({ file_name, revision }) => ({ file_name, revision }));
    interface Accepted extends Item {
      before: Row;
      row: Row;
    }
    interface Outcome {
      accepted: Accepted[];
      refused: { file_name: string; message: string }[];
    }
    const { accepted, refused } = await request<Outcome>("POST", "/api/label/accept", { pictures: seen });
    for (const item of accepted) this.#merge(item);
    const changes = accepted.map(({ file_name: file, before, row }) => ({ file, before: labelsFrom(before), after: labelsFrom(row) }));
    if (changes.length > 0) this.#remember({ changes, mark: "", time: performance.now() });
    if (refused.length > 0) this.events.message(`${refused.length} left out. ${refused[0]!.message}`, "bad");
    this.queue.rebuild(null);
    const next = this.queue.nextToDo(null);
    if (next !== null) await this.open(next);
    else this.isFinished = true;
    this.events.changed();
    return accepted.length;
  }

  // --- back and forth --------------------------------------------------------------------------------------------

  undo(): void {
    const step = this.#undo.pop();
    if (step === undefined) return;
    this.#redo.push(step);
    this.#apply(step.changes.map(({ file, before }) => [file, before]));
  }

  redo(): void {
    const step = this.#redo.pop();
    if (step === undefined) return;
    this.#undo.push(step);
    this.#apply(step.changes.map(({ file, after }) => [file, after]));
  }

  #apply(targets: [string, Labels][]): void {
    for (const [file, labels] of targets) {
      this.saver.put(file, copyLabels(labels));
      const item = this.items.get(file);
      if (item) Object.assign(item, { state: labels.state, faces: labels.faces.length });
    }
    const [file, labels] = targets[0]!;
    this.isFinished = false;
    this.#ahead.clear();
    if (targets.length > 1) {
      this.queue.rebuild(this.#file);
      void this.saver.settle().then(() => this.open(this.#file ?? file));
      return;
    }
    if (file !== this.#file || this.picture === null) {
      void this.open(file);
      return;
    }
    const id = this.selected;
    Object.assign(this.picture, copyLabels(labels));
    this.select(this.picture.faces.some((face) => face.id === id) ? id : null);
  }

  #forget(file: string): void {
    const keep = (step: Step): boolean => step.changes.every((change) => change.file !== file);
    this.#undo = this.#undo.filter(keep);
    this.#redo = this.#redo.filter(keep);
    this.#ahead.delete(file);
  }

  /** After a conflict: go on from what the others have. */
  takeTheirs(file: string, theirs: Row): void {
    this.#merge({ file_name: file, revision: theirs.revision, state: theirs.state, faces: theirs.faces?.length ?? 0 });
    void this.open(file);
  }

  /** After a conflict: put mine over what the others have, knowingly. */
  keepMine(file: string, mine: Labels, theirs: Row): void {
    this.#revisions.set(file, theirs.revision);
    this.saver.put(file, mine);
    if (file === this.#file && this.picture) Object.assign(this.picture, copyLabels(mine));
    this.events.changed();
  }
}

