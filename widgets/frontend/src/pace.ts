// When to draw: at once what the user asks for, and news as often as leaves the page free for other things.

/** From one drawing of news to the next it takes at least so many times as long as the drawing kept the page busy. */
const REST = 3;

export class Pace {
  #draw: () => void;
  #pauseMs: () => number;
  #stale = false;
  /** What is drawn in frames of their own; the one that waited longest comes first. */
  #parts = new Map<object, () => void>();
  #hurried = false;
  #busy = false;
  #seen = true;
  #ended = false;
  #timer = 0;
  #next = 0;

  /** `draw` draws what is quickly drawn; `pauseMs` is the shortest time between two drawings of news. */
  constructor(draw: () => void, pauseMs: () => number) {
    this.#draw = draw;
    this.#pauseMs = pauseMs;
  }

  /** Draws everything in the next frames. */
  now(): void {
    this.#stale = this.#hurried = true;
    this.#wake();
  }

  /** Draws news when the page has rested. */
  soon(): void {
    this.#stale = true;
    this.#wake();
  }

  /** Has a part that takes long drawn in a frame of its own, one with each drawing of news; a newer one replaces it. */
  later(part: object, draw: () => void): void {
    this.#parts.set(part, draw);
    this.#wake();
  }

  /** Nothing is drawn while nobody sees it. */
  set seen(seen: boolean) {
    this.#seen = seen;
    if (seen && this.#waiting) this.now();
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  get #waiting(): boolean {
    return this.#stale || this.#parts.size > 0;
  }

  #wake(): void {
    if (this.#busy || !this.#seen || this.#ended) return;
    clearTimeout(this.#timer);
    const wait = this.#hurried ? 0 : this.#next - performance.now();
    if (wait <= 0) void this.#turn();
    else this.#timer = window.setTimeout(() => void this.#turn(), wait);
  }

  async #turn(): Promise<void> {
    this.#busy = true;
    const begun = performance.now();
    let took = 0;
    if (this.#stale) {
      this.#stale = false;
      took += await this.#inFrame(this.#draw);
    }
    do took += await this.#drawPart();
    while (this.#hurried && !this.#stale && this.#parts.size > 0 && !this.#ended);
    this.#hurried &&= this.#waiting;
    this.#next = begun + Math.max(this.#pauseMs(), REST * took);
    this.#busy = false;
    if (this.#waiting) this.#wake();
  }

  async #drawPart(): Promise<number> {
    const [next] = this.#parts;
    if (next === undefined || this.#ended) return 0;
    this.#parts.delete(next[0]);
    // BokehJS paints in the frame after the one in which it is told to.
    return (await this.#inFrame(next[1])) + (await this.#inFrame(() => {}));
  }

  /** Works in the next frame, unless all has ended by then; gives for how long that frame kept the page busy. */
  #inFrame(work: () => void): Promise<number> {
    return new Promise((resolve) => {
      requestAnimationFrame(() => {
        const begun = performance.now();
        try {
          if (!this.#ended) work();
        } finally {
          setTimeout(() => resolve(performance.now() - begun));
        }
      });
    });
  }
}
