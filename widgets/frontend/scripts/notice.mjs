// The licence of what is bundled, which every copy has to carry: dagre and graphlib have the same.
import { readFileSync } from "node:fs";

const licence = readFileSync(new URL("../node_modules/@dagrejs/dagre/LICENSE", import.meta.url), "utf8");

/** For esbuild's `banner`. */
export const notice = { js: `/*! @license dagre and graphlib\n\n${licence.trim()}\n*/` };
