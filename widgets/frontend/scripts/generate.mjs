// Writes the types of both languages and the browser's validator from the one schema of the messages.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import Ajv from "ajv";
import standaloneCode from "ajv/dist/standalone/index.js";
import { compile } from "json-schema-to-typescript";

const text = readFileSync("../schema/messages.schema.json", "utf8");
const schema = JSON.parse(text);
const banner = `// Generated from messages.schema.json by "npm run generate"; schema sha256: ${createHash("sha256").update(text).digest("hex")}\n`;

mkdirSync("src/generated", { recursive: true });

const types = await compile(schema, "Message", { bannerComment: "", additionalProperties: false, ignoreMinAndMaxItems: true });
writeFileSync("src/generated/messages.ts", banner + types);

const ajv = new Ajv({ code: { source: true, esm: true }, allowUnionTypes: true });
ajv.addSchema({ ...schema, $id: "messages" });
const names = { isSetup: "Setup", isSnapshot: "Snapshot", isIncrement: "Increment" };
const references = Object.fromEntries(Object.entries(names).map(([f, d]) => [f, `messages#/definitions/${d}`]));
writeFileSync("src/generated/validate.js", `${banner}/* eslint-disable */\n${standaloneCode(ajv, references)}\n`);
writeFileSync(
  "src/generated/validate.d.ts",
  banner +
    'import type { Increment, Setup, Snapshot } from "./messages";\n' +
    Object.entries(names)
      .map(([f, d]) => `export function ${f}(message: unknown): message is ${d};\n`)
      .join(""),
);

writeFileSync("../message_types.py", execFileSync("python3", ["scripts/python_types.py"]));
