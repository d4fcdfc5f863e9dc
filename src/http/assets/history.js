// history.js: what is said in a room, over reconnects. It is delivered behind rollcall.js, in the same module.

/** Messages of one gap that are asked for, and in one page; the page's own pace of asking again. */
const FILL_MAX = 2048, FILL_PAGE = 256, FILL_TRIES = 5, FILL_WAIT_MS = 500;
/** Messages that wait for older ones; places of messages of one's own that are yet to be passed. */
const HELD_MAX = 2048, OWN_MAX = 256;

/** What is said in one room: told in order, each message once, also where the connection was lost in between. */
class Stream {
  /** Up to here the page has heard everything that it can hear. */
  place;
  /** The same when the connection was lost, until what was said since is told. */
  before;
  #room; #link; #held = []; #own = new Set(); #run = 0;

  constructor(room, link) {
    this.#room = room;
    this.#link = link;
  }

  /** Something is said: it is told now, or behind what was missed. */
  hear(message) {
    if (!this.before) return this.#tell(message, true);
    this.#held.push(message);
    if (this.#held.length > HELD_MAX) this.#giveUp();
  }

  /** The page's own message has this place, and is not heard here. */
  spoke({ epoch, offset }) {
    if (this.place?.epoch !== epoch || offset <= this.place.offset) return;
    this.#own.add(offset);
    if (this.#own.size > OWN_MAX) this.#own.delete(this.#own.values().next().value);
    if (!this.before) this.#pass();
  }

  lost() {
    this.#run += 1;
    this.#held = [];
    this.#own.clear();
    if (this.place) this.before = this.place;
  }

  /** Another time in the room is another story. */
  forget() {
    this.lost();
    this.place = this.before = undefined;
  }

  /** The connection is in the room, at this place. `asks`: nobody said what the room remembers. */
  enter({ epoch, offset, count, recovered, messages = [], gap }, asks = false) {
    if (epoch === undefined) return;
    const { before } = this, after = { epoch, offset };
    if (!before) {
      if (this.place?.epoch !== epoch) this.place = after;
      return;
    }
    const run = ++this.#run;
    const from = before.epoch === epoch ? before.offset + 1 : 1;
    const missed = before.epoch === epoch ? Math.max(0, offset - before.offset) : null;
    const found = inOrder(messages, from, offset);
    const to = (found[0]?.offset ?? offset + 1) - 1;
    const end = (found, gap) => run === this.#run && this.#resume({ count, before, after, missed, gap }, found);
    if (from > to) return end(found, null);
    // Of a gap, all can be had; or some of it, where the room keeps anything at all.
    const has = gap && (recovered || messages.length > 0);
    if (!has && !(asks && missed)) return end(found, { from, to });
    this.#fill(epoch, found, { from, to }).then(([found, gap]) => end(found, gap));
  }

  /** Asks for what is missing, the newest first: what is found touches what is known. Returns all that is known, and what is still missing. */
  async #fill(epoch, found, { from, to }) {
    let tries = 0;
    while (to >= from && found.length < FILL_MAX) {
      try {
        const limit = Math.min(FILL_PAGE, to - from + 1);
        const body = await this.#link.history({ room: this.#room, before: to + 1, limit });
        const page = inOrder(body.messages, from, to);
        // The room may have forgotten the rest meanwhile, or begun anew.
        if (body.epoch !== epoch || page.at(-1)?.offset !== to) break;
        found = [...page, ...found];
        to = page[0].offset - 1;
        tries = 0;
      } catch (error) {
        if (error.code !== 429 && error.code !== 503 || ++tries > FILL_TRIES) break;
        await this.#link.wait(FILL_WAIT_MS * 2 ** tries);
      }
    }
    return [found, to >= from ? { from, to } : null];
  }

  #resume({ count, before, after, missed, gap }, found) {
    this.before = undefined;
    if (before.epoch !== after.epoch) this.place = undefined;
    this.#link.rejoin({ room: this.#room, count, before, after, missed, recovered: missed !== null && !gap, gap });
    for (const message of found) this.#tell({ room: this.#room, ...message, epoch: after.epoch, missed: true });
    if (this.place?.epoch !== after.epoch || this.place.offset < after.offset) this.place = after;
    this.#pass();
    for (const message of this.#held.splice(0)) this.#tell(message, true);
  }

  /** Too much is said for what was missed to be told first. */
  #giveUp() {
    this.#run += 1;
    const { before } = this, [{ epoch, offset }] = this.#held, after = { epoch, offset: offset - 1 };
    const missed = before.epoch === epoch ? Math.max(0, after.offset - before.offset) : null;
    const from = missed === null ? 1 : before.offset + 1;
    this.#resume({ before, after, missed, gap: from < offset ? { from, to: offset - 1 } : null }, []);
  }

  #tell(message, isLive = false) {
    const { place } = this, { epoch, offset } = message;
    if (place?.epoch === epoch) {
      if (offset <= place.offset) return;
      if (isLive && offset > place.offset + 1) this.#link.gap(this.#room);
    }
    this.place = { epoch, offset };
    this.#pass();
    if (!message.deleted) this.#link.tell(message);
  }

  #pass() {
    while (this.place && this.#own.delete(this.place.offset + 1)) this.place = { ...this.place, offset: this.place.offset + 1 };
  }
}

/** The messages from one offset up to another, oldest first. */
function inOrder(messages = [], from, to) {
  return messages.filter(({ offset }) => offset >= from && offset <= to).sort((a, b) => a.offset - b.offset).map(revived);
}

/** A name for a message that nothing else has: it is said once, however often it is sent. */
function newId({ crypto }) {
  const bytes = crypto.getRandomValues(new Uint8Array(15));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}

const isBlob = (data) => typeof Blob === "function" && data instanceof Blob;
const isBinary = (data) => data instanceof ArrayBuffer || ArrayBuffer.isView(data) || isBlob(data);

/** A command with bytes: its JSON, U+0000, the bytes. */
function framed(command, data) {
  const head = new TextEncoder().encode(`${JSON.stringify(command)}\0`);
  if (isBlob(data)) return new Blob([head, data]);
  const bytes = ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
  const all = new Uint8Array(head.length + bytes.length);
  all.set(head);
  all.set(bytes, head.length);
  return all;
}

/** What a socket heard: JSON, or the same with bytes behind it. */
function unframed(heard) {
  if (typeof heard === "string") return revived(JSON.parse(heard));
  const bytes = new Uint8Array(heard), end = bytes.indexOf(0);
  return { ...JSON.parse(new TextDecoder().decode(bytes.subarray(0, end))), data: heard.slice(end + 1) };
}

/** Bytes that came as JSON are bytes again. */
function revived(message) {
  const text = message?.data?.$binary;
  if (typeof text !== "string" || Object.keys(message.data).length !== 1) return message;
  try {
    return { ...message, data: Uint8Array.from(atob(text), (char) => char.charCodeAt(0)).buffer };
  } catch {
    return message;
  }
}
