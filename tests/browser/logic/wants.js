// Wishes of a page, and commands that are done once.
(({ World, assert, failure, same, stands }) => ({
  async rooms_and_watches_are_there_again_and_the_gap_is_told() {
    const world = new World();
    const me = world.connect();
    const joined = me.join("r"), watched = me.watch(["ben"]);
    await world.welcome();
    await world.answer("join", { count: 1, epoch: 7, offset: 3 });
    await world.answer("watch", { users: [{ user: "ben", state: "online", version: 5, connections: 1 }] });
    same([(await joined).offset, (await watched)[0].state], [3, "online"], "done");
    await world.hear({ event: "say", room: "r", from: "ben", data: 1, epoch: 7, offset: 4, time_ms: 1 });
    await world.lose();
    await world.pass(2000);
    await world.welcome();
    same([world.sent("join").length, world.sent("watch").length], [1, 1], "once each");
    await world.hear({ event: "say", room: "r", from: "ben", data: 1, epoch: 7, offset: 9, time_ms: 1 });
    await world.answer("join", { count: 2, epoch: 7, offset: 8 });
    await world.answer("watch", { users: [{ user: "ben", state: "offline", version: 6, connections: 0 }] });
    const told = { room: "r", count: 2, before: { epoch: 7, offset: 4 }, after: { epoch: 7, offset: 8 }, missed: 4, recovered: false, gap: { from: 5, to: 8 } };
    const { name, at, ...rejoin } = world.heard("rejoin")[0];
    same(rejoin, told, "the gap");
    same(world.heard("presence").map(({ state }) => state), ["offline"], "what changed meanwhile");
    await world.lose();
    await world.pass(3000);
    await world.welcome();
    await world.answer("join", { count: 2, epoch: 8, offset: 1 });
    same(world.heard("rejoin")[1].missed, null, "another epoch: nobody knows");
    await world.answer("watch", { users: [{ user: "ben", state: "offline", version: 6, connections: 0 }] });
    same(world.heard("presence").length, 1, "nothing changed");
    me.leave("r").catch(() => {});
    me.unwatch(["ben"]).catch(() => {});
    await world.lose();
    await world.pass(6000);
    await world.welcome();
    same([world.sent("join").length, world.sent("watch").length], [0, 0], "what was left stays left");
  },
  async an_older_version_says_nothing() {
    const world = new World();
    const me = world.connect();
    me.watch(["ben"]);
    await world.welcome();
    await world.answer("watch", { users: [{ user: "ben", state: "offline", version: 9, connections: 0 }] });
    await world.hear({ event: "presence", user: "ben", state: "online", version: 8, connections: 1 });
    same(world.heard("presence").length, 0, "old news");
  },
  async commands_time_out_fail_and_are_lost() {
    const silent = new World();
    const waits = failure(silent.connect().say("r", 0));
    await silent.pass(10000);
    same((await waits).code, "timeout", "never connected");
    const world = new World();
    const me = world.connect();
    await world.welcome();
    const refused = failure(me.say("r", 1));
    await world.settle();
    const seq = world.sent("say").at(-1).seq;
    await world.hear({ seq, body: { code: 403, error: "join it first" } });
    same([(await refused).code, (await refused).message], [403, "join it first"], "refused");
    const lost = failure(me.tell("ben", 2)), kept = me.who("r");
    await world.settle();
    await world.lose();
    same((await lost).code, "lost", "what may have happened is not done twice");
    await world.pass(5000);
    await world.welcome();
    same(world.sent("tell").length, 0, "not sent again");
    await world.answer("who", { users: [] });
    same((await kept).code, 200, "what does no harm is");
  },
  async a_full_socket_is_not_filled_further() {
    const world = new World();
    const me = world.connect();
    await world.welcome();
    world.socket.bufferedAmount = 70000;
    const said = me.say("r", 1);
    await world.pass(1000);
    same(world.sent("say").length, 0, "waits");
    world.socket.bufferedAmount = 0;
    await world.pass(50);
    same(world.sent("say").length, 1, "goes");
    await world.answer("say", { epoch: 1, offset: 1 });
    await said;
    world.socket.bufferedAmount = 70000;
    const many = Array.from({ length: 600 }, () => failure(me.say("r", 1)));
    same((await many.at(-1)).code, "busy", "a bound");
    me.close();
  },
  async a_hidden_page_is_away() {
    const world = new World();
    world.connect();
    await world.welcome();
    await world.look("hidden");
    await world.pass(1000);
    await world.look("visible");
    await world.answer("heartbeat");
    await world.pass(5000);
    same(world.sent("status").length, 0, "a glance elsewhere");
    await world.look("hidden");
    await world.pass(1500);
    same(world.sent("status").map(({ params }) => params.state), ["away"], "away");
    await world.answer("status", { state: "away" });
    await world.lose();
    await world.pass(5000);
    await world.welcome();
    same(world.sent("status").map(({ params }) => params.state), ["away"], "said again after a reconnect");
    await world.answer("status", { state: "away" });
    await world.look("visible");
    await world.settle();
    same(world.sent("status").at(-1).params.state, "online", "back");
    await world.answer("status", { state: "online" });
    world.document.dispatchEvent(new Event("freeze"));
    await world.settle();
    same(world.sent("status").at(-1).params.state, "away", "frozen");
    await world.answer("status", { state: "away" });
    world.document.dispatchEvent(new Event("resume"));
    await world.settle();
    same(world.sent("status").at(-1).params.state, "online", "thawed");
    assert(world.sent("heartbeat").length > 0, "asks whether the server is still there");
  },
  async what_one_says_of_oneself_wins_over_visibility() {
    const world = new World();
    const me = world.connect();
    await world.welcome();
    me.status("away", { mood: "busy" });
    await world.settle();
    same(world.sent("status")[0].params, { state: "away", info: { mood: "busy" } }, "said");
    await world.answer("status", { state: "away" });
    world.document.dispatchEvent(new Event("visibilitychange"));
    await world.pass(5000);
    same(world.sent("status").length, 1, "it stays");
  },
  async what_lingers_of_a_connection_does_not_outlast_what_is_shown() {
    const world = new World();
    const me = world.connect();
    await world.welcome();
    same(new URL(world.socket.url).searchParams.get("state"), "online", "from the first");
    await world.look("hidden");
    await world.pass(1500);
    await world.answer("status", { state: "away" });
    await world.lose();
    await world.look("visible");
    await world.pass(5000);
    await world.welcome();
    same([new URL(world.socket.url).searchParams.get("state"), world.sent("status").length], ["online", 0], "back, which ends nobody's `busy`");
    me.status("busy");
    await world.settle();
    await world.answer("status", { state: "busy" });
    await world.again();
    same(new URL(world.socket.url).searchParams.get("state"), "busy", "as was chosen");
    await world.answer("status", { state: "busy" });
    await world.lose();
    const back = me.status("online");
    await world.pass(5000);
    await world.welcome();
    same([world.sent("status").map(({ params }) => params), await stands(back)], [[{ state: "online" }], "waits"], "told again");
    await world.answer("status", { state: "online" });
    same((await back).state, "online", "done");
    await world.again();
    same(world.sent("status").length, 0, "what was told by this one is done");
    for (const lost of [false, true]) {
      me.status("busy");
      await world.settle();
      // Without an answer nobody knows.
      if (!lost) await world.answer("status", { state: "busy" });
      await world.lose();
      me.status(null);
      await world.pass(world.heard("state").at(-1).wait_ms);
      await world.welcome();
      same(world.sent("status").map(({ params }) => params.state), ["online"], "taken back");
      await world.answer("status", { state: "online" });
    }
  },
  async who_is_invisible_comes_back_invisible_and_shows_itself_once_asked_to() {
    const world = new World();
    const me = world.connect();
    me.status("invisible");
    await world.settle();
    same(new URL(world.socket.url).searchParams.get("state"), "invisible", "from the first moment on");
    await world.welcome();
    same(world.sent("status").map(({ params }) => params.state), ["invisible"], "said");
    await world.answer("status", { state: "invisible" });
    await world.again();
    same(new URL(world.socket.url).searchParams.get("state"), "invisible", "and again, before anything else");
    await world.answer("status", { state: "invisible" });
    await world.lose();
    const back = me.status("online");
    await world.pass(5000);
    await world.welcome();
    same([world.sent("status").map(({ params }) => params), await stands(back)], [[{ state: "online" }], "waits"], "it is ended by a command");
    await world.answer("status", { state: "online" });
    same((await back).state, "online", "done");
    // Another page of this user hid it: `online` of one that was away says only that it is back.
    me.status("away");
    await world.settle();
    await world.answer("status", { state: "invisible" });
    const shown = me.status("online");
    await world.settle();
    await world.answer("status", { state: "invisible" });
    same([world.sent("status").at(-1).params, await stands(shown)], [{ state: "online" }, "waits"], "asked once more");
    await world.answer("status", { state: "online" });
    same((await shown).state, "online", "what became true");
  },
  async busy_is_ended_also_by_who_was_away() {
    const world = new World();
    const me = world.connect();
    await world.welcome();
    me.status("away");
    await world.settle();
    await world.answer("status", { state: "away" });
    const back = me.status("online");
    await world.settle();
    await world.answer("status", { state: "busy" });
    same([world.sent("status").length, await stands(back)], [3, "waits"], "the first one says only that it is back");
    await world.answer("status", { state: "online" });
    same((await back).state, "online", "what became true");
    await world.look("hidden");
    me.status(null);
    await world.pass(1500);
    await world.answer("status", { state: "away" });
    await world.look("visible");
    await world.answer("status", { state: "busy" });
    await world.pass(1000);
    same(world.sent("status").length, 5, "a look at the page ends nobody's");
  },
  async info_goes_alone_and_a_chosen_state_is_always_said() {
    const world = new World();
    const me = world.connect({ info: { role: "host" } });
    await world.welcome();
    same(world.sent("status").map(({ params }) => params), [{ info: { role: "host" } }], "from the first");
    await world.answer("status", { state: "busy" });
    const told = me.status(undefined, { n: 1 });
    await world.settle();
    same(world.sent("status")[1].params, { info: { n: 1 } }, "another tab's `busy` stays");
    await world.answer("status", { state: "busy" });
    same((await told).state, "busy", "as it is");
    for (let i = 2; i < 4; i += 1) {
      const said = me.status("online");
      await world.settle();
      same(world.sent("status")[i]?.params, { state: "online" }, "said, and not swallowed");
      await world.answer("status", { state: "online" });
      await said;
    }
  },
  async names_are_text_and_nothing_else() {
    const names = ["__proto__", "constructor", "toString", "auth0|5f7c", "J\u00f6rg", "\u674e\u96f7", "user/42", "Anna + Maria", "\"\\"];
    for (const name of names) {
      const world = new World();
      const me = world.connect({ user: name });
      await world.settle();
      same(new URL(world.socket.url).searchParams.get("user"), name, "in the address");
      assert(!new URL(world.socket.url).search.includes(" "), "encoded");
      await world.welcome({ user: name });
      same(me.user, name, "is me");
      me.join(name);
      me.watch([name]);
      await world.settle();
      await world.answer("join", { count: 1, epoch: 1, offset: 0 });
      await world.answer("watch", { users: [{ user: name, state: "online", version: 2, connections: 1 }] });
      await world.hear({ event: "presence", user: name, state: "away", version: 1 });
      same(world.heard("presence").length, 0, "is known already");
      await world.hear({ event: "say", room: name, from: name, data: 1, epoch: 1, offset: 3 });
      same([world.heard("say")[0].from, world.heard("say")[0].room], [name, name], "said");
      await world.lose();
      await world.pass(5000);
      await world.welcome({ user: name });
      same([world.sent("join")[0].params.room, world.sent("watch")[0].params.users], [name, [name]], "again");
      await world.answer("join", { count: 1, epoch: 1, offset: 5 });
      same(world.heard("rejoin")[0].missed, 2, "where it was");
      same([{}.state, Object.prototype.version], [undefined, undefined], "nothing else has changed");
    }
  },
}))
