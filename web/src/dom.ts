/** Building elements. Text always goes in as text, so a file name can never become markup. */

export type Child = Node | string | number | null | undefined | false;

export interface Properties {
  class?: string | undefined;
  on?: { [Name in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[Name]) => void };
  [attribute: string]: unknown;
}

function fill(element: Element, properties: Properties, children: Child[]): void {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value as object)) element.addEventListener(event, listener);
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Properties = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  fill(element, properties, children);
  return element;
}

export function s<Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  properties: Properties = {},
  ...children: Child[]
): SVGElementTagNameMap[Tag] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  fill(element, properties, children);
  return element;
}

const ICONS = {
  check: "M5 12.5l4.5 4.5L19 7.5",
  checks: "M2.5 12.5L7 17l9-9.5M11.5 16.5l.5.5 9-9.5",
  cross: "M6 6l12 12M18 6L6 18",
  drop: "M5 7h14M10 7V5h4v2M7 7l1 12h8l1-12M10.5 11v5M13.5 11v5",
  fit: "M4 9V5.5A1.5 1.5 0 0 1 5.5 4H9M15 4h3.5A1.5 1.5 0 0 1 20 5.5V9M20 15v3.5a1.5 1.5 0 0 1-1.5 1.5H15M9 20H5.5A1.5 1.5 0 0 1 4 18.5V15",
  help: "M9 9.2a3 3 0 1 1 4.4 2.7c-.9.5-1.4 1-1.4 2.1M12 17.2v.3",
  minus: "M5 12h14",
  moon: "M20 14.5A8.2 8.2 0 0 1 9.5 4 8.2 8.2 0 1 0 20 14.500z",
  plus: "M12 5v14M5 12h14",
  redo: "M19 9h-9a5 5 0 0 0 0 10h4M15 5l4 4-4 4",
  sun: "M12 7.500a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM12 2v2M12 20v2M4.9 4.900l1.4 1.400M17.7 17.700l1.4 1.400M2 12h2M20 12h2M4.9 19.100l1.4-1.400M17.7 6.300l1.4-1.4",
  undo: "M5 9h9a5 5 0 0 1 0 10h-4M9 5L5 9l4 4",
} as const;

export type Icon = keyof typeof ICONS;

export function icon(name: Icon, size = 18): SVGSVGElement {
  const path = s("path", { d: ICONS[name] });
  return s("svg", { class: "icon", viewBox: "0 0 24 24", width: size, height: size, "aria-hidden": "true" }, path);
}

export interface ButtonOptions {
  icon?: Icon;
  text?: string;
  /** What it does, for people who cannot see the icon, and as a tooltip. */
  name: string;
  keys?: string;
  class?: string | undefined;
  isPressed?: boolean;
  isDisabled?: boolean;
  press: () => void;
}

/** A button that gives the focus back after a click, so that the keys go on working on the picture. */
export function button(options: ButtonOptions): HTMLButtonElement {
  const keys = options.keys ? ` (${options.keys})` : "";
  const element = h(
    "button",
    {
      type: "button",
      class: options.class ?? "button",
      "aria-label": options.name,
      title: options.name + keys,
      "aria-pressed": options.isPressed === undefined ? undefined : String(options.isPressed),
      disabled: options.isDisabled,
      on: {
        click: (event) => {
          if (event.detail > 0) element.blur();
          options.press();
        },
      },
    },
    options.icon && icon(options.icon),
    options.text && h("span", {}, options.text),
    options.text && options.keys && h("kbd", {}, options.keys),
  );
  return element;
}

/** Replace what an element holds. */
export function put(element: Element, ...children: Child[]): void {
  element.replaceChildren();
  fill(element, {}, children);
}

let announcer: HTMLElement | undefined;

/** Tell something to people who use a screen reader. */
export function announce(text: string): void {
  if (announcer === undefined) {
    announcer = h("div", { class: "unseen", role: "status", "aria-live": "polite" });
    document.body.append(announcer);
  }
  announcer.textContent = text;
}
