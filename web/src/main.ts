/** Where the page begins: let in, then the part of it that the address names. Labelling is the first. */

import "./style.css";
import { button, h, put } from "./dom";
import { request, RequestError } from "./http";
import { openLabelPage } from "./label/page";
import { showTheme } from "./theme";

const PARTS: Record<string, (root: HTMLElement) => Promise<void>> = { "/": openLabelPage, "/label": openLabelPage };

async function begin(root: HTMLElement): Promise<void> {
  showTheme();
  try {
    const { is_known: isKnown } = await request<{ is_known: boolean }>("GET", "/api/session");
    if (!isKnown) await askForToken(root);
    await (PARTS[location.pathname] ?? openLabelPage)(root);
  } catch (error) {
    const text = error instanceof RequestError ? error.message : "The service does not answer. Start it again with: mien label PROJECT";
    const again = button({ name: "Load again", text: "Load again", class: "button main", press: () => location.reload() });
    put(root, h("div", { class: "gate" }, h("div", { class: "sheet" }, h("h2", {}, "The page cannot be shown"), h("p", {}, text), again)));
  }
}

/** Resolves once the service has let this browser in. */
async function askForToken(root: HTMLElement): Promise<void> {
  await new Promise<void>((resolve) => {
    const field = h("input", { type: "password", id: "token", autocomplete: "current-password", required: true });
    const fault = h("p", { class: "fault", role: "alert" });
    const submit = async (event: Event): Promise<void> => {
      event.preventDefault();
      try {
        await request("POST", "/api/session", { token: field.value });
        resolve();
      } catch (error) {
        fault.textContent = error instanceof RequestError && error.status === 401 ? "That is not the token this service was started with." : "The service does not answer.";
        field.select();
      }
    };
    const form = h("form", { class: "sheet", on: { submit: (event) => void submit(event) } }, h("h2", {}, "Token"), h("label", { for: "token" }, "The one that the service was started with (--token or MIEN_TOKEN)."), field, fault, h("button", { type: "submit", class: "button main" }, "Open"));
    put(root, h("div", { class: "gate" }, form));
    field.focus();
  });
}

void begin(document.querySelector("#app")!);
