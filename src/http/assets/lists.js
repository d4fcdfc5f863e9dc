// lists.js: lists that keep themselves. It is delivered behind rollcall.js, in the same module.

/** How many a list of a room names at most, where nothing else is said, and how many watches there are where lists take no more: the server's bound is 1,024, and the page itself wants some. */
const LIST_MAX = 1000;
const LIST_WATCHES_MAX = 768;
/** A list that the server can't keep is asked for again after so long, more each time. */
const LIST_MS = 2000;
/** A big room tells what changed once a second: after so long the changes were over. */
const CALM_MS = 1200;
/** A list that changes too fast for longer than this is asked for more seldom. */
const STORM_MS = 5000;

/** A list as the page sees it: `members` and `users` make them. */
class List {
  #kept; #offs = new Set();
  /** For who takes functions, such as React's useSyncExternalStore(list.subscribe, () => list.snapshot). */
  subscribe = (listener) => this.on("change", listener);

  constructor(kept) {
    this.#kept = kept;
    kept.faces += 1;
  }

  /** How many there are: members of the room, as the server counts them; of users those who are not offline. */
  get count() {
    return this.#kept.count;
  }

  /** How many are named here. */
  get size() {
    return this.#kept.users.size;
  }

  /** Whether it is all of them, and right now: not while the connection is away, nor in a room too big to be listed. */
  get complete() {
    return this.#kept.complete;
  }

  /** Why there is nothing to keep: the server refused it. */
  get error() {
    return this.#kept.error;
  }

  /** The same object until something changes. */
  get snapshot() {
    return this.#kept.snapshot();
  }

  get(user) {
    return this.#kept.users.get(user);
  }

  [Symbol.iterator]() {
    return this.#kept.users.values();
  }

  /** `change`, with the snapshot: once for all that came at once. */
  on(name, listener) {
    // Nothing more is heard of a closed list.
    if (!this.#offs) return () => {};
    const off = this.#kept.bus.on(name, listener);
    const end = () => {
      off();
      this.#offs?.delete(end);
    };
    this.#offs.add(end);
    return end;
  }

  /** Keeps it no longer, and gives back what it held. */
  close() {
    if (!this.#offs) return;
    for (const off of this.#offs) off();
    this.#offs = null;
    this.#kept.faces -= 1;
    if (!this.#kept.faces) this.#kept.end();
  }
}

/** The one thing behind all the faces of a list. */
class Kept {
  users = new Map(); bus = new Bus(); faces = 0; complete = false; error = null;
  #shot = null; #due = false;

  constructor(link) {
    this.link = link;
  }

  snapshot() {
    const { count, complete, error } = this;
    this.#shot ??= Object.freeze({ users: Object.freeze([...this.users.values()]), count, complete, error });
    return this.#shot;
  }

  changed() {
    this.#shot = null;
    if (this.#due) return;
    this.#due = true;
    queueMicrotask(() => {
      this.#due = false;
      this.bus.emit("change", this.snapshot());
    });
  }

  /** A user as the list shows it. */
  put(user, { reason, version, ...view }) {
    this.users.set(user, Object.freeze({ ...view, user }));
  }

  end() {
    this.link.cancel();
    this.link.forget(this);
    for (const user of this.users.keys()) this.unput(user);
  }
}

/** Users who are watched for a list. */
class Users extends Kept {
  #missing;

  constructor(names, link) {
    super(link);
    this.names = new Set(names);
    this.#missing = new Set(names);
  }

  begin() {
    for (const user of [...this.names]) {
      if (!this.link.mayHold(user)) {
        const error = new RollcallError(429, `lists watch nobody more than ${LIST_WATCHES_MAX} users`, "watch");
        this.refused({ users: [user] }, error);
        continue;
      }
      const view = this.link.hold(user);
      if (view) {
        this.saw(view);
        this.watched(user);
      }
    }
    this.complete = this.#missing.size === 0;
  }

  saw(view) {
    if (!this.names.has(view.user)) return;
    this.put(view.user, view);
    this.#checked();
  }

  watched(user, view) {
    if (!this.#missing.delete(user)) return;
    // It came as an event, before this list was there and after the answer was made.
    if (view && !this.users.has(user)) this.put(user, view);
    this.#checked();
  }

  refused({ users = [] }, error) {
    for (const user of users) {
      if (!this.names.delete(user)) continue;
      this.users.delete(user);
      this.#missing.delete(user);
      this.error = error;
      this.#checked();
    }
  }

  lost() {
    this.#missing = new Set(this.names);
    this.#checked();
  }

  get count() {
    return [...this.users.values()].filter(({ state }) => state !== "offline").length;
  }

  #checked() {
    this.complete = this.#missing.size === 0;
    this.changed();
  }

  end() {
    super.end();
    for (const user of this.names) this.link.release(user);
  }

  unput() {}
}

/** The members of a room. `membership` counts a room's changes; each page of `who` is exact as of its own, and events complete it. */
class Members extends Kept {
  count = 0;
  /** Users who are watched for it, and as of where each was heard of. */
  #held = new Set(); #at = new Map();
  /** Up to here the list has all; up to here nobody said what changed; as of here is the count; up to here changes were heard of. */
  #exact = -1; #lostAt = -1; #countAt = -1; #heardAt = -1;
  /** The room's epoch, in which all of these count. */
  #epoch;
  /** While pages are asked for: what events said meanwhile. */
  #changes = null; #tainted = false;
  #run = 0; #more = false; #tries = 0; #listedAt = -Infinity; #staleAt = -Infinity; #waits = false;
  /** Whether the room is held for it: not after a refusal, or when the server ended it. */
  #holds = true;

  constructor(room, limit, link) {
    super(link);
    Object.assign(this, { room, limit });
  }

  /** This connection is in the room: all is asked for anew. */
  entered({ count, membership, epoch }, fresh) {
    this.#began(epoch);
    if (fresh || !this.complete && !this.#changes && !this.#waits) this.#take();
    this.#counted(count, membership);
    this.#heardAt = Math.max(this.#heardAt, membership ?? -1);
    this.changed();
  }

  lost() {
    this.#stop();
    this.#forget();
    this.changed();
  }

  /** The next time in a room may be another epoch, which counts from the start. */
  #forget() {
    this.#exact = this.#lostAt = this.#countAt = this.#heardAt = -1;
    this.#epoch = undefined;
    this.#at.clear();
    this.#tries = 0;
  }

  /** Where the room has begun anew meanwhile, nothing that was heard of it counts. Says whether it has. */
  #began(epoch) {
    const isNew = epoch !== undefined && this.#epoch !== undefined && epoch !== this.#epoch;
    if (isNew) this.lost();
    this.#epoch = epoch ?? this.#epoch;
    return isNew;
  }

  #stop() {
    this.#run += 1;
    this.#changes = null;
    this.#waits = false;
    this.complete = false;
    this.link.cancel();
  }

  /** A list whose room was refused, or taken, is over; the next one is another. */
  refused({ room, users }, error) {
    for (const user of users ?? []) this.#held.delete(user);
    if (room !== this.room) return;
    this.#stop();
    this.#holds = false;
    this.link.forget(this);
    this.error = error;
    this.count = 0;
    for (const user of [...this.users.keys()]) this.#remove(user);
    this.changed();
  }

  hear(event, detail) {
    const { user, count, membership, epoch, since, by, list, joined, left, members } = detail;
    // Of the room that began anew this is the first word: the list is asked for, unless this is all of it.
    if (this.#began(epoch) && !members) this.#misses(membership);
    // To a slow reader the server leaves out what is old, in rooms that are so.
    const from = event === "room" ? since : membership - 1;
    // An order to this user itself is told out of turn, and a whole list needs nothing before it.
    if (!members && by !== "server" && this.#heardAt >= 0 && from > Math.max(this.#heardAt, this.#exact)) this.#misses(from);
    this.#heardAt = Math.max(this.#heardAt, membership ?? -1);
    if (event !== "room") {
      this.#apply(user, event === "join", membership);
    } else if (members) {
      this.#replace(new Map(members.map((name) => [name, { view: { user: name, state: "unknown" }, at: membership }])), membership);
      this.#run += 1;
      this.#done(members.length > this.limit, false);
    } else if (list) {
      for (const name of left ?? []) this.#apply(name, false, membership);
      for (const name of joined ?? []) this.#apply(name, true, membership);
    } else if (!(membership <= this.#exact)) {
      this.#misses(membership);
    }
    this.#counted(count, membership);
    // There is room for more than is named, or there are no more.
    if (this.#more && (this.count <= this.limit || this.users.size < this.limit) && !this.#changes && !this.#waits) this.#later();
    this.changed();
  }

  /** Something that was said in the room was left out, and so may be who came or went. */
  gap() {
    this.#misses();
    this.changed();
  }

  /** Changes were not told: the list is right again only when it was asked for behind these. */
  #misses(membership) {
    if (membership === undefined) this.#tainted = true;
    else this.#lostAt = Math.max(this.#lostAt, membership);
    this.complete = false;
    if (!this.#changes) this.#later(CALM_MS * (1 + this.link.random()));
  }

  saw(view) {
    const known = this.users.get(view.user);
    if (!known) return;
    this.put(view.user, { ...known, ...view, since_ms: known.state === view.state ? known.since_ms : undefined });
    this.changed();
  }

  /** Somebody looks again. */
  wake() {
    if (this.#waits === "hidden") this.#take();
  }

  #counted(count, membership) {
    if (count === undefined || membership < this.#countAt) return;
    this.count = count;
    this.#countAt = membership ?? -1;
  }

  #apply(user, isIn, membership) {
    this.#changes?.set(user, { isIn, membership });
    if (membership <= this.#exact || membership <= this.#at.get(user)) return;
    if (!isIn) this.#remove(user);
    else if (this.users.has(user) || this.users.size < this.limit) this.#add(user, { user, state: "online" }, membership);
    else this.#more = true;
    if (this.#more) this.complete = false;
  }

  #add(user, view, membership) {
    if (membership !== undefined) this.#at.set(user, membership);
    const known = this.users.get(user);
    if (!this.#held.has(user) && this.link.mayHold(user)) {
      this.#held.add(user);
      view = { ...view, ...this.link.hold(user) };
    }
    if (!known || view.since_ms !== undefined) this.put(user, this.link.newest({ ...known, ...view }));
  }

  #remove(user) {
    this.users.delete(user);
    this.unput(user);
  }

  unput(user) {
    this.#at.delete(user);
    if (this.#held.delete(user)) this.link.release(user);
  }

  /** Asks for all pages, and completes them by what was heard meanwhile. */
  async #take() {
    const run = ++this.#run;
    const changes = this.#changes = new Map(), found = new Map();
    this.#waits = this.#tainted = false;
    this.#listedAt = this.link.now();
    let after, floor = Infinity;
    try {
      do {
        const page = await this.link.who(after);
        if (run !== this.#run) return;
        // The pages before are of a room that is no more.
        if (this.#began(page.epoch)) return this.#take();
        for (const view of page.users) found.set(view.user, { view, at: page.membership });
        floor = Math.min(floor, page.membership ?? -1);
        this.#counted(page.count, page.membership);
        after = page.next;
      } while (after && found.size < this.limit);
    } catch (error) {
      if (run !== this.#run) return;
      this.#changes = null;
      if (!["lost", "closed"].includes(error.code)) this.#later();
      return;
    }
    // Of who is on no page one knows only that the list was taken behind the oldest of them.
    for (const [user, { isIn, membership }] of changes) {
      const { at = floor } = found.get(user) ?? {};
      if (membership <= at) continue;
      if (!isIn) found.delete(user);
      else found.set(user, { view: found.get(user)?.view ?? { user, state: "online" }, at: membership });
    }
    this.#replace(found, floor);
    this.#done(Boolean(after) || found.size > this.limit, this.#tainted || floor < this.#lostAt);
  }

  #replace(found, exact) {
    for (const user of [...this.users.keys()]) if (!found.has(user)) this.#remove(user);
    for (const [user, { view, at }] of found) {
      if (this.users.has(user) || this.users.size < this.limit) this.#add(user, view, at);
    }
    this.#exact = exact ?? -1;
  }

  #done(more, stale) {
    this.#changes = null;
    this.#more = more;
    this.complete = !more && !stale;
    if (stale) this.#later();
    this.changed();
  }

  /** Asks again: later each time, each client at another time, but soon where nothing more is heard for so long. */
  #later(calm = Infinity) {
    const now = this.link.now(), spread = LIST_MS * (0.5 + this.link.random() / 2);
    if (now - this.#staleAt > STORM_MS) this.#tries = 0;
    this.#staleAt = now;
    const due = Math.min(this.#listedAt + spread * 2 ** Math.min(this.#tries, 4), Math.max(this.#listedAt + spread, now + calm));
    this.#waits = true;
    this.link.after(Math.max(0, due - now), () => {
      this.#tries += 1;
      // Nobody sees a hidden page's list.
      if (this.link.hides()) this.#waits = "hidden";
      else this.#take();
    });
  }

  end() {
    this.#stop();
    super.end();
    if (this.#holds) this.link.leave();
  }
}
