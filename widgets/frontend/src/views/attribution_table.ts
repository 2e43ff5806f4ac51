// The attributions as numbers, the strongest first.
import { h } from "../dom";
import { featureCount, featureLabel, rowOf } from "../explanation";
import { strongest, type AttributionPart } from "./attribution_bars";
import { INTERVAL } from "./attribution_trust";
import { tableTwin } from "./table";

export function attributionTable(label: string, opened: () => void): AttributionPart {
  const twin = tableTwin({ select: opened }, label, "explain-table");
  return {
    element: h("div", {}, twin.element),
    show(input, row, place) {
      twin.show(() => {
        const values = rowOf(input.values, place);
        const errors = input.errors && rowOf(input.errors, place);
        return {
          heads: [input.info.unit, "attribution", ...(errors === null ? [] : ["± (95 %)"])],
          rows: strongest(values.subarray(0, featureCount(input, row))).map((index) => [
            featureLabel(input, row, index),
            values[index]!,
            ...(errors === null ? [] : [INTERVAL * errors[index]!]),
          ]),
        };
      });
    },
  };
}
