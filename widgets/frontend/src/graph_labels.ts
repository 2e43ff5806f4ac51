// Where the labels of a graph's joints have room.
import { type Joint, overlap, type Point, type Rectangle } from "./graph_layout";

const LABEL_HEIGHT = 14;
/** Height of the stripes by which what lies near is found. */
const BAND = 100;
/** From the end of a joint to a label beside it. */
const CLOSE = 15;

/** In the middle of a joint, near its end or near its start, where nothing else is. */
export function placeLabels(joints: Joint[], paths: Point[][], texts: Rectangle[]): (Point | null)[] {
  const taken = new Map<number, Rectangle[]>();
  const bands = ({ y, height }: Rectangle) => {
    const first = Math.floor(y / BAND);
    return Array.from({ length: Math.floor((y + height) / BAND) - first + 1 }, (_, index) => first + index);
  };
  const take = (area: Rectangle) => {
    for (const band of bands(area)) taken.set(band, [...(taken.get(band) ?? []), area]);
  };
  const isFree = (area: Rectangle) => bands(area).every((band) => !taken.get(band)?.some((other) => overlap(area, other)));
  texts.forEach(take);
  return joints.map(({ label }, index) => {
    const path = paths[index]!;
    const around = ([x, y]: Point) => ({ x: x - label / 2, y: y - LABEL_HEIGHT / 2, width: label, height: LABEL_HEIGHT });
    const found = candidates(path).find((point) => isFree(around(point)));
    if (found === undefined) return null;
    take(around(found));
    return found;
  });
}

function candidates(path: Point[]): Point[] {
  const [[x0, y0], [x1, y1]] = [path[0]!, path.at(-1)!];
  const middle = path.slice(path.length / 2 - 1, path.length / 2 + 1) as [Point, Point];
  return [
    [(middle[0][0] + middle[1][0]) / 2, (middle[0][1] + middle[1][1]) / 2],
    [x1, y1 - CLOSE],
    [x0, y0 + CLOSE],
  ];
}
