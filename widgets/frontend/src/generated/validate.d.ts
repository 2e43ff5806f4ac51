// Generated from messages.schema.json by "npm run generate"; schema sha256: 5f10f2cab6eb01abfae417270ad6f143d13bc00d8e32cb72b4a481eb495c9e96
// Generated from requests.schema.json by "npm run generate"; schema sha256: 082f6e42f827d0654f6de6166c17798fc1b6b2ba006ef1bb2d080a33d8953188
import type { Graph, Increment, Setup, Snapshot } from "./messages";
import type { Answer, SessionsReply } from "./requests";
export function isSetup(message: unknown): message is Setup;
export function isSnapshot(message: unknown): message is Snapshot;
export function isIncrement(message: unknown): message is Increment;
export function isGraph(message: unknown): message is Graph;
export function isSessionsReply(message: unknown): message is SessionsReply;
export function isAnswer(message: unknown): message is Answer;
