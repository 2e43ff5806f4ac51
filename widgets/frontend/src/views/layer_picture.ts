// The weights of a layer as a picture.
import type { WeightPicture } from "../detail";
import { h, setText } from "../dom";
import { formatNumber } from "../format";
import { colourOf, paint } from "./pixels";

export interface PictureView {
  element: HTMLElement;
  show(picture: WeightPicture | null): void;
}

const TITLES = { filters: "Filters", heads: "Heads", matrix: "Weights" } as const;

export function pictureView(root: HTMLElement): PictureView {
  const title = h("h4", {});
  const caption = h("p", { class: "ds-note" });
  const canvas = h("canvas", { role: "img", "data-testid": "picture" });
  const [low, high] = [h("span", {}), h("span", {})];
  const legend = h("p", { class: "ds-scale" }, low, h("span", { class: "ds-diverging", "aria-hidden": "true" }), high);
  const element = h("div", { class: "ds-picture", hidden: true }, title, caption, canvas, legend);
  return {
    element,
    show(picture) {
      element.hidden = picture === null || picture.values.values.length === 0;
      if (picture === null || element.hidden) return;
      const { rows, columns, values } = picture.values;
      const most = Math.max(0, ...Array.from(values, Math.abs).filter(Number.isFinite));
      const [zero, positive, negative, alarm] = ["--ds-zero", "--ds-positive", "--ds-negative", "--ds-error"].map((name) => colourOf(root, name));
      paint(canvas, rows, columns, (index) => {
        const value = values[index]!;
        if (Number.isNaN(value)) return null;
        if (!Number.isFinite(value)) return alarm!;
        const share = most > 0 ? Math.abs(value) / most : 0;
        return zero!.map((from, place) => from + ((value < 0 ? negative : positive)![place]! - from) * share);
      });
      setText(title, `${TITLES[picture.kind]}: ${picture.tensor}`);
      setText(caption, picture.caption);
      setText(low, formatNumber(-most, 3));
      setText(high, formatNumber(most, 3));
      canvas.setAttribute("aria-label", `${picture.tensor} as a picture: ${picture.caption}; largest magnitude ${formatNumber(most, 3)}`);
    },
  };
}
