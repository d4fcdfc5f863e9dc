//! What carries a page where something on the way lets no WebSocket through, and the way back to one: nobody is told, and nothing
//! is lost, doubled or out of order.

use super::alone;
use super::chromium::{Browser, Tab, found};
use super::proxy::{Proxy, Upgrades};
use super::secure::Keys;
use super::server::Server;
use super::support::post;

/// A page that comes by a proxy or not, with what it hears of a room.
fn enter<'b>(browser: &'b Browser, url: &str) -> Tab<'b> {
    let tab = browser.open(url);
    tab.until("window.rollcall?.state === 'open'");
    listen(&tab);
    tab
}

fn listen(tab: &Tab<'_>) {
    tab.eval(
        "(window.heard = [], window.states = [], \
          rollcall.on('say', ({ room, offset, data }) => room === 'hall' && heard.push([offset, data])), \
          rollcall.on('state', ({ state }) => states.push(state)), rollcall.join('hall').then(() => true))",
    );
}

fn is_carried(tab: &Tab<'_>, carrier: &str, words: &str) {
    tab.until(&format!("rollcall.carrier === '{carrier}' && rollcall.state === 'open'"));
    tab.until(&format!("document.querySelector('#link').innerText.startsWith('connected {words}')"));
}

/// Says something every few milliseconds, until [`silence`].
fn talk(tab: &Tab<'_>, every: u32) {
    tab.eval(&format!(
        "(window.said = 0, window.answered = 0, window.mouth = setInterval(() => rollcall.say('hall', ++said).then(() => answered += 1), {every}))"
    ));
}

fn silence(tab: &Tab<'_>) {
    tab.eval("clearInterval(mouth)");
    tab.until("answered === said");
}

/// Goes over to a WebSocket while everybody talks.
fn moves_in_the_middle(anna: &Tab<'_>, ben: &Tab<'_>, let_through: impl FnOnce()) {
    // What a page before this one has left is gone by then.
    ben.until(
        "rollcall.request('presence', { users: ['anna'] }).then(({ users: [view] }) => view.connections === 1)",
    );
    anna.eval("(heard.length = 0, states.length = 0)");
    ben.eval("(window.seen = [], window.off?.(), window.off = rollcall.on('presence', (view) => view.user === 'anna' && seen.push(view)))");
    talk(ben, 25);
    talk(anna, 60);
    anna.until("heard.length > 50");
    let_through();
    // Tries are further and further apart, but for a network that changes.
    anna.eval("window.dispatchEvent(new Event('online'))");
    anna.until("rollcall.carrier === 'websocket'");
    anna.eval("window.before = heard.length");
    anna.until("heard.length > before + 50");
    silence(ben);
    silence(anna);
    let last = ben.eval("rollcall.say('hall', 'last').then(({ offset }) => offset)");
    anna.until(&format!("heard.at(-1)[0] === {last}"));
    let odd = anna.eval("heard.filter(([offset], at) => at > 0 && offset !== heard[at - 1][0] + 1)");
    assert_eq!(odd, serde_json::json!([]), "lost, doubled or out of order");
    assert_eq!(anna.eval("states"), serde_json::json!([]), "the page was told");
    // That it is online, with another round trip, is no news.
    let news = ben.eval("seen.filter(({ state, connections }) => state !== 'online' || connections !== 1)");
    assert_eq!(news, serde_json::json!([]), "others were told");
}

#[test]
fn a_page_goes_by_what_gets_through_and_back_to_a_websocket() {
    let Some(chromium) = found("a page goes by what gets through and back to a WebSocket") else { return };
    let _alone = alone();
    for (workers, refusal) in [("1", Upgrades::Answered("400 Bad Request")), ("3", Upgrades::Unanswered)] {
        let server = Server::start(&["--workers", workers]);
        let proxy = Proxy::start(server.address);
        // A tab behind another one is away, and its timers are slow.
        let (one, two) = (Browser::start(&chromium, "carriers"), Browser::start(&chromium, "talks"));
        let ben = enter(&two, &server.url("/?user=ben"));
        ben.eval("rollcall.watch(['anna']).then(() => true)");
        proxy.upgrades(refusal);
        let anna = enter(&one, &proxy.url("/?user=anna"));
        is_carried(&anna, "events", "by an event stream");
        anna.screenshot("carriers");
        assert_eq!(anna.eval("states.length"), 0);
        moves_in_the_middle(&anna, &ben, || proxy.upgrades(Upgrades::Passed));

        // A proxy that keeps what it should pass on; and what got through is remembered over a reload.
        proxy.upgrades(refusal);
        proxy.holds_streams(true);
        proxy.cut();
        is_carried(&anna, "poll", "by polls");
        anna.go(&proxy.url("/?user=anna&again"));
        listen_again(&anna);
        is_carried(&anna, "poll", "by polls");
        let asked =
            "performance.getEntriesByType('resource').filter(({ name }) => name.includes('/events')).length";
        assert_eq!(anna.eval(asked), 0, "the tab remembers");
        moves_in_the_middle(&anna, &ben, || proxy.upgrades(Upgrades::Passed));
    }
}

fn listen_again(tab: &Tab<'_>) {
    tab.until("window.rollcall?.state === 'open'");
    listen(tab);
}

/// Clients of one page, with nothing but one carrier each.
const EACH: &str = "import('/rollcall.js').then(({ connect }) => { \
    window.connect = connect; window.each = ['websocket', 'events', 'poll'].map((carrier) => connect({ user: `by-${carrier}`, carriers: [carrier] })); \
    window.told = each.map(() => []); \
    each.forEach((one, at) => one.on('*', (detail, name) => told[at].push({ name, ...detail }))); \
    return true; })";

#[test]
fn the_end_is_the_same_by_every_carrier() {
    let Some(chromium) = found("the end is the same by every carrier") else { return };
    let _alone = alone();
    let mut server = Server::start(&["--workers", "3", "--max-connections-per-user", "1"]);
    let browser = Browser::start(&chromium, "ends");
    let tab = browser.open(&server.url("/?user=anna"));
    tab.eval(EACH);
    tab.until("each.every(({ state }) => state === 'open')");
    assert_eq!(
        tab.eval("each.map(({ carrier }) => carrier)"),
        serde_json::json!(["websocket", "events", "poll"])
    );
    // The server goes away, says when to come back, and is there again.
    server.stop();
    tab.until("told.every((all) => all.some(({ name, retry_ms }) => name === 'goodbye' && retry_ms >= 0))");
    server.again();
    tab.eval("each.forEach((one) => one.retry())");
    tab.until("each.every(({ state }) => state === 'open')");
    // Another one takes their place.
    tab.eval("(told.forEach((all) => all.splice(0)), window.others = each.map(({ user, carrier }) => connect({ user, carriers: [carrier] })), true)");
    tab.until("told.every((all) => all.some(({ name, code }) => name === 'closed' && code === 4409))");
    tab.until("others.every(({ state }) => state === 'open')");
    // Kicked.
    tab.eval("(told.forEach((all) => all.splice(0)), others.forEach((one, at) => one.on('*', (detail, name) => told[at].push({ name, ...detail }))), true)");
    for carrier in ["websocket", "events", "poll"] {
        let kicked =
            post(&server, &format!("/api/v1/users/by-{carrier}/disconnect"), r#"{"reason":"be kind"}"#);
        assert!(kicked.starts_with("HTTP/1.1 200"), "{kicked}");
    }
    tab.until("told.every((all) => all.some(({ name, code, reason }) => name === 'closed' && code === 4403 && reason === 'be kind'))");
    tab.until("[...each, ...others].every(({ state, carrier }) => state === 'closed' && carrier === null)");
    let sessions = "fetch('/metrics', { headers: { Authorization: `Bearer ${sessionStorage.getItem('rollcall.key')}` } }) \
        .then((answer) => answer.text()) \
        .then((text) => ['events', 'poll'].every((carrier) => text.includes(`rollcall_sessions{carrier=\"${carrier}\"} 0\\n`)))";
    tab.until(sessions);
}

/// A WebSocket that fails as long as `shut` is set.
const GATE: &str = "window.shut = true; \
    window.Gate = class extends WebSocket { constructor(url, protocols) { super(shut ? 'wss://127.0.0.1:9/' : url, protocols); } };";

#[test]
fn a_client_goes_over_to_a_websocket_by_tls() {
    let Some(chromium) = found("a client goes over to a WebSocket by TLS") else { return };
    let _alone = alone();
    let keys = Keys::make("carriers");
    let (cert, key) = (keys.path("cert.pem"), keys.path("key.pem"));
    let pin = format!("--ignore-certificate-errors-spki-list={}", keys.pin());
    let [browser, two] =
        ["carriers-tls", "talks-tls"].map(|name| Browser::start_with(&chromium, name, &[&pin]));
    let flags = ["--workers", "3", "--tls-cert", &cert, "--tls-key", &key];
    let server = Server::start_at("wss://127.0.0.1:0", &flags);
    let ben = enter(&two, &server.secure_url("/?user=ben"));
    ben.eval("rollcall.watch(['anna']).then(() => true)");
    for carrier in ["events", "poll"] {
        let anna = browser.open(&server.secure_url("/?user=page"));
        anna.eval(&format!("{GATE} true"));
        anna.eval(&format!(
            "import('/rollcall.js').then(({{ connect }}) => {{ rollcall.close(); \
             window.rollcall = connect({{ user: 'anna', carriers: ['websocket', '{carrier}'], env: {{ WebSocket: Gate }} }}); return true; }})"
        ));
        anna.until(&format!("rollcall.carrier === '{carrier}'"));
        listen_again(&anna);
        moves_in_the_middle(&anna, &ben, || drop(anna.eval("(shut = false)")));
        assert_eq!(anna.eval("sessionStorage.length > 0"), true);
        anna.eval("rollcall.close()");
        ben.until("seen.some(({ state }) => state === 'offline')");
        anna.close();
    }
}
