// What the rules found, with evidence, cause and fix.
import { h, setText } from "../dom";
import { formatInteger } from "../format";
import type { FindingInfo } from "../generated/messages";
import type { Host, View } from "./view";

const WORDS = { error: "Error", warning: "Warning", info: "Note" } as const;

export function findingsView(host: Host, parent: HTMLElement): View {
  const count = h("span", { class: "ds-note" });
  const list = h("ul", { class: "ds-findings", "aria-live": "polite" });
  const none = h("p", { class: "ds-empty", "data-testid": "no-findings" }, "Nothing suspicious so far.");
  const element = h(
    "section",
    { class: "ds-card ds-findings-card" },
    h("div", { class: "ds-section-head" }, h("h3", {}, "Findings"), count),
    none,
    list,
  );
  let shown: FindingInfo[] = [];
  parent.append(element);

  return {
    update({ findings, layers }) {
      if (findings === shown) return;
      const before = shown;
      shown = findings;
      const grown = before.length > 0 && before.every((finding, i) => same(finding, findings[i]));
      if (!grown) list.replaceChildren();
      const select = (site: string) => {
        const layer = layers.findIndex(({ name }) => name === site || site.startsWith(`${name}.`));
        if (layer >= 0) host.select({ layer });
      };
      for (const finding of findings.slice(grown ? before.length : 0)) list.prepend(item(finding, select));
      none.hidden = findings.length > 0;
      setText(count, findings.length > 0 ? formatInteger(findings.length) : "");
    },
  };
}

function item(finding: FindingInfo, select: (site: string) => void): HTMLElement {
  const badge = h("span", { class: "ds-badge", "data-severity": finding.severity }, WORDS[finding.severity]);
  const site = h("button", { type: "button", title: "Show this layer" }, finding.site);
  site.addEventListener("click", () => select(finding.site));
  const evidence = finding.evidence.flatMap(({ name, value }) => [h("dt", {}, name), h("dd", {}, value)]);
  return h(
    "li",
    { "data-testid": "finding", "data-rule": finding.rule, "data-severity": finding.severity },
    h("p", { class: "ds-where" }, badge, site, h("span", { class: "ds-note" }, `step ${formatInteger(finding.step)}`)),
    h("p", {}, finding.message),
    h("p", { class: "ds-fix" }, h("b", {}, "Fix: "), finding.fix),
    h("details", {}, h("summary", {}, "Cause and evidence"), h("p", {}, finding.cause), h("dl", {}, ...evidence)),
  );
}

function same(a: FindingInfo, b: FindingInfo | undefined): boolean {
  return b !== undefined && a.rule === b.rule && a.site === b.site && a.step === b.step;
}
