// Generated from requests.schema.json by "npm run generate"; schema sha256: 6cbba3e9d46884da017558e31bd457130f1e35e61c3ab8e3d0e2ec0c10a43566
/**
 * Everything that travels over the control comm: requests of the browser and the replies to them.
 */
export type ControlMessage =
  | SessionsRequest
  | CommandRequest
  | FollowRequest
  | UnfollowRequest
  | SeenRequest
  | CancelExplaining
  | SessionsReply
  | Answer;
export type Id = number;
export type Key = string;
export type Command = Plain | SetFactor | SetValue | SetClip | BreakOn | WatchCloser | AskDetail;
export type Site = string;
export type Text = string;

/**
 * Asks for the sessions of the Jupyter kernel; also tells that the page is still there.
 */
export interface SessionsRequest {
  type: "sessions";
  id: Id;
}
/**
 * Asks a session to obey a command between two steps.
 */
export interface CommandRequest {
  type: "command";
  id: Id;
  session: Key;
  command: Command;
}
export interface Plain {
  verb: "pause" | "resume" | "step_once" | "stop" | "explain";
}
export interface SetFactor {
  verb: "set_lr" | "set_weight_decay";
  factor: number;
}
export interface SetValue {
  verb: "set_lr" | "set_weight_decay";
  value: number;
}
export interface SetClip {
  verb: "set_clip";
  max_norm: number | null;
}
export interface BreakOn {
  verb: "break_on";
  condition: string;
}
export interface WatchCloser {
  verb: "watch_closer";
  site: Site | null;
}
export interface AskDetail {
  verb: "ask_detail";
  site: Site;
}
/**
 * Asks for the messages of a session, to be sent on the comm that `stream` names.
 */
export interface FollowRequest {
  type: "follow";
  id: Id;
  session: Key;
  stream: Key;
  /**
   * Whether BokehJS shall come with the charts.
   */
  bokeh?: boolean;
}
/**
 * Ends a stream.
 */
export interface UnfollowRequest {
  type: "unfollow";
  id: Id;
  stream: Key;
}
/**
 * Tells whether the page sees a view: what no page sees is told nothing new.
 */
export interface SeenRequest {
  type: "seen";
  id: Id;
  view: Key;
  sees: boolean;
}
/**
 * Asks for an end of what is computed for a view.
 */
export interface CancelExplaining {
  type: "cancel";
  id: Id;
  view: Key;
}
export interface SessionsReply {
  type: "sessions";
  id: Id;
  /**
   * @maxItems 100
   */
  sessions: SessionInfo[];
}
export interface SessionInfo {
  key: Key;
  title: Text;
  state: "running" | "paused" | "closed" | "interrupted";
  step: number;
  path: Text;
}
/**
 * Null when the request was taken up, otherwise a sentence that says why not.
 */
export interface Answer {
  type: "answer";
  id: Id;
  error: Text | null;
}
