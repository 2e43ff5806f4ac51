// Generated from messages.schema.json by "npm run generate"; schema sha256: c58326262727be3c5cfe3750eef9c9d2a9d4a5d4d8e15939abbd0f98bf7416ba
// Generated from requests.schema.json by "npm run generate"; schema sha256: 082f6e42f827d0654f6de6166c17798fc1b6b2ba006ef1bb2d080a33d8953188
import type { Increment, Setup, Snapshot } from "./messages";
import type { Answer, SessionsReply } from "./requests";
export function isSetup(message: unknown): message is Setup;
export function isSnapshot(message: unknown): message is Snapshot;
export function isIncrement(message: unknown): message is Increment;
export function isSessionsReply(message: unknown): message is SessionsReply;
export function isAnswer(message: unknown): message is Answer;
