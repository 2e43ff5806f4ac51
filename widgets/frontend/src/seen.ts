// Whether somebody can see an element: it is in the part of the page that is shown, and the page is in front.

/** Calls back when it comes into sight and when it goes out of it; until then it counts as seen if the page is. */
export function watchSeen(element: Element, changed: (seen: boolean) => void): () => void {
  let within = true;
  let seen = !document.hidden;
  const look = () => {
    const now = within && !document.hidden;
    if (now !== seen) changed((seen = now));
  };
  const observer = new IntersectionObserver((entries) => {
    within = entries.at(-1)?.isIntersecting ?? within;
    look();
  });
  observer.observe(element);
  document.addEventListener("visibilitychange", look);
  return () => {
    observer.disconnect();
    document.removeEventListener("visibilitychange", look);
  };
}

/** So long something is out of sight before that is told: whoever scrolls passes by a lot. */
const PATIENCE_MS = 500;

/** Whether any of several elements can be seen. */
export class Sight {
  #tell: (seen: boolean) => void;
  #seen = new Set<Element>();
  #told: boolean | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `tell` is called when the first one is there, and with every change later. */
  constructor(tell: (seen: boolean) => void) {
    this.#tell = tell;
  }

  /** Watches an element, until the function that is returned is called. */
  of(element: Element): () => void {
    const stop = watchSeen(element, (seen) => this.#note(element, seen));
    this.#note(element, !document.hidden);
    return () => {
      stop();
      this.#note(element, false);
    };
  }

  #note(element: Element, seen: boolean): void {
    if (seen) this.#seen.add(element);
    else this.#seen.delete(element);
    clearTimeout(this.#timer);
    const now = this.#seen.size > 0;
    if (now === this.#told) return;
    const change = () => this.#tell((this.#told = now));
    if (now) change();
    else this.#timer = setTimeout(change, PATIENCE_MS);
  }
}
