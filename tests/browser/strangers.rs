//! A page of another origin, in the browser of somebody whose cookie says who it is: nothing that it can send is done in that name.

use std::fs;

use super::alone;
use super::chromium::{Browser, found};
use super::client::elsewhere;
use super::server::Server;
use super::support::rollcall;

/// All that a page can send anywhere without being asked; each is awaited.
const DEEDS: &str = r#"(async (server) => {
  const body = '{"seq":1,"cmd":"join","params":{"room":"lobby"}}';
  const ended = (one, start) => new Promise((resolve) => { one.onload = one.onerror = resolve; start(one); });
  const append = (name, fields) => ended(document.createElement(name), (one) => document.body.append(Object.assign(one, fields)));
  const deeds = [];
  for (const referrerPolicy of ["", "no-referrer", "unsafe-url"]) {
    for (const path of ["/events", "/events?room=lobby", "/poll"]) {
      const url = server + path;
      deeds.push(
        () => append("img", { referrerPolicy, src: url }),
        () => append("script", { referrerPolicy, src: url }),
        () => append("iframe", { referrerPolicy, src: url }),
        () => ended(new EventSource(url, { withCredentials: true }), () => {}),
      );
      for (const mode of ["no-cors", "cors"]) for (const asked of [{}, { method: "POST", body }, { method: "POST", body, headers: { "Content-Type": "application/json" } }]) {
        deeds.push(() => fetch(url, { ...asked, mode, referrerPolicy: referrerPolicy || undefined, credentials: "include" }));
      }
      for (const enctype of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
        deeds.push(() => ended(document.createElement("iframe"), (frame) => {
          frame.name = `frame${deeds.length}${Math.random()}`;
          document.body.append(frame);
          const form = Object.assign(document.createElement("form"), { action: url, method: "post", enctype, target: frame.name });
          form.append(Object.assign(document.createElement("input"), { name: body.slice(0, -1) + ',"x":"', value: '"}' }));
          document.body.append(form);
          form.submit();
        }));
      }
      deeds.push(async () => navigator.sendBeacon(url, body));
    }
  }
  deeds.push(() => ended(new WebSocket(server.replace("http", "ws") + "/ws", "rollcall.v1"), (socket) => { socket.onclose = socket.onerror; }));
  for (const deed of deeds) {
    // One that goes on for ever was let in.
    await Promise.race([deed().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 1000))]);
  }
  return deeds.length;
})"#;

#[test]
fn a_page_of_strangers_does_nothing_in_its_visitors_name() {
    let Some(chromium) = found("a page of strangers does nothing in its visitor's name") else { return };
    let _alone = alone();
    let secret = std::env::temp_dir().join(format!("rollcall-{}-strangers", std::process::id()));
    let _ = fs::remove_file(&secret);
    let file = secret.to_str().unwrap();
    rollcall(&["token", "--new-secret", file]);
    let token = |user: &str| rollcall(&["token", "--user", user, "--see", "*", "--token-secret-file", file]);
    let (anna, ben) = (token("anna"), token("ben"));
    for named in [&[][..], &["--origin", "https://www.example.org"]] {
        let flags = [&["--workers", "3", "--token-secret-file", file][..], named].concat();
        let server = Server::start(&flags);
        let browser = Browser::start(&chromium, "strangers");
        let watcher = browser.open(&server.url(&format!("/#token={ben}")));
        watcher.until("rollcall.user === 'ben'");
        watcher.eval(&format!("(document.cookie = 'rollcall_token={anna}; path=/')"));
        let strange = browser.open(&elsewhere());
        strange.until("document.cookie.includes('rollcall_token')");
        let done = strange.eval(&format!("{DEEDS}('http://{}')", server.address));
        assert!(done.as_u64() > Some(100), "{done}: {:?}", strange.complaints());
        let is =
            "rollcall.presence(['anna']).then(([{ state, last_seen_ms }]) => `${state} ${last_seen_ms}`)";
        assert_eq!(watcher.eval(is), "offline null", "{flags:?}");
        // Pages of the server's own are let in by that cookie.
        let own = watcher.eval(
            "Promise.all([fetch('/poll', { method: 'POST' }), fetch('/events')]).then((all) => all.map(({ status }) => status).join())",
        );
        assert_eq!(own, "200,200");
        watcher.until(&format!("{is}.then((is) => is.startsWith('online'))"));
    }
    let _ = fs::remove_file(&secret);
}
