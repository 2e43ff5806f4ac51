// Generated from messages.schema.json by "npm run generate"; schema sha256: fb28b1fe7720a011994ea626c8b949331cc2790caee6a817fd0a043cb467d513
// Generated from requests.schema.json by "npm run generate"; schema sha256: ecf891f6a3fd4c5a1de9b235d5901ccd7e7ee9bf50dd629c492afc4dd02b4292
// Generated from explanations.schema.json by "npm run generate"; schema sha256: ee5a9fb8c748d33d306e04690bf8199f4aae0db9af65b61fdaed8000f0ef0021
import type { Charts, Detail, End, Graph, Increment, Setup, Snapshot } from "./messages";
import type { Answer, SessionsReply } from "./requests";
import type { AttentionMessage, AttributionMessage, Choices, Progress } from "./explanations";
export function isSetup(message: unknown): message is Setup;
export function isCharts(message: unknown): message is Charts;
export function isSnapshot(message: unknown): message is Snapshot;
export function isIncrement(message: unknown): message is Increment;
export function isGraph(message: unknown): message is Graph;
export function isDetail(message: unknown): message is Detail;
export function isEnd(message: unknown): message is End;
export function isSessionsReply(message: unknown): message is SessionsReply;
export function isAnswer(message: unknown): message is Answer;
export function isAttributionMessage(message: unknown): message is AttributionMessage;
export function isAttentionMessage(message: unknown): message is AttentionMessage;
export function isChoices(message: unknown): message is Choices;
export function isProgress(message: unknown): message is Progress;
