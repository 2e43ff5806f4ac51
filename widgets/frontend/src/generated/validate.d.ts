// Generated from messages.schema.json by "npm run generate"; schema sha256: c58326262727be3c5cfe3750eef9c9d2a9d4a5d4d8e15939abbd0f98bf7416ba
// Generated from requests.schema.json by "npm run generate"; schema sha256: fa298ab7d8aa92358af1a02034ec88e7fc51726e6fec21384e051e95b8eb1e09
import type { Increment, Setup, Snapshot } from "./messages";
import type { Answer, SessionsReply } from "./requests";
export function isSetup(message: unknown): message is Setup;
export function isSnapshot(message: unknown): message is Snapshot;
export function isIncrement(message: unknown): message is Increment;
export function isSessionsReply(message: unknown): message is SessionsReply;
export function isAnswer(message: unknown): message is Answer;
