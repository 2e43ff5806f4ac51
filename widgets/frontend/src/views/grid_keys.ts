// A picture whose cells are read one by one, by pointer or by arrow keys.

export interface GridKeys {
  /** Tells the picture's size, and reads the chosen cell again. */
  resize(rows: number, columns: number): void;
  choose(index: number): void;
}

/** `read` is told the cell and returns what assistive software says of it; `taken` that it was clicked. */
export function gridKeys(canvas: HTMLCanvasElement, read: (index: number) => string, taken: (index: number) => void = () => {}): GridKeys {
  let rows = 1;
  let columns = 1;
  let chosen = 0;

  function choose(index: number): void {
    chosen = Math.min(Math.max(index, 0), rows * columns - 1);
    canvas.setAttribute("aria-valuenow", String(chosen));
    canvas.setAttribute("aria-valuetext", read(chosen));
  }
  function cellAt({ offsetX, offsetY }: PointerEvent | MouseEvent): number {
    const column = Math.floor((offsetX / canvas.clientWidth) * columns);
    const row = Math.floor((offsetY / canvas.clientHeight) * rows);
    return Math.min(Math.max(row, 0), rows - 1) * columns + Math.min(Math.max(column, 0), columns - 1);
  }
  canvas.addEventListener("pointermove", (event) => choose(cellAt(event)));
  canvas.addEventListener("click", (event) => taken(cellAt(event)));
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter") return taken(chosen);
    const move = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -Infinity, End: Infinity }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    choose(chosen + move);
    taken(chosen);
  });
  return {
    choose,
    resize(height, width) {
      rows = height;
      columns = width;
      canvas.setAttribute("aria-valuemax", String(rows * columns - 1));
      choose(chosen);
    },
  };
}
