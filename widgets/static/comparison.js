// Draws the charts of a comparison in the place of its static picture, in the colours of the page.
const data = JSON.parse(document.getElementById("deepseek-data").textContent);
const picture = document.querySelector("#deepseek-summary img");
const drawn = [];

function colour() {
  const style = getComputedStyle(document.documentElement);
  const [text, soft, grid] = ["--text", "--soft", "--grid"].map((name) => style.getPropertyValue(name).trim());
  const properties = {
    axis_label_text_color: soft,
    major_label_text_color: soft,
    major_tick_line_color: grid,
    grid_line_color: grid,
    label_text_color: text,
    title_text_color: soft,
  };
  for (const model of drawn.flatMap((figure) => [...figure.references()])) {
    for (const [name, value] of Object.entries(properties)) {
      if (name in model && model[name] !== null) model[name] = value;
    }
  }
}

function frame(title) {
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  caption.textContent = title;
  const target = document.createElement("div");
  target.setAttribute("role", "img");
  target.setAttribute("aria-label", title);
  figure.append(caption, target);
  return [figure, target];
}

async function main() {
  Bokeh.set_log_level("error");
  const charts = document.createElement("div");
  charts.className = "charts";
  picture.after(charts);
  for (const { name, title, item } of data.charts) {
    const [figure, target] = frame(title);
    figure.dataset.chart = name;
    charts.append(figure);
    const [root] = [...(await Bokeh.embed.embed_item(item, target)).roots];
    drawn.push(root.model);
  }
  colour();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", colour);
  if (drawn.length > 0) picture.remove();
  charts.dataset.drawn = drawn.length;
}

void main();
