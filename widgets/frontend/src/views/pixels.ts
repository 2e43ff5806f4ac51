// Small pictures of numbers: a pixel for each, in the colours of the style sheet.

/** A colour of the style sheet as red, green and blue from 0 to 255. */
export function colourOf(root: Element, name: string): number[] {
  const context = document.createElement("canvas").getContext("2d");
  if (context === null) return [0, 0, 0];
  context.fillStyle = getComputedStyle(root).getPropertyValue(name).trim();
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

/** Sets every pixel; those without a colour stay transparent. */
export function paint(canvas: HTMLCanvasElement, rows: number, columns: number, colour: (index: number) => readonly number[] | null): void {
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  if (context === null) return;
  const image = context.createImageData(columns, rows);
  for (let index = 0; index < rows * columns; index += 1) {
    const found = colour(index);
    if (found !== null) image.data.set([...found, 255], 4 * index);
  }
  context.putImageData(image, 0, 0);
}

const STOPS = 5;

/** The colour scale of the style sheet, as 256 colours. */
export function scaleColours(root: Element): number[][] {
  const stops = Array.from({ length: STOPS }, (_, stop) => colourOf(root, `--ds-scale-${stop}`));
  return Array.from({ length: 256 }, (_, index) => {
    const place = (index / 255) * (STOPS - 1);
    const from = Math.min(STOPS - 2, Math.floor(place));
    return stops[from]!.map((part, channel) => part + (stops[from + 1]![channel]! - part) * (place - from));
  });
}
