// The part of the graph's view that can be panned and zoomed; draws only what is seen of large graphs.
import { setAttribute, svg } from "../dom";
import { overlap, type Rectangle } from "../graph_layout";

/** Something that is drawn, with the area that it takes. */
export interface Part {
  key: string;
  area: Rectangle;
  /** Everything that its drawing depends on, but for the place: parts that look the same are moved, not drawn anew. */
  look: string;
  /** With the corner of the area at the origin. */
  draw(): SVGGElement;
}

/** With fewer parts than this all are drawn, wherever they lie. */
const MOST_UNSEEN = 200;
const MARGIN = 200;
const [SMALLEST, LARGEST] = [0.05, 2.5];
/** Below this texts can hardly be read: what does not fit is cut off instead. */
const READABLE = 0.9;
const PAN = 60;
const ZOOM = 1.25;
const CLICK = 4;

export class Stage {
  readonly element: SVGSVGElement;
  /** The part that the keyboard goes to; kept in the page although it may not be seen. */
  #focused: string | null = null;
  #content = svg("g");
  #parts: Part[] = [];
  #drawn = new Map<string, { element: SVGGElement; look: string }>();
  #size = { width: 0, height: 0 };
  #scale = 1;
  #left = 0;
  #top = 0;
  #frame = 0;
  /** What was asked to fit while the page did not show the stage. */
  #unseen: { readable: boolean } | null = null;
  #watch: ResizeObserver;

  /** `drawn` is called for parts that came into the page. */
  constructor(
    label: string,
    readonly drawn: () => void,
  ) {
    this.element = svg("svg", { class: "ds-graph-stage", role: "group", "aria-label": label, tabindex: 0, "data-testid": "graph-stage" });
    this.element.append(this.#content);
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.element.addEventListener("pointerdown", (event) => this.#drag(event));
    this.#watch = new ResizeObserver(() => (this.#unseen === null ? this.#schedule() : this.fit(this.#unseen.readable)));
    this.#watch.observe(this.element);
  }

  /** Takes the place of what was shown before; the part that had the focus keeps it, `chosen` gets it when it is gone. */
  show(parts: Part[], size: { width: number; height: number }, chosen: string | null): void {
    const hadFocus = this.#content.contains(document.activeElement);
    this.#parts = parts;
    this.#size = size;
    this.#leave();
    const keys = new Set(parts.map(({ key }) => key));
    const candidates = [this.#focused, chosen, parts.at(-1)?.key ?? null];
    this.#focused = candidates.find((key) => key !== null && keys.has(key)) ?? null;
    this.#draw();
    if (hadFocus && this.#focused !== null) this.focus(this.#focused, true);
  }

  /** Makes a part the one that the keyboard goes to, and goes there if it is `now`. */
  focus(key: string, now: boolean): void {
    this.#leave();
    this.#focused = key;
    this.#draw();
    if (now) this.drawnPart(key)?.focus({ preventScroll: true });
  }

  #leave(): void {
    if (this.#focused !== null) this.drawnPart(this.#focused)?.setAttribute("tabindex", "-1");
  }

  /** The element of a part, if it is in the page. */
  drawnPart(key: string): SVGGElement | null {
    return this.#drawn.get(key)?.element ?? null;
  }

  /** Everything, as large as possible; `readable` shows the beginning of what would be too small. */
  fit(readable = false): void {
    const { clientWidth, clientHeight } = this.element;
    const { width, height } = this.#size;
    this.#unseen = clientWidth === 0 ? { readable } : null;
    if (this.#unseen !== null) return;
    const all = Math.min(1, clientWidth / (width + 40), clientHeight / (height + 40));
    this.#scale = readable ? Math.max(READABLE, all) : all;
    this.#left = (clientWidth - width * this.#scale) / 2;
    this.#top = Math.max(20 * this.#scale, (clientHeight - height * this.#scale) / 2);
    this.#schedule();
  }

  zoom(direction: 1 | -1, at?: { x: number; y: number }): void {
    const { clientWidth, clientHeight } = this.element;
    const { x, y } = at ?? { x: clientWidth / 2, y: clientHeight / 2 };
    const smallest = Math.min(SMALLEST, this.#scale);
    const scale = Math.min(LARGEST, Math.max(smallest, this.#scale * ZOOM ** direction));
    this.#left = x - ((x - this.#left) * scale) / this.#scale;
    this.#top = y - ((y - this.#top) * scale) / this.#scale;
    this.#scale = scale;
    this.#schedule();
  }

  /** Pans as far as needed for an area to be seen. */
  reveal({ x, y, width, height }: Rectangle): void {
    const { clientWidth, clientHeight } = this.element;
    const shift = (start: number, length: number, room: number) =>
      start < 20 || length > room - 40 ? 20 - start : Math.min(0, room - 20 - start - length);
    this.#pan(
      shift(this.#left + x * this.#scale, width * this.#scale, clientWidth),
      shift(this.#top + y * this.#scale, height * this.#scale, clientHeight),
    );
  }

  /** Pans so that a point that moved from one place to another stays where it was seen. */
  hold([x0, y0]: [number, number], [x1, y1]: [number, number]): void {
    this.#pan((x0 - x1) * this.#scale, (y0 - y1) * this.#scale);
  }

  remove(): void {
    this.#watch.disconnect();
    cancelAnimationFrame(this.#frame);
  }

  #schedule(): void {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#content.setAttribute("transform", `translate(${this.#left} ${this.#top}) scale(${this.#scale})`);
    const few = this.#parts.length < MOST_UNSEEN;
    const seen = {
      x: (-this.#left - MARGIN) / this.#scale,
      y: (-this.#top - MARGIN) / this.#scale,
      width: (this.element.clientWidth + 2 * MARGIN) / this.#scale,
      height: (this.element.clientHeight + 2 * MARGIN) / this.#scale,
    };
    const wanted = this.#parts.filter(({ key, area }) => few || key === this.#focused || overlap(area, seen));
    const looks = new Map(wanted.map(({ key, look }) => [key, look]));
    for (const [key, { element, look }] of this.#drawn) {
      if (looks.get(key) === look) continue;
      element.remove();
      this.#drawn.delete(key);
    }
    // Later parts lie above earlier ones.
    let before: Node | null = this.#content.firstChild;
    for (const { key, look, area, draw } of wanted) {
      const element = this.drawnPart(key) ?? draw();
      if (!this.#drawn.has(key)) this.#drawn.set(key, { element, look });
      setAttribute(element, "transform", `translate(${area.x} ${area.y})`);
      if (key === this.#focused) element.setAttribute("tabindex", "0");
      if (element === before) before = element.nextSibling;
      else this.#content.insertBefore(element, before);
    }
    this.element.dataset["parts"] = String(this.#parts.length);
    this.drawn();
  }

  #pan(x: number, y: number): void {
    this.#left += x;
    this.#top += y;
    this.#schedule();
  }

  #key(event: KeyboardEvent): void {
    if (event.key === "+" || event.key === "=") this.zoom(1);
    else if (event.key === "-") this.zoom(-1);
    else if (event.key === "0") this.fit();
    else if (event.target !== this.element) return;
    else if (event.key === "ArrowLeft") this.#pan(PAN, 0);
    else if (event.key === "ArrowRight") this.#pan(-PAN, 0);
    else if (event.key === "ArrowUp") this.#pan(0, PAN);
    else if (event.key === "ArrowDown") this.#pan(0, -PAN);
    else return;
    event.preventDefault();
  }

  #wheel(event: WheelEvent): void {
    // Without the key the wheel scrolls the page, as everywhere.
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const { left, top } = this.element.getBoundingClientRect();
    this.zoom(event.deltaY < 0 ? 1 : -1, { x: event.clientX - left, y: event.clientY - top });
  }

  #drag(start: PointerEvent): void {
    if (start.button !== 0) return;
    let { clientX: x, clientY: y } = start;
    let dragging = false;
    const move = (event: PointerEvent) => {
      dragging ||= Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) > CLICK;
      if (!dragging) return;
      this.element.setPointerCapture(start.pointerId);
      this.#pan(event.clientX - x, event.clientY - y);
      [x, y] = [event.clientX, event.clientY];
    };
    const end = () => {
      this.element.removeEventListener("pointermove", move);
      for (const name of ["pointerup", "pointercancel"] as const) this.element.removeEventListener(name, end);
      // What follows the end of a drag is no click.
      if (!dragging) return;
      const swallow = (event: Event) => event.stopPropagation();
      this.element.addEventListener("click", swallow, { capture: true, once: true });
      setTimeout(() => this.element.removeEventListener("click", swallow, { capture: true }), 0);
    };
    this.element.addEventListener("pointermove", move);
    for (const name of ["pointerup", "pointercancel"] as const) this.element.addEventListener(name, end);
  }
}
