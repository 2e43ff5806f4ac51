// Writes the types of both languages and the browser's validators from the schemas of the messages.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import Ajv from "ajv";
import standaloneCode from "ajv/dist/standalone/index.js";
import { compile } from "json-schema-to-typescript";

/** By schema: the module of the Python types, and what the browser checks. */
const SCHEMAS = {
  messages: { python: "message_types", checked: ["Setup", "Charts", "Snapshot", "Increment", "Graph", "Detail", "End"] },
  requests: { python: "request_types", checked: ["SessionsReply", "Answer"] },
  explanations: { python: "explanation_types", checked: ["AttributionMessage", "AttentionMessage", "Choices", "Progress"] },
};

mkdirSync("src/generated", { recursive: true });
const ajv = new Ajv({ code: { source: true, esm: true }, allowUnionTypes: true });
const banners = [];
const imports = [];
const references = {};

for (const [name, { python, checked }] of Object.entries(SCHEMAS)) {
  const text = readFileSync(`../schema/${name}.schema.json`, "utf8");
  const schema = JSON.parse(text);
  const digest = createHash("sha256").update(text).digest("hex");
  const banner = `// Generated from ${name}.schema.json by "npm run generate"; schema sha256: ${digest}\n`;
  const options = { bannerComment: "", additionalProperties: false, ignoreMinAndMaxItems: true };
  writeFileSync(`src/generated/${name}.ts`, banner + (await compile(schema, schema.title, options)));
  writeFileSync(`../${python}.py`, execFileSync("python3", ["scripts/python_types.py", name]));
  banners.push(banner);
  imports.push(`import type { ${checked.toSorted().join(", ")} } from "./${name}";\n`);
  ajv.addSchema({ ...schema, $id: name });
  for (const type of checked) references[`is${type}`] = `${name}#/definitions/${type}`;
}

const banner = banners.join("");
const checks = Object.keys(references).map(
  (check) => `export function ${check}(message: unknown): message is ${check.slice(2)};\n`,
);
writeFileSync("src/generated/validate.js", `${banner}/* eslint-disable */\n${standaloneCode(ajv, references)}\n`);
writeFileSync("src/generated/validate.d.ts", banner + imports.join("") + checks.join(""));
