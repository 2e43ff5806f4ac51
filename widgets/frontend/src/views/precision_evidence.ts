// What one decision on the precision of a layer was made from.
import { h, setText } from "../dom";
import { formatInteger, formatNumber } from "../format";
import type { Revision } from "../generated/messages";
import type { Decision, Loss } from "../precision";

export function evidenceView() {
  const title = h("h4");
  const reason = h("p");
  const list = h("dl");
  const element = h("div", { class: "ds-evidence", "aria-live": "polite", "data-testid": "precision-evidence" }, title, reason, list);
  let told = "";
  return {
    element,
    /** Nothing was decided on a layer that a revision left out. */
    show(layer: string, revision: Revision, decision: Decision | undefined): void {
      const facts = decision === undefined ? [] : factsOf(revision, decision);
      const now = JSON.stringify([layer, revision.step, facts]);
      if (now === told) return;
      told = now;
      setText(title, `${layer}, step ${formatInteger(revision.step)}, epoch ${formatInteger(revision.epoch)}: ${decision?.dtype ?? "not decided"}`);
      setText(reason, decision === undefined ? "" : `Policy ${revision.policy}: ${decision.reason}.`);
      list.replaceChildren(...facts.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]));
    },
  };
}

function factsOf({ half }: Revision, decision: Decision): [name: string, text: string][] {
  return [
    [`would become zero in ${half}`, lossText(decision.underflow)],
    ["would lose precision", lossText(decision.subnormal)],
    ["would become infinite", lossText(decision.overflow)],
    ["would become noise", `${shareText(decision.noise.share)} of the variance of its ${decision.noise.of || "values"}`],
    ["gradient norm", formatNumber(decision.gradientNorm)],
    ["parameters", formatInteger(decision.numel)],
  ];
}

function lossText({ share, of }: Loss): string {
  return of === "" ? shareText(share) : `${shareText(share)} of its ${of}`;
}

/** Small shares matter: they keep their digits. */
export function shareText(share: number): string {
  return share === 0 ? "none" : `${formatNumber(100 * share, 3)} %`;
}
