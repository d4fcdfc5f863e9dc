/** Presence for a web page: types of rollcall.js. */

export type State = "online" | "busy" | "away" | "suspect" | "offline" | (string & {});
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
  /** Why the last connection went: closed, lost, timeout, kicked, expired, replaced, drain, … */
  reason?: string;
}

/** A place in a room's order. Another epoch: the server lost the room meanwhile. */
export interface Place {
  epoch: number;
  offset: number;
}

/** Where a room stands: its members, and how often these have changed in this epoch. */
export interface Members {
  count: number;
  membership: number;
}

/**
 * What a big room is told in place of `join` and `leave`, once a second at most. `list` false: a list of its members is no
 * longer right, ask `who` again. Else `joined` and `left`: users who came or went behind the position `since`; or `members`:
 * the room is small again, and this is everybody.
 */
export interface RoomEvent extends Members {
  room: string;
  since: number;
  list: boolean;
  joined?: string[];
  left?: string[];
  members?: string[];
}

export interface Events {
  /** The connection itself. `wait_ms` until the next try, while waiting. */
  state: { state: LinkState; code?: number; reason?: string; wait_ms?: number; failures?: number };
  /** After five failures in a row: ask the person, then call `retry()`. */
  stuck: { code: number; reason: string; failures: number; retry(): void };
  /** For good: closed here, kicked (4403), replaced (4409), or a token is wrong and cannot be renewed (4401). */
  closed: { code: number; reason: string; final: true; byServer: boolean };
  welcome: { id: string; user: string | null; heartbeat: { interval_ms: number; timeout_ms: number }; time_ms: number };
  presence: View;
  /** `membership` counts up by one. `epoch` and `offset` where this client itself was brought in or out. */
  join: Members & Partial<Place> & { room: string; user: string };
  leave: Members & Partial<Place> & { room: string; user: string };
  room: RoomEvent;
  say: { room: string; from: string; data: unknown; epoch: number; offset: number; time_ms: number };
  tell: { from: string; data: unknown; time_ms: number };
  broadcast: { data: unknown; time_ms: number };
  goodbye: { code: number; reason: string; retry_ms?: number };
  /** In the room again after a reconnect. `missed` messages were said meanwhile; null: nobody knows. */
  rejoin: { room: string; count: number; before: Place; after: Place; missed: number | null };
  rtt: { rtt_ms: number; time_ms: number };
  renewed: { user: string | null; expires_ms?: number };
  /** Something that nobody waited for went wrong, such as a rejoin. */
  warning: { error: Error };
  command: { seq: number; cmd: string; params: unknown };
  answer: { seq: number; cmd: string; body: Answer };
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
  /** A token, or what gets one: before each connection, and before it is over. */
  token?: string | ((why: "connect" | "renew") => string | undefined | Promise<string | undefined>);
  /** How the token travels. Default: as a subprotocol, which is in no log. */
  tokenIn?: "subprotocol" | "query";
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
  /** For tests: stand-ins for WebSocket, timers, clocks, window, document. */
  env?: Record<string, unknown>;
}

/** `code` is the server's (400, 401, 403, 404, 413, 429, 503), or a word. */
export declare class RollcallError extends Error {
  code: number | "timeout" | "lost" | "busy" | "closed";
  cmd: string;
}

export declare class Rollcall {
  readonly id: string | null;
  readonly user: string | null;
  readonly state: LinkState;
  readonly rtt: number | null;
  on<E extends keyof Events>(event: E, listener: (detail: Events[E], event: E) => void): () => void;
  on(event: string, listener: (detail: unknown, event: string) => void): () => void;
  off(event: string, listener: (...args: never[]) => void): void;
  join(room: string): Promise<Answer & Place & Members>;
  leave(room: string): Promise<Answer>;
  /** A page is exact at its `membership`: events with a larger one change it. */
  who(room: string, page?: { limit?: number; after?: string }): Promise<Answer & Place & Members & { users: View[]; next: string | null }>;
  say(room: string, data: unknown, options?: { echo?: boolean }): Promise<Answer & Place>;
  tell(user: string, data: unknown): Promise<Answer & { delivered: number }>;
  watch(users: Iterable<string>, options?: { suspect?: boolean }): Promise<View[]>;
  unwatch(users: Iterable<string>): Promise<void>;
  presence(users: Iterable<string>): Promise<View[]>;
  status(state?: "online" | "away" | "busy" | null, info?: unknown): Promise<Answer>;
  ping(timeoutMs?: number): Promise<number>;
  request(cmd: string, params?: unknown, options?: { timeoutMs?: number }): Promise<Answer>;
  retry(): void;
  close(reason?: string): void;
}

export declare function connect(options?: Options): Rollcall;
