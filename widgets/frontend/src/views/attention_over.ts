// Shares laid over what they are of: over tokens, or over the patches of a picture.
import { h } from "../dom";
import { type Attention, rowOf } from "../explanation";
import { formatNumber } from "../format";
import type { Patches } from "../generated/explanations";
import { paint, scaleColours } from "./pixels";

/** Share of the accent colour behind the token with the largest number: its text stays readable. */
const DEEPEST = 50;

/** How much of a patch's colour covers the picture. */
const COVER = 0.6;

/** Shows tokens, coloured by their numbers up to the largest that counts. */
export function overTokens(parent: HTMLElement, texts: readonly string[], numbers: ArrayLike<number>, most: number): void {
  parent.replaceChildren(
    ...texts.map((text, place) => {
      const element = h("span", { title: formatNumber(numbers[place]!, 2) }, text);
      const share = most > 0 ? Math.round(DEEPEST * Math.min(1, numbers[place]! / most)) : 0;
      element.style.background = `color-mix(in srgb, var(--ds-accent) ${share}%, var(--ds-card))`;
      return element;
    }),
  );
}

/** Paints the picture of a row in gray, and over it the colour of each patch's share. */
export function overPatches(canvas: HTMLCanvasElement, root: HTMLElement, explanation: Attention, row: number, patches: Patches, share: (patch: number) => number): void {
  const { height, width } = explanation.message;
  const gray = rowOf(explanation.pictures!, row);
  const colours = scaleColours(root);
  paint(canvas, height, width, (pixel) => {
    const down = Math.floor((Math.floor(pixel / width) * patches.rows) / height);
    const across = Math.floor(((pixel % width) * patches.columns) / width);
    const colour = colours[Math.round(255 * Math.min(1, share(down * patches.columns + across)))]!;
    return colour.map((part) => gray[pixel]! + (part - gray[pixel]!) * COVER);
  });
}
