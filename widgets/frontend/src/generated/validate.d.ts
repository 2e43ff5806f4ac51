// Generated from messages.schema.json by "npm run generate"; schema sha256: 6aebb2e790bf63510bb2e952ee3a8e2c243c7fe874cddb7b2ba400f77e288c18
// Generated from requests.schema.json by "npm run generate"; schema sha256: 86c83df354ef8b564052267a5c81265d81d8ad6df56b1cb9168a602fd494dc29
import type { Detail, Graph, Increment, Setup, Snapshot } from "./messages";
import type { Answer, SessionsReply } from "./requests";
export function isSetup(message: unknown): message is Setup;
export function isSnapshot(message: unknown): message is Snapshot;
export function isIncrement(message: unknown): message is Increment;
export function isGraph(message: unknown): message is Graph;
export function isDetail(message: unknown): message is Detail;
export function isSessionsReply(message: unknown): message is SessionsReply;
export function isAnswer(message: unknown): message is Answer;
