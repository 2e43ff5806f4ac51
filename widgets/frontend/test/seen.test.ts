// Whether a view is in sight, in a page that the test plays.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Sight } from "../src/seen";

let observers: ((entries: { isIntersecting: boolean }[]) => void)[];
let page: { hidden: boolean; listeners: Set<() => void> };

beforeEach(() => {
  vi.useFakeTimers();
  observers = [];
  page = { hidden: false, listeners: new Set() };
  vi.stubGlobal(
    "IntersectionObserver",
    class {
      constructor(changed: (typeof observers)[number]) {
        observers.push(changed);
      }
      observe(): void {}
      disconnect(): void {}
    },
  );
  vi.stubGlobal("document", {
    get hidden() {
      return page.hidden;
    },
    addEventListener: (_: string, listener: () => void) => page.listeners.add(listener),
    removeEventListener: (_: string, listener: () => void) => page.listeners.delete(listener),
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

function sight() {
  const told: boolean[] = [];
  return { told, sight: new Sight((seen) => told.push(seen)) };
}

const view = () => ({}) as Element;
const scroll = (index: number, isIntersecting: boolean) => observers[index]!([{ isIntersecting }]);
const hide = (hidden: boolean) => {
  page.hidden = hidden;
  for (const listener of page.listeners) listener();
};
const wait = () => vi.advanceTimersByTime(1000);

describe("the sight of a view", () => {
  it("is told at the beginning, once it is lost for a while, and at once when it comes back", () => {
    const { told, sight: its } = sight();
    its.of(view());
    expect(told).toEqual([true]);
    scroll(0, false);
    expect(told).toEqual([true]);
    wait();
    expect(told).toEqual([true, false]);
    scroll(0, true);
    expect(told).toEqual([true, false, true]);
  });

  it("is not lost by scrolling past", () => {
    const { told, sight: its } = sight();
    its.of(view());
    scroll(0, false);
    vi.advanceTimersByTime(100);
    scroll(0, true);
    wait();
    expect(told).toEqual([true]);
  });

  it("is lost with the page, wherever the view is in it", () => {
    const { told, sight: its } = sight();
    its.of(view());
    hide(true);
    wait();
    scroll(0, true);
    wait();
    expect(told).toEqual([true, false]);
    hide(false);
    expect(told).toEqual([true, false, true]);
  });

  it("lasts as long as one of several is seen, and ends with the last", () => {
    const { told, sight: its } = sight();
    const ends = [its.of(view()), its.of(view())];
    scroll(0, false);
    wait();
    expect(told).toEqual([true]);
    for (const end of ends) end();
    wait();
    expect(told).toEqual([true, false]);
    expect(page.listeners.size).toBe(0);
  });

  it("is told of a page that is hidden from the beginning", () => {
    const { told, sight: its } = sight();
    page.hidden = true;
    its.of(view());
    wait();
    expect(told).toEqual([false]);
    hide(false);
    expect(told).toEqual([false, true]);
  });
});
