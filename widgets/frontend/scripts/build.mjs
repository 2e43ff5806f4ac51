// Bundles the notebook widget and the report's script into widgets/static, which is committed.
import { build } from "esbuild";
import { notice } from "./notice.mjs";
import { workerText } from "./worker.mjs";

const common = { bundle: true, minify: true, target: "es2022", charset: "utf8", legalComments: "none", plugins: [workerText] };
const scripts = { ...common, banner: notice };

await build({ ...scripts, entryPoints: ["src/widget.ts"], format: "esm", outfile: "../static/widget.js" });
await build({ ...scripts, entryPoints: ["src/report.ts"], format: "iife", outfile: "../static/report.js" });
await build({ ...common, entryPoints: ["src/explanation_widget.ts"], format: "esm", outfile: "../static/explanation.js" });
await build({ ...common, entryPoints: ["src/explanation_alone.ts"], format: "iife", outfile: "../static/explanation_page.js" });
await build({ ...common, entryPoints: ["src/widget.css"], outfile: "../static/widget.css" });
