// Light or dark, as the host says; charts take their colours from the style sheet's variables.
import type { Chart } from "./bokeh";

export type Theme = "light" | "dark";

export function currentTheme(): Theme {
  const lab = document.body.dataset["jpThemeLight"];
  if (lab !== undefined) return lab === "true" ? "light" : "dark";
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** Calls back whenever the theme may have changed; returns a function that ends this. */
export function watchTheme(changed: () => void): () => void {
  const observer = new MutationObserver(changed);
  observer.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"] });
  const query = matchMedia("(prefers-color-scheme: dark)");
  query.addEventListener("change", changed);
  return () => {
    observer.disconnect();
    query.removeEventListener("change", changed);
  };
}

/** Gives a chart the colours of the element that it stands in. */
export function colourChart(chart: Chart, root: Element): void {
  const style = getComputedStyle(root);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const text = colour("--ds-text-soft");
  const line = colour("--ds-grid");
  const font = style.fontFamily;
  for (const model of chart.figure.references()) {
    for (const [property, value] of Object.entries({
      major_tick_line_color: line,
      grid_line_color: line,
      major_label_text_color: text,
      axis_label_text_color: text,
      text_color: colour("--ds-text"),
      major_label_text_font: font,
      axis_label_text_font: font,
      text_font: font,
      major_label_text_font_size: "11px",
      axis_label_text_font_size: "11px",
    })) {
      if (property in model) model[property] = value;
    }
  }
}
