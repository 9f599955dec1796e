/** Boxes and views: pure functions on numbers. */

import type { Box, Face, Point } from "./types";

export type Handle = "n" | "ne" | "e" | "se" | "s" | "sw" | "w" | "nw";
export const HANDLES: Handle[] = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];

export interface Size {
  width: number;
  height: number;
}

/** How the picture lies on the screen: screen = picture * scale + offset. */
export interface View {
  scale: number;
  x: number;
  y: number;
}

export const LEAST_SIDE = 2;
const MARGIN = 28;
const MOST_ZOOM = 48;

export function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

/** A box in order, inside the picture, at least a few pixels large. */
export function tidyBox([x1, y1, x2, y2]: Box, size: Size): Box {
  const [left, right] = tidySpan(x1, x2, size.width);
  const [top, bottom] = tidySpan(y1, y2, size.height);
  return [left, top, right, bottom];
}

function tidySpan(one: number, other: number, end: number): [number, number] {
  const low = clamp(Math.min(one, other), 0, Math.max(0, end - LEAST_SIDE));
  const high = clamp(Math.max(one, other), 0, end);
  return [low, Math.max(high, Math.min(end, low + LEAST_SIDE))];
}

export function resizeBox(box: Box, handle: Handle, [dx, dy]: Point): Box {
  const [x1, y1, x2, y2] = box;
  return [
    handle.includes("w") ? x1 + dx : x1,
    handle.includes("n") ? y1 + dy : y1,
    handle.includes("e") ? x2 + dx : x2,
    handle.includes("s") ? y2 + dy : y2,
  ];
}

export function handlePlace([x1, y1, x2, y2]: Box, handle: Handle): Point {
  const x = handle.includes("w") ? x1 : handle.includes("e") ? x2 : (x1 + x2) / 2;
  const y = handle.includes("n") ? y1 : handle.includes("s") ? y2 : (y1 + y2) / 2;
  return [x, y];
}

/** Move a face, box and keypoints together, as far as its box stays in the picture. */
export function moveFace(face: Face, [dx, dy]: Point, size: Size): void {
  const [x1, y1, x2, y2] = face.box;
  const mx = clamp(dx, -Math.max(0, x1), Math.max(0, size.width - x2));
  const my = clamp(dy, -Math.max(0, y1), Math.max(0, size.height - y2));
  face.box = [x1 + mx, y1 + my, x2 + mx, y2 + my];
  for (const point of Object.values(face.keypoints)) {
    point[0] += mx;
    point[1] += my;
  }
}

export function clampPoint([x, y]: Point, size: Size): Point {
  return [clamp(x, 0, size.width), clamp(y, 0, size.height)];
}

export function area([x1, y1, x2, y2]: Box): number {
  return Math.max(0, x2 - x1) * Math.max(0, y2 - y1);
}

export function overlap(one: Box, other: Box): number {
  const shared = area([
    Math.max(one[0], other[0]),
    Math.max(one[1], other[1]),
    Math.min(one[2], other[2]),
    Math.min(one[3], other[3]),
  ]);
  return shared / Math.max(area(one) + area(other) - shared, 1e-9);
}

/** The view that shows a box of the picture as large as it fits. */
export function fitView(box: Box, screen: Size, margin = MARGIN, most = MOST_ZOOM): View {
  const width = Math.max(1, box[2] - box[0]);
  const height = Math.max(1, box[3] - box[1]);
  const room = Math.min((screen.width - 2 * margin) / width, (screen.height - 2 * margin) / height);
  const scale = clamp(room, 0.01, most);
  return {
    scale,
    x: screen.width / 2 - ((box[0] + box[2]) / 2) * scale,
    y: screen.height / 2 - ((box[1] + box[3]) / 2) * scale,
  };
}

/** The view zoomed by a factor around a place of the screen, which stays where it is. */
export function zoomView(view: View, factor: number, [sx, sy]: Point, least: number): View {
  const scale = clamp(view.scale * factor, least, MOST_ZOOM);
  const ratio = scale / view.scale;
  return { scale, x: sx - (sx - view.x) * ratio, y: sy - (sy - view.y) * ratio };
}

export function toPicture(view: View, [sx, sy]: Point): Point {
  return [(sx - view.x) / view.scale, (sy - view.y) / view.scale];
}

export function toScreen(view: View, [x, y]: Point): Point {
  return [x * view.scale + view.x, y * view.scale + view.y];
}
