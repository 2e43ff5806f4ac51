// Whether the parts of a state fit each other: what the schema cannot say, and the views rely on.
import type { Matrix } from "./decode";
import type { State } from "./store";

/** Numbers in a row of the tensor-flow table. */
const FLOW_COLUMNS = 7;

/** Step, mean, lowest and highest value. */
const SCALAR_ROWS = 4;

/** Says what does not fit, or gives null. */
export function inconsistency(state: State): string | null {
  const { layers, steps, rows, metrics, scalars, flow, flowLayouts, flowValues, gates } = state;
  const isLayer = (index: number) => index < layers.length;
  if (!ascending(steps)) return "its steps are out of order";
  for (const [name, matrix] of metrics) {
    const places = rows.get(name) ?? [];
    if (!places.every(isLayer)) return `metric ${name} names a layer that does not exist`;
    if (!fits(matrix, places.length, steps.length)) return `metric ${name} does not fit the layers and steps`;
  }
  for (const [name, matrix] of scalars) if (!fits(matrix, SCALAR_ROWS, matrix.columns)) return `scalar ${name} does not fit`;
  if (!flow.every(({ layer }) => isLayer(layer))) return "the tensor flow names a layer that does not exist";
  if (!gates.every(({ layer }) => isLayer(layer))) return "a gate names a layer that does not exist";
  if (flowLayouts.length !== flow.length) return "the layouts do not fit the tensor flow";
  return fits(flowValues, flow.length, FLOW_COLUMNS) ? null : "the numbers do not fit the tensor flow";
}

function fits({ rows, columns, values }: Matrix, wantedRows: number, wantedColumns: number): boolean {
  return values.length === wantedRows * wantedColumns && (values.length === 0 || (rows === wantedRows && columns === wantedColumns));
}

function ascending(values: Int32Array): boolean {
  return values.every((value, index) => index === 0 || values[index - 1]! < value);
}
