// Rooms, watches and a status are what a page wants: each connection is brought to that.
(({ World, assert, failure, same, stands }) => ({
  async what_was_taken_back_is_not_done() {
    const world = new World();
    const me = world.connect();
    const join = me.join("r"), watch = me.watch(["ben"]);
    const left = me.leave("r"), unwatched = me.unwatch(["ben"]);
    same([await stands(join), await stands(watch), (await left).code, await stands(unwatched)], ["left", "left", 200, "done"], "settled");
    await world.welcome();
    same(world.socket.sent.length, 0, "nothing is asked");
  },
  async what_is_taken_back_unanswered_is_undone() {
    for (const lose of [false, true]) {
      const world = new World();
      const me = world.connect();
      await world.welcome();
      const join = me.join("r");
      await world.settle();
      const left = me.leave("r");
      await world.settle();
      same(await stands(join), "left", "settled");
      if (lose) {
        await world.lose();
        same((await left).code, 200, "by the loss");
        await world.pass(3000);
        await world.welcome();
        same(world.socket.sent.length, 0, "not done again");
      } else {
        same(world.sent("leave").length, 0, "one at a time");
        await world.answer("join", { count: 1, epoch: 1, offset: 0 });
        await world.answer("leave", { count: 0 });
        same((await left).code, 200, "done");
      }
    }
  },
  async who_joins_twice_and_leaves_once_is_in() {
    const world = new World();
    const me = world.connect();
    const both = Promise.all([me.join("r"), me.join("r"), me.watch(["ben"]), me.watch(["ben"])]);
    await world.welcome();
    await world.answer("join", { count: 1, epoch: 1, offset: 0 });
    await world.answer("watch", { users: [{ user: "ben", state: "online", version: 1 }] });
    await both;
    await me.leave("r");
    await me.unwatch(["ben"]);
    await world.again();
    same([world.sent("join").length, world.sent("watch").length, world.sent("leave").length], [1, 1, 0], "still wanted");
    await world.answer("join", { count: 1, epoch: 1, offset: 0 });
    await world.answer("watch", { users: [] });
    const left = me.leave("r"), unwatched = me.unwatch(["ben"]);
    await world.settle();
    await world.answer("leave");
    await world.answer("unwatch");
    await left;
    await unwatched;
    same(await stands(me.leave("r")), { code: 200 }, "who is in no room leaves none");
    await world.again();
    same(world.socket.sent.length, 0, "not wanted any more");
  },
  async join_leave_join_at_once_is_one_join() {
    const world = new World();
    const me = world.connect();
    await world.welcome();
    // As React's strict mode does.
    const first = me.join("r");
    const left = me.leave("r");
    const second = me.join("r");
    await world.settle();
    same(world.socket.sent.map(({ cmd }) => cmd), ["join"], "asked once");
    await world.answer("join", { count: 1, epoch: 1, offset: 0 });
    same([(await first).count, (await left).code, (await second).count], [1, 200, 1], "settled");
  },
  async what_is_said_meanwhile_waits_for_the_room() {
    const world = new World();
    const me = world.connect();
    const joined = me.join("r");
    await world.welcome();
    await world.answer("join", { count: 1, epoch: 1, offset: 0 });
    await joined;
    await world.lose();
    const said = me.say("r", 1), told = failure(me.tell("ben", 1)), listed = me.who("r");
    await world.pass(1000);
    await world.welcome();
    same(world.socket.sent.map(({ cmd }) => cmd), ["join", "tell"], "the room first");
    await world.answer("join", { count: 1, epoch: 1, offset: 0 });
    same(world.socket.sent.map(({ cmd }) => cmd), ["join", "tell", "say", "who"], "then what is about it, in order");
    await world.answer("say", { epoch: 1, offset: 1 });
    await world.answer("who", { users: [] });
    same([(await said).offset, (await listed).users], [1, []], "done");
    me.close();
    await told;
  },
  async what_was_said_before_leaving_is_said() {
    const world = new World();
    const me = world.connect();
    await world.welcome();
    me.join("r");
    const said = me.say("r", 1), left = me.leave("r");
    await world.settle();
    await world.answer("join", { count: 1, epoch: 1, offset: 0 });
    same(world.socket.sent.map(({ cmd }) => cmd), ["join", "say", "leave"], "in that order");
    await world.answer("say", { epoch: 1, offset: 1 });
    await world.answer("leave");
    same([(await said).offset, (await left).code], [1, 200], "done");
  },
  async a_refusal_for_now_is_tried_again() {
    for (const refuse of [
      async (world, cmd) => { const { seq } = world.sent(cmd).at(-1); await world.hear({ seq, body: { code: 503, error: "later" } }); },
      async (world, cmd) => { const { seq } = world.sent(cmd).at(-1); await world.hear({ seq, body: { code: 429, error: "too much" } }); },
      // No answer, though the line is alive.
      async (world, cmd) => { for (const { length } = world.sent(cmd); world.sent(cmd).length === length && world.time < 1e6;) await world.alive(1000); },
    ]) {
      const world = new World();
      const me = world.connect();
      const wanted = { join: me.join("r"), watch: me.watch(["ben"]) };
      const yes = { join: { count: 1, epoch: 1, offset: 0 }, watch: { users: [{ user: "ben", state: "online", version: 1 }] } };
      await world.welcome();
      await world.answer("join", yes.join);
      await world.answer("watch", yes.watch);
      await world.again();
      for (const [cmd, other] of [["join", "watch"], ["watch", "join"]]) {
        await world.again();
        for (let i = 1; i < 4; i += 1) {
          if (i === 1) await world.answer(other, yes[other]);
          await refuse(world, cmd);
          await world.alive(6000);
          same([world.sent(cmd).length, world.me.state], [i + 1, "open"], `${cmd}, ${refuse}`);
        }
        await world.answer(cmd, yes[cmd]);
        await world.alive(9000);
        same([world.sent(cmd).length, world.sent(other).length], [4, 1], "and no more");
      }
      assert(world.heard("warning").some(({ room }) => room === "r") && world.heard("warning").some(({ users }) => users?.[0] === "ben"), "told by name");
      await wanted.join;
    }
  },
  async what_is_forbidden_is_dropped_and_told_by_name() {
    const world = new World();
    const me = world.connect();
    me.join("r");
    me.join("s");
    const both = me.watch(["ben", "eve"]);
    await world.welcome();
    for (const { seq } of world.sent("join")) await world.hear({ seq, body: { code: 200, count: 1, epoch: 1, offset: 0 } });
    await world.answer("watch", { users: [{ user: "ben", state: "online", version: 1 }, { user: "eve", state: "online", version: 1 }] });
    await both;
    await world.again();
    const no = async (cmd, at) => { const { seq } = world.sent(cmd).at(at); await world.hear({ seq, body: { code: 403, error: "no more" } }); };
    await no("join", 0);
    const { seq } = world.sent("join")[1];
    await world.hear({ seq, body: { code: 200, count: 1, epoch: 1, offset: 0 } });
    await no("watch", 0);
    same(world.sent("watch").slice(1).map(({ params }) => params.users), [["ben"], ["eve"]], "one is at fault");
    await no("watch", 1);
    await world.hear({ seq: world.sent("watch")[2].seq, body: { code: 200, users: [{ user: "eve", state: "away", version: 1 }] } });
    same(world.heard("warning").map(({ room, users, error }) => [room, users, error.code]), [["r", undefined, 403], [undefined, ["ben"], 403]], "by name");
    same(world.heard("presence").map(({ user }) => user), ["eve"], "the other one is watched");
    await world.again();
    same([world.sent("join").length, world.sent("watch")[0].params.users], [1, ["eve"]], "dropped");
    const refused = failure(me.join("r"));
    await world.settle();
    await no("join", -1);
    same((await refused).code, 403, "who asks is told");
  },
  async nobody_is_refused_a_room_for_good() {
    const world = new World();
    const me = world.connect();
    const joined = me.join("r"), list = me.members("s");
    joined.catch(() => {});
    await world.welcome({ user: null });
    const refuse = async () => { for (const { seq } of world.sent("join")) await world.hear({ seq, body: { code: 401, error: "nobody knows who you are" } }); };
    await refuse();
    same([await stands(joined), list.error?.code], [401, 401], "settled");
    await world.alive(20000);
    same(world.sent("join").length, 2, "not asked again");
    const known = new World();
    const waits = known.connect().join("r");
    await known.welcome();
    await known.hear({ seq: known.sent("join")[0].seq, body: { code: 401, error: "the token is being renewed" } });
    same(await stands(waits), "waits", "who is somebody tries again");
    const late = new World();
    const shown = late.connect().request("auth", { token: "t" });
    const then = late.me.join("r");
    await late.welcome({ user: null });
    await late.hear({ seq: late.sent("join")[0].seq, body: { code: 401, error: "show a token first" } });
    await late.answer("auth", { user: "anna" });
    await late.alive(1000);
    await late.answer("join", { count: 1, epoch: 1, offset: 0 });
    same([(await shown).code, (await then).code, late.me.user], [200, 200, "anna"], "who shows a token first is let in");
  },
  async over_a_thousand_watches_are_asked_for_in_parts() {
    const world = new World();
    const me = world.connect();
    const names = Array.from({ length: 1200 }, (_, i) => `user-${i}`);
    me.watch(names).catch(() => {});
    await world.welcome();
    same(world.sent("watch").map(({ params }) => params.users.length), [256, 256, 256, 256, 176], "parts");
    const parts = world.sent("watch");
    for (const { seq, params } of parts.slice(0, 4)) await world.hear({ seq, body: { code: 200, users: params.users.map((user) => ({ user, state: "online", version: 1 })) } });
    await world.hear({ seq: parts[4].seq, body: { code: 429, error: "1,024 watches are enough" } });
    await world.alive(2000);
    same(world.sent("watch").slice(5).map(({ params }) => params.users.length), [88, 88], "only that part is tried again, by halves");
    for (const { seq, params } of world.sent("watch").slice(5, 6)) await world.hear({ seq, body: { code: 200, users: params.users.map((user) => ({ user, state: "online", version: 1 })) } });
    await world.hear({ seq: world.sent("watch")[6].seq, body: { code: 429, error: "1,024 watches are enough" } });
    await world.alive(4000);
    same(world.sent("watch").slice(7).map(({ params }) => params.users.length), [44, 44], "what there is room for is watched");
    await world.hear({ event: "presence", user: "user-0", state: "away", version: 2, connections: 1 });
    same(world.heard("presence").length, 1, "the others are heard of");
  },
  async older_views_are_no_news_wherever_they_come_from() {
    const world = new World();
    const me = world.connect();
    await world.welcome();
    const watched = me.watch(["ben"]);
    await world.settle();
    // The event is quicker than the snapshot behind it.
    await world.hear({ event: "presence", user: "ben", state: "offline", version: 9, connections: 0 });
    await world.answer("watch", { users: [{ user: "ben", state: "online", version: 8, connections: 1 }] });
    same((await watched).map(({ state }) => state), ["offline"], "watch");
    const asked = me.presence(["ben"]);
    await world.answer("presence", { users: [{ user: "ben", state: "online", version: 7, connections: 1 }] });
    same((await asked).map(({ state }) => state), ["offline"], "presence");
    const listed = me.who("r");
    await world.answer("who", { users: [{ user: "ben", state: "online", since_ms: 5, connections: 1, info: null }], count: 1 });
    same((await listed).users.map(({ state }) => state), ["offline"], "who");
    await world.hear({ event: "presence", user: "ben", state: "online", version: 8, connections: 1 });
    same(world.heard("presence").length, 1, "event");
  },
  async versions_are_forgotten_at_each_welcome() {
    const world = new World();
    const me = world.connect();
    me.watch(["ben"]);
    await world.welcome();
    await world.answer("watch", { users: [{ user: "ben", state: "online", version: 9e6, connections: 1 }] });
    // The server restarts with a clock that is an hour back.
    await world.again();
    await world.answer("watch", { users: [{ user: "ben", state: "away", version: 5e6, connections: 1 }] });
    await world.hear({ event: "presence", user: "ben", state: "online", version: 5e6 + 1, connections: 1 });
    same(world.heard("presence").map(({ state }) => state), ["away", "online"], "both are news");
    await world.again();
    await world.answer("watch", { users: [{ user: "ben", state: "online", version: 1, connections: 1 }] });
    same(world.heard("presence").length, 2, "what is the same is none");
  },
  async what_is_not_watched_any_more_is_not_heard_of() {
    const world = new World();
    const me = world.connect();
    me.watch(["ben"]);
    await world.welcome();
    await world.answer("watch", { users: [{ user: "ben", state: "online", version: 1 }] });
    me.unwatch(["ben"]);
    await world.settle();
    await world.hear({ event: "presence", user: "ben", state: "away", version: 2 });
    const again = me.watch(["ben"]);
    await world.answer("unwatch");
    await world.answer("watch", { users: [{ user: "ben", state: "online", version: 3 }] });
    same([(await again)[0].version, world.heard("presence").length], [3, 0], "the answer is a new one");
  },
  async the_server_gives_rooms_and_takes_them() {
    const world = new World();
    const me = world.connect();
    await world.welcome();
    await world.hear({ event: "join", room: "given", user: "anna", count: 1, membership: 1, by: "server" });
    await world.again();
    same(world.sent("join").length, 0, "the server gives it again");
    const joined = me.join("r"), twice = me.join("r");
    await world.settle();
    await world.answer("join", { count: 1, epoch: 1, offset: 0, membership: 1 });
    await joined;
    await twice;
    await world.hear({ event: "leave", room: "r", user: "anna", count: 0, membership: 2, by: "server" });
    const { name, at, ...left } = world.heard("left")[0];
    same(left, { room: "r", by: "server" }, "told");
    await world.again();
    same(world.sent("join").length, 0, "it is not gone back to");
    same(await stands(me.leave("r")), { code: 200 }, "it is left already");
    // A given room can be left.
    await world.hear({ event: "join", room: "given", user: "anna", count: 1, membership: 1, by: "server" });
    me.leave("given");
    await world.settle();
    same(world.sent("leave").length, 1, "asked for");
    // Others are none of it.
    await world.hear({ event: "leave", room: "given", user: "ben", count: 1, membership: 2, by: "server" });
    same(world.heard("left").length, 1, "only one's own");
  },
  async a_status_is_brought_to_each_connection() {
    const world = new World();
    const me = world.connect();
    const said = me.status("busy", { text: "in a call" }, { ttl: 60 });
    same(await stands(said), "waits", "not told yet");
    await world.pass(1000);
    await world.welcome();
    same(world.sent("status")[0].params, { state: "busy", info: { text: "in a call" }, info_ttl: 59 }, "what is left of it");
    await world.answer("status", { state: "busy" });
    same((await said).state, "busy", "done");
    await world.again();
    same(world.sent("status")[0].params.info_ttl, 58, "again, for what is left");
    await world.hear({ seq: world.sent("status")[0].seq, body: { code: 503, error: "later" } });
    await world.pass(1000);
    same(world.sent("status").length, 2, "tried again");
    await world.answer("status", { state: "busy" });
    await world.alive(60000);
    await world.again();
    same(world.sent("status")[0].params, { state: "busy" }, "it is over");
    const bad = failure(me.status(undefined, "x".repeat(2000)));
    await world.answer("status", { state: "busy" });
    await world.hear({ seq: world.sent("status").at(-1).seq, body: { code: 413, error: "`info` is over 1 KiB" } });
    same((await bad).code, 413, "refused");
    await world.pass(10000);
    same(world.sent("status").length, 2, "and dropped");
  },
  async a_status_that_may_have_been_told_is_told_again() {
    const world = new World();
    const me = world.connect();
    await world.welcome();
    me.status("away");
    await world.settle();
    await world.hear({ seq: world.sent("status")[0].seq, body: { code: 503, error: "later" } });
    me.status("online");
    await world.settle();
    same(world.sent("status").map(({ params }) => params.state), ["away", "online"], "nobody knows which one holds");
  },
  async a_burst_is_not_sent_all_at_once() {
    const world = new World();
    const me = world.connect();
    for (let i = 0; i < 64; i += 1) me.join(`room-${i}`);
    await world.welcome();
    same(world.sent("join").length, 32, "some wait");
    const answer = async () => { for (const { seq } of world.sent("join").filter((one) => !one.done && (one.done = true))) await world.hear({ seq, body: { code: 200, count: 1, epoch: 1, offset: 0 } }); };
    await answer();
    await answer();
    same(world.sent("join").length, 64, "all are there");
  },
}))
