/** Presence for a web page: types of rollcall.js. */

/** The set is open: servers may know more. `unknown`: the server that knows is out of reach, or has not been asked yet. */
export type State = "online" | "busy" | "away" | "invisible" | "suspect" | "offline" | "unknown" | (string & {});
/** What carries the connection: a WebSocket; where none gets through, an event stream and posts; else polls and posts. */
export type Carrier = "websocket" | "events" | "poll";
export type LinkState = "connecting" | "open" | "waiting" | "stuck" | "closed";

/** What is true of a user. Times are Unix milliseconds. */
export interface View {
  user: string;
  state: State;
  connections: number;
  version?: number;
  last_seen_ms?: number | null;
  since_ms?: number | null;
  info?: unknown;
  /** Why the last connection went: closed, lost, timeout, kicked, expired, replaced, drain, hidden, … */
  reason?: string;
}

/** A place in a room's order. Another epoch: the server lost the room meanwhile. */
export interface Place {
  epoch: number;
  offset: number;
}

/** What is said: JSON as it was, or an ArrayBuffer where it was bytes. `{"$binary": "base64"}` is JSON's way to write bytes, and comes as bytes too. */
export type Data = unknown;

/** A message that a room keeps. What its author's user was deleted with keeps its place alone. */
export type Kept =
  | { from: string | null; data: Data; offset: number; time_ms: number; deleted?: undefined }
  | { deleted: true; offset: number; time_ms: number };

/** How many are in a room, and as of which of its changes: they are counted within an epoch. Older servers count none. */
export interface Membership {
  count: number;
  membership?: number;
}

export interface Events {
  /** The connection itself. `wait_ms` until the next try, while there is one. */
  state: { state: LinkState; code?: number; reason?: string; wait_ms?: number; failures?: number; user?: string | null; id?: string };
  /** Something else carries it: after a reconnect, or as it goes on, once a WebSocket gets through again. */
  carrier: { carrier: Carrier; before: Carrier | null };
  /** Five failures in a row: ask the person. Tries go on, 30 to 60 s apart, unless `giveUp` was set; `retry()` tries at once. */
  stuck: { code: number; reason: string; failures: number; wait_ms?: number; retry(): void };
  /** For good: closed here (4000), kicked (4403), replaced (4409), or a token is wrong and cannot be renewed (4401). */
  closed: { code: number; reason: string; final: true; byServer: boolean };
  welcome: { id: string; user: string | null; heartbeat: { interval_ms: number; timeout_ms: number }; time_ms: number };
  /** Of everybody who is watched, also for a list. */
  presence: View;
  /** `by`: the server put the user there, or took it out. */
  join: Membership & { room: string; user: string; by?: "server" } & Partial<Place>;
  leave: Membership & { room: string; user: string; by?: "server" } & Partial<Place>;
  /**
   * Of big rooms, in place of `join` and `leave`, once a second at most. `list` false: a list of the members is no longer right, ask
   * `who` again. Else `joined` and `left`, who came or went behind the position `since`; or `members`, where it is small again.
   */
  room: Membership & { room: string; since?: number; list?: boolean; joined?: string[]; left?: string[]; members?: string[] } & Partial<Place>;
  /** The server took this user out of a room: it is not gone back to. */
  left: { room: string; by: "server" };
  /**
   * `from` is null where it came from outside, through the API. In order and once: what was said while the connection was away
   * comes behind `rejoin`, before anything that is said live, and has `missed`.
   */
  say: { room: string; from: string | null; data: Data; time_ms: number; missed?: true } & Place;
  tell: { from: string | null; data: Data; time_ms: number };
  broadcast: { data: unknown; time_ms: number };
  goodbye: { code: number; reason: string; retry_ms?: number };
  /**
   * In the room again after a reconnect. `missed` messages were said meanwhile; null: nobody knows, for the room began anew. They
   * follow as `say`: `recovered`, all of them; else those from `gap.from` to `gap.to` are lost, or too many to be told by themselves:
   * `history` may have them.
   */
  rejoin: { room: string; count: number; before: Place; after: Place; missed: number | null; recovered: boolean; gap: { from: number; to: number } | null };
  rtt: { rtt_ms: number; time_ms: number };
  renewed: { user: string | null; expires_ms?: number };
  /** Something that nobody waited for went wrong: a room or users were refused, for now (429, 503, `timeout`: it is tried again) or for good (400, 401 to who is nobody, 403, 404, 413: they are not wanted any more). */
  warning: { error: Error; room?: string; users?: string[] };
  command: { seq: number; cmd: string; params: unknown };
  answer: { seq: number; cmd: string; body: Answer };
  heartbeat: { time_ms: number };
}

export interface Answer {
  code: number;
  error?: string;
  [field: string]: unknown;
}

export interface Options {
  /** Default: `/ws` of the server that this module came from. */
  url?: string | URL;
  /**
   * Who this is, on a server that takes people at their word (`--auth none`). Names of users and rooms are 1 to 128 bytes of
   * UTF-8 without control characters and `*`, and without a space at either end; they are compared byte by byte.
   */
  user?: string;
  /** A token, or what gets one: before each connection, and before it is over. More than 10 s count as a failure, and so does what can't be a token. None: a cookie, or nobody. */
  token?: string | ((why: "connect" | "renew") => string | undefined | Promise<string | undefined>);
  /** How the token travels. Default: as a subprotocol, or in the header `Authorization`, which are in no log. */
  tokenIn?: "subprotocol" | "query";
  /** What may carry it, tried in the order of the default: `["websocket", "events", "poll"]`. */
  carriers?: readonly Carrier[];
  /** JSON for all who see this user. */
  info?: unknown;
  /** false: the page's visibility does not make the user `away`. */
  away?: boolean;
  /** How long the page has to be hidden for that, in ms. Default 1500. */
  hiddenMs?: number;
  /** At most so long between two heartbeats, in ms. Default: what the server says. */
  heartbeatMs?: number;
  /** How long a command may take, in ms. Default 10000. */
  timeoutMs?: number;
  /** No more tries after so many failures in a row. Default: they go on. */
  giveUp?: number;
  /** For tests: stand-ins for WebSocket, fetch, storage (a function), timers, clocks, window, document, navigator. */
  env?: Record<string, unknown>;
}

/** `code` is the server's (400, 401, 403, 404, 413, 429, 503), or a word. `left`: it was not wanted any more before it was done. */
export declare class RollcallError extends Error {
  constructor(code: RollcallError["code"], message: string, cmd?: string);
  code: number | "timeout" | "lost" | "busy" | "left" | "closed";
  cmd?: string;
}

/** A list as it was at one time; it never changes. */
export interface Snapshot {
  readonly users: readonly Readonly<View>[];
  readonly count: number;
  readonly complete: boolean;
  readonly error: RollcallError | null;
}

/** A list that keeps itself, until it is closed. */
export interface List extends Iterable<Readonly<View>> {
  /** How many there are: members of the room, as the server counts them; of users those who are not offline. */
  readonly count: number;
  /** How many are named here. */
  readonly size: number;
  /** It is all of them, and right now. Not while the connection is away, nor where the room has more than `limit`, nor while more come and go in a big room than the server tells, nor where some of it was left out for a slow reader. */
  readonly complete: boolean;
  /** The server refused the room, or took this user out of it: the list is over. Of users: the last one who was refused. */
  readonly error: RollcallError | null;
  /** The same object until something changes. */
  readonly snapshot: Snapshot;
  get(user: string): Readonly<View> | undefined;
  /** Once for all that came at once; returns what stops it. */
  on(event: "change", listener: (snapshot: Snapshot) => void): () => void;
  /** The same, for React's `useSyncExternalStore(list.subscribe, () => list.snapshot)`. */
  readonly subscribe: (listener: (snapshot: Snapshot) => void) => () => void;
  close(): void;
}

export declare class Rollcall {
  constructor(options?: Options);
  readonly id: string | null;
  readonly user: string | null;
  readonly state: LinkState;
  readonly rtt: number | null;
  /** null while nothing does. */
  readonly carrier: Carrier | null;
  on<E extends keyof Events>(event: E, listener: (detail: Events[E], event: E) => void): () => void;
  on(event: "*", listener: (detail: unknown, event: string) => void): () => void;
  off<E extends keyof Events>(event: E, listener: (detail: Events[E], event: E) => void): void;
  off(event: "*", listener: (detail: unknown, event: string) => void): void;
  /** Resolves once it is in, however long that takes; rejects where it is refused (401 to who is nobody), or left before. Counts: leave it as often. */
  join(room: string): Promise<Answer & Place & Membership>;
  leave(room: string): Promise<Answer>;
  members(room: string, options?: { limit?: number }): List;
  /** At 768 watches of the connection lists watch nobody more: further people are left out of this one, and `error` is 429. */
  users(names: Iterable<string>): List;
  who(room: string, page?: { limit?: number; after?: string }): Promise<Answer & Partial<Place> & Membership & { users: View[]; next?: string | null }>;
  /**
   * JSON, or bytes: an ArrayBuffer, a typed array, a Blob. It is said once, also where the connection is lost before the answer: then
   * it is sent again under its `id`, which is made up unless it is given (1 to 64 characters; one message, one `id`).
   */
  say(room: string, data: Data, options?: { echo?: boolean; id?: string }): Promise<Answer & Place>;
  tell(user: string, data: Data): Promise<Answer & { delivered: number }>;
  /** What the room keeps of what was said, oldest first: the newest, or those before an offset, or after one. From `first` to `last` is all that it keeps: nothing, where `first` is behind `last`. */
  history(room: string, page?: { before?: number; after?: number; limit?: number }): Promise<Answer & { messages: Kept[]; epoch: number; first: number; last: number }>;
  /** As `join`: resolves once they are watched, and counts. */
  watch(users: Iterable<string>, options?: { suspect?: boolean }): Promise<View[]>;
  unwatch(users: Iterable<string>): Promise<void>;
  presence(users: Iterable<string>): Promise<View[]>;
  /**
   * `null` leaves it to the page's visibility. A state is said each time, and `online` ends the user's `busy` or `invisible`, of
   * whichever connection; who is `invisible` is offline to all but its own connections, and in no list; `info` alone changes no state. `ttl`: after so many seconds `info` is over. The answer's `state` is what became true.
   */
  status(state?: "online" | "away" | "busy" | "invisible" | null, info?: unknown, options?: { ttl?: number }): Promise<Answer>;
  ping(timeoutMs?: number): Promise<number>;
  request(cmd: string, params?: unknown, options?: { timeoutMs?: number }): Promise<Answer>;
  retry(): void;
  /** Says goodbye: others see it at once. */
  close(reason?: string): void;
}

export declare function connect(options?: Options): Rollcall;
