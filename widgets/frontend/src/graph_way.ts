// From one box of a graph to the next one in a direction.
import type { Rectangle } from "./graph_layout";

export const DIRECTIONS: Record<string, [x: number, y: number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Index of the nearest of some boxes in a direction, -1 where there is none; what lies straight ahead counts as nearer. */
export function nextIn(places: readonly Rectangle[], from: number, [dx, dy]: [number, number]): number {
  // Texts of a box stand at its upper edge, also where it holds others.
  const centre = ({ x, y, width }: Rectangle) => [x + width / 2, y] as const;
  const [x0, y0] = centre(places[from]!);
  let best = Infinity;
  let found = -1;
  places.forEach((place, index) => {
    const [x, y] = centre(place);
    const ahead = (x - x0) * dx + (y - y0) * dy;
    if (ahead <= 1) return;
    const distance = ahead + 2 * Math.abs((x - x0) * dy + (y - y0) * dx);
    if (distance >= best) return;
    best = distance;
    found = index;
  });
  return found;
}
