// When views are drawn, with frames and clocks that the test drives.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Pace } from "../src/pace";

const FRAME_MS = 16;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("window", globalThis);
  vi.stubGlobal("requestAnimationFrame", (work: () => void) => setTimeout(work, FRAME_MS));
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** A pace whose drawings take so long, by the clock that it looks at. */
function drawing(pauseMs: number, costMs = 0) {
  const times: number[] = [];
  const clock = performance.now.bind(performance);
  let spent = 0;
  vi.spyOn(performance, "now").mockImplementation(() => clock() + spent);
  const draw = () => {
    times.push(performance.now());
    spent += costMs;
  };
  return { pace: new Pace(draw, () => pauseMs), times };
}

const gaps = (times: number[]) => times.slice(1).map((time, index) => time - times[index]!);

describe("a pace", () => {
  it("draws news no more often than its pause, and the last of them in any case", async () => {
    const { pace, times } = drawing(100);
    for (let news = 0; news < 50; news += 1) {
      pace.soon();
      await vi.advanceTimersByTimeAsync(10);
    }
    expect(Math.min(...gaps(times))).toBeGreaterThanOrEqual(100);
    const before = times.length;
    await vi.advanceTimersByTimeAsync(200);
    expect(times.length).toBe(before + 1);
    await vi.advanceTimersByTimeAsync(1000);
    expect(times.length).toBe(before + 1);
  });

  it("rests twice as long as a drawing kept the page busy", async () => {
    const { pace, times } = drawing(100, 80);
    for (let news = 0; news < 100; news += 1) {
      pace.soon();
      await vi.advanceTimersByTimeAsync(10);
    }
    expect(Math.min(...gaps(times))).toBeGreaterThanOrEqual(240);
    expect(times.length).toBeGreaterThan(3);
  });

  it("draws what the user asks for in the next frame", async () => {
    const { pace, times } = drawing(10_000);
    pace.soon();
    await vi.advanceTimersByTimeAsync(50);
    pace.now();
    await vi.advanceTimersByTimeAsync(50);
    expect(times.length).toBe(2);
  });

  it("draws one part with each drawing of news, the one that waited longest, and of each the newest", async () => {
    const drawn: string[] = [];
    const parts = ["a", "b", "c"];
    let round = 0;
    const pace: Pace = new Pace(
      () => {
        round += 1;
        const now = round;
        for (const part of parts) pace.later(part as unknown as object, () => drawn.push(`${part}${now}`));
      },
      () => 100,
    );
    for (let news = 0; news < 16; news += 1) {
      pace.soon();
      await vi.advanceTimersByTimeAsync(30);
    }
    expect(drawn.slice(0, 4)).toEqual(["a1", "b2", "c3", "a4"]);
  });

  it("draws all parts for the user, and what is left when the news end", async () => {
    const drawn: string[] = [];
    const pace = new Pace(() => {}, () => 100);
    for (const part of ["a", "b", "c"]) pace.later({ part }, () => drawn.push(part));
    pace.now();
    await vi.advanceTimersByTimeAsync(8 * FRAME_MS + 10);
    expect(drawn).toEqual(["a", "b", "c"]);
    for (const part of ["d", "e"]) pace.later({ part }, () => drawn.push(part));
    pace.soon();
    await vi.advanceTimersByTimeAsync(500);
    expect(drawn.slice(3)).toEqual(["d", "e"]);
  });

  it("draws nothing while nobody sees it, and all of it then", async () => {
    const { pace, times } = drawing(100);
    pace.seen = false;
    pace.soon();
    await vi.advanceTimersByTimeAsync(1000);
    expect(times).toEqual([]);
    pace.seen = true;
    await vi.advanceTimersByTimeAsync(50);
    expect(times.length).toBe(1);
  });

  it("draws nothing after its end, not even what was on its way", async () => {
    const { pace, times } = drawing(100);
    pace.now();
    pace.later({}, () => times.push(-1));
    pace.end();
    await vi.advanceTimersByTimeAsync(1000);
    expect(times).toEqual([]);
  });

  it("goes on after a drawing that failed", async () => {
    let count = 0;
    const pace = new Pace(() => {
      count += 1;
      if (count === 1) throw new Error("cannot draw");
    }, () => 100);
    pace.now();
    await vi.advanceTimersByTimeAsync(50).catch(() => {});
    pace.now();
    await vi.advanceTimersByTimeAsync(200).catch(() => {});
    expect(count).toBe(2);
  });
});
