// Lists that keep themselves.
(({ World, assert, failure, same }) => {
  const names = (list) => [...list].map(({ user }) => user).sort().join();
  const member = (user, state = "online") => ({ user, state, since_ms: 1, connections: 1, info: null });
  /** A page in room `r` with `ben` and itself in it. */
  async function inside(users = [member("anna"), member("ben")], more = {}) {
    const world = new World();
    const me = world.connect();
    const list = me.members("r");
    await world.welcome();
    await world.answer("join", { count: users.length, epoch: 1, offset: 0, membership: 10 });
    await world.answer("who", { count: users.length, epoch: 1, offset: 0, membership: 10, users, ...more });
    return { world, me, list };
  }

  return {
    async a_list_made_between_an_event_and_an_older_answer_has_the_event() {
      const world = new World();
      world.connect();
      await world.welcome();
      world.me.watch(["ben"]);
      await world.settle();
      await world.hear({ event: "presence", user: "ben", state: "away", version: 5, connections: 1 });
      const list = world.me.users(["ben"]);
      await world.answer("watch", { users: [{ user: "ben", state: "online", version: 4, connections: 1 }] });
      same([list.get("ben")?.state, list.complete], ["away", true], "what is newer");
    },
    async members_are_kept_by_events() {
      const { world, list } = await inside();
      same([names(list), list.count, list.complete], ["anna,ben", 2, true], "all");
      same(world.sent("watch").map(({ params }) => params.users), [["anna", "ben"]], "watched");
      await world.answer("watch", { users: [{ ...member("anna"), version: 5 }, { ...member("ben", "away"), version: 5 }] });
      same(list.get("ben").state, "away", "as it is now");
      const seen = [];
      const off = list.on("change", ({ users, count, complete }) => seen.push(`${users.map(({ user, state }) => `${user} ${state}`)} ${count} ${complete}`));
      const before = list.snapshot;
      assert(before === list.snapshot && Object.isFrozen(before.users[1]), "a snapshot is one until something changes");
      await world.hear({ event: "join", room: "r", user: "carl", count: 3, membership: 11 });
      await world.hear({ event: "presence", user: "ben", state: "online", version: 6, connections: 1 });
      await world.hear({ event: "leave", room: "r", user: "ben", count: 2, membership: 12 });
      same(seen, ["anna online,ben away,carl online 3 true", "anna online,ben online,carl online 3 true", "anna online,carl online 2 true"], "each change");
      assert(before !== list.snapshot && before.users.length === 2, "an old snapshot stays as it was");
      off();
      await world.hear({ event: "leave", room: "r", user: "anna", count: 9, membership: 9 });
      same([seen.length, names(list), list.count], [3, "anna,carl", 2], "old news");
    },
    async what_was_heard_while_it_was_listed_completes_it() {
      const world = new World();
      const list = world.connect().members("r");
      await world.welcome();
      await world.answer("join", { count: 5, epoch: 1, offset: 0, membership: 10 });
      await world.hear({ event: "leave", room: "r", user: "ben", count: 4, membership: 11 });
      await world.hear({ event: "join", room: "r", user: "dora", count: 5, membership: 12 });
      await world.hear({ event: "leave", room: "r", user: "eve", count: 4, membership: 13 });
      await world.answer("who", { count: 5, membership: 10, users: [member("anna"), member("ben"), member("carl")], next: "carl" });
      await world.hear({ event: "leave", room: "r", user: "carl", count: 3, membership: 14 });
      await world.hear({ event: "leave", room: "r", user: "fred", count: 2, membership: 15 });
      // Its last page is newer than what was heard.
      await world.answer("who", { count: 3, membership: 16, users: [member("dora"), member("fred")] });
      same([names(list), list.complete], ["anna,dora,fred", true], "each page from its own position on");
      await world.hear({ event: "join", room: "r", user: "gil", count: 4, membership: 17 });
      same(names(list), "anna,dora,fred,gil", "and on");
    },
    async big_rooms_tell_what_changed() {
      const { world, list } = await inside();
      await world.hear({ event: "room", room: "r", count: 3, membership: 14, list: true, joined: ["carl", "dora"], left: ["ben"] });
      same([names(list), list.count, list.complete], ["anna,carl,dora", 3, true], "both");
      await world.hear({ event: "room", room: "r", count: 9, membership: 30, list: false });
      same([list.complete, list.count, world.sent("who").length], [false, 9, 1], "it can't be kept: says so");
      await world.pass(4000);
      same(world.sent("who").length, 2, "asks again");
      await world.hear({ event: "room", room: "r", count: 9, membership: 40, list: false });
      await world.answer("who", { count: 1, membership: 39, users: [member("eve")] });
      same(list.complete, false, "it was taken before that");
      await world.alive(4000);
      await world.answer("who", { count: 1, membership: 40, users: [member("eve")] });
      same([names(list), list.complete], ["eve", true], "right again");
      await world.hear({ event: "room", room: "r", count: 2, membership: 44, list: true, members: ["eve", "fred"] });
      same([names(list), list.complete], ["eve,fred", true], "small again, with the list");
      await world.hear({ event: "leave", room: "r", user: "eve", count: 1, membership: 45 });
      same(names(list), "fred", "events go on from there");
    },
    async what_was_left_out_is_asked_for() {
      const gaps = [
        (world) => world.hear({ event: "join", room: "r", user: "carl", count: 4, membership: 12 }),
        (world) => world.hear({ event: "leave", room: "r", user: "ben", count: 1, membership: 13 }),
        (world) => world.hear({ event: "room", room: "r", count: 9, membership: 14, since: 12, list: true, joined: ["carl"], left: [] }),
        (world) => world.hear({ event: "say", room: "r", from: "ben", data: 1, epoch: 1, offset: 3 }),
      ];
      for (const gap of gaps) {
        const { world, list } = await inside();
        await world.hear({ event: "say", room: "r", from: "ben", data: 1, epoch: 1, offset: 1 });
        await world.hear({ event: "join", room: "r", user: "anna", count: 2, membership: 10 });
        same(list.complete, true, "nothing is left out");
        await gap(world);
        same(list.complete, false, `${gap}`);
        await world.alive(4000);
        same(world.sent("who").length, 2, "asked again");
        await world.answer("who", { count: 2, membership: 15, users: [member("anna"), member("dora")] });
        same([names(list), list.complete], ["anna,dora", true], "right again");
        await world.hear({ event: "join", room: "r", user: "eve", count: 3, membership: 16 });
        await world.hear({ event: "room", room: "r", count: 4, membership: 18, since: 16, list: true, joined: ["fred"], left: [] });
        same([names(list), list.complete], ["anna,dora,eve,fred", true], "and on from there");
      }
      const { world, me, list } = await inside();
      const said = me.say("r", 1, { echo: false });
      await world.settle();
      await world.hear({ event: "say", room: "r", from: "ben", data: 1, epoch: 1, offset: 2 });
      await world.answer("say", { epoch: 1, offset: 1 });
      await said;
      const again = me.say("r", 1, { echo: false });
      await world.answer("say", { epoch: 1, offset: 4 });
      await again;
      await world.hear({ event: "say", room: "r", from: "ben", data: 1, epoch: 1, offset: 3 });
      await world.hear({ event: "say", room: "r", from: "ben", data: 1, epoch: 1, offset: 5 });
      same(list.complete, true, "what this page said itself is no gap");
    },
    async a_list_is_of_one_epoch() {
      const { world, list } = await inside();
      // The server lost the room: it counts from the start, and nothing of the list is known to hold.
      await world.hear({ event: "room", room: "r", count: 1, membership: 2, epoch: 2, offset: 0, since: 0, list: false });
      same([list.complete, list.count], [false, 1], "it has begun anew");
      await world.alive(4000);
      await world.answer("who", { count: 2, epoch: 2, offset: 0, membership: 3, users: [member("anna"), member("carl")] });
      same([names(list), list.count, list.complete], ["anna,carl", 2, true], "all of it");
      await world.hear({ event: "leave", room: "r", user: "carl", count: 1, membership: 4 });
      same(names(list), "anna", "and on from there");
      await world.hear({ event: "room", room: "r", count: 2, membership: 1, epoch: 3, offset: 0, since: 0, list: true, members: ["anna", "dora"] });
      same([names(list), list.count, list.complete], ["anna,dora", 2, true], "a whole list needs nothing before it");
      await world.hear({ event: "room", room: "r", count: 2, membership: 5, epoch: 4, offset: 0, since: 0, list: false });
      await world.alive(4000);
      await world.answer("who", { count: 9, epoch: 4, membership: 6, users: [member("anna"), member("ben")], next: "ben" });
      await world.answer("who", { count: 2, epoch: 5, membership: 1, users: [member("zoe")] });
      await world.answer("who", { count: 2, epoch: 5, membership: 2, users: [member("anna"), member("zoe")] });
      same([names(list), list.count, list.complete], ["anna,zoe", 2, true], "pages of two lives are no list");
    },
    async while_a_room_storms_it_is_asked_seldom() {
      const { world, list } = await inside();
      for (let i = 0; i < 60; i += 1) {
        await world.hear({ event: "room", room: "r", count: 900, membership: 100 + i * 50, list: false });
        await world.alive(1000);
        for (const one of world.sent("who").filter(({ done }) => !done)) {
          one.done = true;
          await world.hear({ seq: one.seq, body: { code: 200, count: 2, membership: 100 + i * 50, users: [member("anna")] } });
        }
      }
      assert(world.sent("who").length < 9, `${world.sent("who").length} in a minute`);
      await world.alive(3000);
      await world.answer("who", { count: 2, membership: 9000, users: [member("anna")] });
      assert(list.complete, "and soon where it is over");
      await world.look("hidden");
      const { length } = world.sent("who");
      await world.hear({ event: "room", room: "r", count: 900, membership: 9999, list: false });
      await world.alive(60000);
      same(world.sent("who").length, length, "nobody sees a hidden page");
      await world.look("visible");
      same(world.sent("who").length, length + 1, "until it is looked at");
    },
    async a_room_too_big_to_be_listed_is_named_in_part() {
      const world = new World();
      const list = world.connect().members("r", { limit: 2 });
      await world.welcome();
      await world.answer("join", { count: 3, epoch: 1, offset: 0, membership: 3 });
      await world.answer("who", { count: 3, membership: 3, users: [member("anna"), member("ben")], next: "ben" });
      same([names(list), list.size, list.count, list.complete], ["anna,ben", 2, 3, false], "as many as were wanted");
      await world.hear({ event: "join", room: "r", user: "dora", count: 4, membership: 4 });
      same([list.size, list.count], [2, 4], "no more");
      await world.hear({ event: "leave", room: "r", user: "ben", count: 3, membership: 5 });
      await world.hear({ event: "leave", room: "r", user: "dora", count: 2, membership: 6 });
      await world.pass(4000);
      await world.answer("who", { count: 2, membership: 6, users: [member("anna"), member("carl")] });
      same([names(list), list.complete], ["anna,carl", true], "small enough now");
    },
    async a_list_outlives_connections() {
      const { world, list } = await inside();
      await world.lose();
      same([names(list), list.complete], ["anna,ben", false], "as it was last known");
      await world.pass(1000);
      await world.welcome();
      same(world.sent("who").length, 0, "the room first");
      // Another server counts from the start.
      await world.answer("join", { count: 2, epoch: 2, offset: 0, membership: 2 });
      await world.answer("who", { count: 2, membership: 2, users: [member("anna"), member("carl")] });
      same([names(list), list.complete], ["anna,carl", true], "anew");
      await world.hear({ event: "join", room: "r", user: "dora", count: 3, membership: 3 });
      same(names(list), "anna,carl,dora", "and on");
    },
    async a_list_that_cannot_be_had_now_is_asked_for_again() {
      const { world, list } = await inside();
      await world.again();
      await world.answer("join", { count: 2, epoch: 1, offset: 0, membership: 10 });
      const { seq } = world.sent("who")[0];
      await world.hear({ seq, body: { code: 503, error: "later" } });
      await world.alive(3000);
      await world.answer("who", { count: 1, membership: 10, users: [member("anna")] });
      same([names(list), list.complete], ["anna", true], "then");
    },
    async who_closes_a_list_gives_back_what_it_held() {
      const { world, me, list } = await inside();
      const other = me.members("r"), room = me.join("r");
      await world.settle();
      await world.answer("join", { count: 2, epoch: 1, offset: 0, membership: 10 });
      await room;
      await world.answer("watch", { users: [] });
      same([world.sent("who").length, other.size], [1, 2], "what is kept is kept once");
      let heard = 0;
      list.subscribe(() => { heard += 1; });
      list.close();
      list.close();
      list.subscribe(() => { heard += 1; })();
      await world.hear({ event: "join", room: "r", user: "carl", count: 3, membership: 11 });
      same([heard, names(other)], [0, "anna,ben,carl"], "the other one goes on");
      await world.answer("watch", { users: [] });
      other.close();
      await world.settle();
      same([world.sent("unwatch").flatMap(({ params }) => params.users), world.sent("leave").length], [["anna", "ben", "carl"], 0], "watched no more; the room is held elsewhere");
      me.leave("r");
      await world.settle();
      same(world.sent("leave").length, 1, "left");
    },
    async a_list_that_is_refused_says_so() {
      const world = new World();
      const me = world.connect();
      const list = me.members("staff");
      await world.welcome();
      await world.hear({ seq: world.sent("join")[0].seq, body: { code: 403, error: "not you" } });
      same([list.error.code, list.complete, list.size], [403, false, 0], "why");
      const { world: other, list: mine } = await inside();
      await other.hear({ event: "leave", room: "r", user: "anna", count: 1, membership: 11, by: "server" });
      same([mine.error.code, mine.size], ["left", 0], "sent out");
      mine.close();
      await other.settle();
      same(other.sent("leave").length, 0, "and is out");
    },
    async users_are_kept_too() {
      const world = new World();
      const me = world.connect();
      const list = me.users(["ben", "carl"]);
      let changes = 0;
      list.subscribe(() => { changes += 1; });
      await world.welcome();
      await world.answer("watch", { users: [{ user: "ben", state: "online", version: 1, connections: 1 }, { user: "carl", state: "offline", version: 1, connections: 0 }] });
      same([list.get("ben").state, list.get("carl").state, list.count, list.complete, changes], ["online", "offline", 1, true, 1], "both, told once");
      await world.hear({ event: "presence", user: "carl", state: "away", version: 2, connections: 1 });
      same([list.get("carl").state, list.count], ["away", 2], "kept");
      const second = me.users(["ben"]);
      same([second.get("ben").state, second.complete], ["online", true], "known already");
      await world.lose();
      same([list.complete, list.size], [false, 2], "as last known");
      list.close();
      await world.pass(2000);
      await world.welcome();
      same(world.sent("watch")[0].params.users, ["ben"], "what is wanted still");
    },
    async lists_leave_watches_to_the_page() {
      const world = new World();
      const me = world.connect();
      const list = me.users(Array.from({ length: 1000 }, (_, i) => `user-${i}`));
      const own = me.watch(["ben"]);
      own.catch(() => {});
      await world.welcome();
      const answer = async () => { for (const { seq, params } of world.sent("watch").filter((one) => !one.done && (one.done = true))) await world.hear({ seq, body: { code: 200, users: params.users.map((user) => ({ user, state: "online", version: 1, connections: 1 })) } }); };
      await answer();
      await answer();
      same([list.size, list.complete, list.error?.code, (await own).length], [768, true, 429, 1], "who is left out is told");
      const room = me.members("r");
      await world.settle();
      await world.answer("join", { count: 1, epoch: 1, offset: 0, membership: 1 });
      await world.answer("who", { count: 1, membership: 1, users: [member("carl")] });
      same([names(room), world.sent("watch").flatMap(({ params }) => params.users).includes("carl")], ["carl", false], "listed, and not watched");
    },
    async servers_that_number_nothing_are_good_enough() {
      const world = new World();
      const list = world.connect().members("r");
      await world.welcome();
      await world.answer("join", { count: 2, epoch: 1, offset: 0 });
      await world.hear({ event: "join", room: "r", user: "carl", count: 3 });
      await world.answer("who", { count: 2, users: [member("anna"), member("ben")] });
      same([names(list), list.complete], ["anna,ben,carl", true], "events complete it");
      await world.hear({ event: "leave", room: "r", user: "ben", count: 2 });
      same([names(list), list.count], ["anna,carl", 2], "and go on");
      await world.hear({ event: "room", room: "r", count: 150 });
      same(list.complete, false, "a big room tells its count only");
      await world.alive(4000);
      await world.answer("who", { count: 3, users: [member("anna"), member("carl"), member("dora")] });
      same([names(list), list.complete], ["anna,carl,dora", true], "asked again");
    },
  };
})
