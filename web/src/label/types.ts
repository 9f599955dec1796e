/** What the service tells about a project, and faces as this page edits them. */

export type Point = [number, number];
export type Box = [number, number, number, number];
export type State = "unlabelled" | "suggested" | "labelled";

export interface Answer {
  name: string;
  text: string;
  colour: string;
}

export interface Keypoint {
  name: string;
  colour: string;
}

export interface Question {
  name: string;
  question: string;
  answers: Answer[];
  unit: string;
}

/** A picture's line in the list. */
export interface Item {
  file_name: string;
  state: State;
  revision: number;
  faces: number;
  margin: number | null;
  is_certain: boolean;
  error: string;
}

/** A picture that the model is certain of, with what it sees. */
export interface CertainItem extends Item {
  width: number;
  height: number;
  boxes: Box[];
}

export interface Overview {
  name: string;
  task: string;
  question: Question | null;
  keypoints: Keypoint[];
  has_model: boolean;
  count: number;
  pictures: Item[];
}

/** A face as a row of the project has it. */
export interface FaceEntry {
  box: Box;
  keypoints?: Record<string, Point | null>;
  attributes?: Record<string, string | number>;
  ignore?: boolean;
  by?: string;
  score?: number;
  [other: string]: unknown;
}

export interface Row {
  file_name: string;
  state: State;
  revision: number;
  faces?: FaceEntry[] | null;
}

export interface PictureAnswer extends Item {
  row: Row;
  width: number;
  height: number;
  suggestions: FaceEntry[];
  doubtful: FaceEntry[];
}

/** A face on the stage: box, keypoints and answers as one thing. */
export interface Face {
  id: number;
  box: Box;
  keypoints: Record<string, Point>;
  attributes: Record<string, string | number>;
  isIgnored: boolean;
  /** Who gave it; what a person touched is theirs. */
  by: string;
  score: number | null;
  /** The model is not sure that it is a face; left out unless a person takes it. */
  isDoubtful: boolean;
  /** What else the row says of it, kept as it came. */
  rest: Record<string, unknown>;
}

/** The labels of a picture at one moment. */
export interface Labels {
  faces: Face[];
  state: State;
  /** Nobody has looked yet: the faces are suggestions that the project does not hold. */
  isFresh: boolean;
}

let lastId = 0;

export function newId(): number {
  lastId += 1;
  return lastId;
}

export function faceFrom(entry: FaceEntry, isDoubtful = false): Face {
  const { box, keypoints, attributes, ignore, by, score, ...rest } = entry;
  const known = Object.entries(keypoints ?? {}).filter((pair): pair is [string, Point] => pair[1] !== null);
  return {
    id: newId(),
    box: [...box],
    keypoints: Object.fromEntries(known.map(([name, point]) => [name, [...point] as Point])),
    attributes: { ...attributes },
    isIgnored: ignore === true,
    by: by ?? "",
    score: score ?? null,
    isDoubtful,
    rest,
  };
}

const hundredths = (value: number): number => Math.round(value * 100) / 100;

export function entryOf(face: Face): FaceEntry {
  const points = Object.entries(face.keypoints).map(([name, [x, y]]) => [name, [hundredths(x), hundredths(y)]]);
  return {
    ...face.rest,
    box: face.box.map(hundredths) as Box,
    keypoints: Object.fromEntries(points),
    attributes: face.attributes,
    ...(face.isIgnored ? { ignore: true } : {}),
    ...(face.by ? { by: face.by } : {}),
    ...(face.score !== null ? { score: face.score } : {}),
  };
}

export function copyFace(face: Face): Face {
  const points = Object.entries(face.keypoints).map(([name, point]) => [name, [...point] as Point]);
  return {
    ...face,
    box: [...face.box],
    keypoints: Object.fromEntries(points),
    attributes: { ...face.attributes },
    rest: { ...face.rest },
  };
}

export function copyLabels(labels: Labels): Labels {
  return { ...labels, faces: labels.faces.map(copyFace) };
}

/** The labels as they are sent; null for a picture that nobody has looked at. */
export function entriesOf(labels: Labels): FaceEntry[] | null {
  return labels.isFresh ? null : labels.faces.filter((face) => !face.isDoubtful).map(entryOf);
}

/** The labels that a row holds. */
export function labelsFrom(row: Row): Labels {
  const isFresh = row.state === "unlabelled" && !row.faces?.length;
  return { faces: (row.faces ?? []).map((entry) => faceFrom(entry)), state: row.state, isFresh };
}

/** Whether two sets of labels say the same to the project. */
export function isSame(one: Labels, other: Labels): boolean {
  const told = (labels: Labels): string => JSON.stringify([labels.state, sorted(entriesOf(labels))]);
  return told(one) === told(other);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  const pairs = Object.entries(value).filter(([, inner]) => inner !== undefined);
  const isEmpty = (inner: unknown): boolean => typeof inner === "object" && inner !== null && Object.keys(inner).length === 0;
  return pairs
    .filter(([, inner]) => !isEmpty(inner))
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, inner]) => [name, sorted(inner)]);
}

/** A name as people read it. */
export function words(name: string): string {
  return name.replaceAll("_", " ");
}
