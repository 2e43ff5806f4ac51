// Generated from messages.schema.json by "npm run generate"; schema sha256: 7956052b91b05002d6c8ca13ff40b19845bc146e2885ce6b42d4c60640430ecf
// Generated from requests.schema.json by "npm run generate"; schema sha256: 6cbba3e9d46884da017558e31bd457130f1e35e61c3ab8e3d0e2ec0c10a43566
// Generated from explanations.schema.json by "npm run generate"; schema sha256: f8538461b6e3a028df5d722714bdbb2777be8bb2c9a88017690d92f0a1f441f0
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
