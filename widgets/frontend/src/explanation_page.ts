// The host of explanations that lie in the page: of one alone, and of those that a run's report takes along.
import { h } from "./dom";
import { mountExplanation } from "./explanation_mount";

/** A message as it lies in a page; its payload is Base64. */
export interface Carried {
  message: unknown;
  payload: string;
}

/** Draws all that are listed below each other. */
export function mountExplanations(parent: HTMLElement, listed: readonly Carried[]): void {
  for (const { message, payload } of listed) {
    const root = h("div");
    parent.append(root);
    const bytes = Uint8Array.from(atob(payload), (letter) => letter.charCodeAt(0));
    mountExplanation(root, message, new DataView(bytes.buffer));
  }
}
