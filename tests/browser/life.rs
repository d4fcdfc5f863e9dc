//! What a tab lives through: it is left for another page and come back to, frozen, reloaded, and without a network.

use serde_json::json;

use super::alone;
use super::chromium::{Browser, Tab, found};
use super::server::Server;

/// A grace that a test lives to see the end of, and a reload on a busy machine does not.
const FLAGS: [&str; 6] = ["--workers", "2", "--offline-grace", "4s", "--drain", "1s"];

/// Anna's tab keeps two lists; `here` and `seen` of it tell of ben.
fn watcher<'b>(browser: &'b Browser, server: &Server) -> Tab<'b> {
    let anna = browser.open(&server.url("/?user=anna"));
    anna.until("window.rollcall?.state === 'open'");
    anna.eval(
        "window.list = rollcall.members('lobby'); window.users = rollcall.users(['ben']); window.seen = [];
         window.here = () => `${list.get('ben')?.state} ${users.get('ben')?.state} ${list.complete && users.complete}`;
         users.on('change', () => seen.push(users.get('ben')?.state)); true",
    );
    anna
}

fn open_tab<'b>(browser: &'b Browser, server: &Server) -> Tab<'b> {
    let ben = browser.open(&server.url("/?user=ben"));
    ben.until("window.rollcall?.state === 'open'");
    ben.eval("window.mark = 'the same page'; true");
    ben
}

#[test]
fn a_page_kept_for_the_way_back_is_gone_and_comes_back() {
    let Some(chromium) = found("a page kept for the way back is gone and comes back") else { return };
    let _alone = alone();
    let server = Server::start(&FLAGS);
    let (one, two) = (Browser::start(&chromium, "watcher"), Browser::start(&chromium, "kept"));
    let anna = watcher(&one, &server);
    let ben = open_tab(&two, &server);
    anna.until("here() === 'online online true'");

    // Ten minutes are what a browser keeps it for.
    ben.go(&server.url("/healthz"));
    anna.until("here() === 'undefined offline true'");
    let history = ben.call("Page.getNavigationHistory", json!({}));
    let at = usize::try_from(history["currentIndex"].as_u64().unwrap()).unwrap();
    let back = &history["entries"][at - 1]["id"];
    ben.call("Page.navigateToHistoryEntry", json!({ "entryId": back }));
    ben.until("location.pathname === '/' && rollcall.state === 'open'");
    assert_eq!(ben.eval("window.mark ?? 'a new page'"), "the same page", "it was kept");
    anna.until("here() === 'online online true'");
    ben.until("[...rollcall.members('lobby')].length === 2");
    assert_eq!(ben.complaints(), Vec::<String>::new());
}

#[test]
fn reloads_and_second_tabs_show_nothing_and_goodbyes_at_once() {
    let Some(chromium) = found("reloads and second tabs show nothing and goodbyes at once") else { return };
    let _alone = alone();
    let server = Server::start(&FLAGS);
    let (one, two) = (Browser::start(&chromium, "watcher"), Browser::start(&chromium, "reloads"));
    let anna = watcher(&one, &server);
    let ben = open_tab(&two, &server);
    anna.until("here() === 'online online true'");
    anna.eval("seen.length = 0; true");
    for _ in 0..2 {
        ben.eval("location.reload()");
        ben.until("window.rollcall?.state === 'open' && !window.mark");
        ben.eval("window.mark = 'the next page'; true");
    }
    let second = two.open(&server.url("/?user=ben"));
    anna.until("users.get('ben').connections === 2");
    second.close();
    anna.until("users.get('ben').connections === 1");
    let seen = anna.eval("seen.filter((state) => state && state !== 'online' && state !== 'away').join()");
    assert_eq!(seen, "", "nobody saw him go");
    ben.eval("rollcall.close(); true");
    anna.until("here() === 'undefined offline true'");
    assert_eq!(anna.complaints(), Vec::<String>::new());
}

#[test]
fn a_frozen_tab_is_away_and_thaws() {
    let Some(chromium) = found("a frozen tab is away and thaws") else { return };
    let _alone = alone();
    let server = Server::start(&FLAGS);
    let (one, two) = (Browser::start(&chromium, "watcher"), Browser::start(&chromium, "frozen"));
    let anna = watcher(&one, &server);
    let ben = open_tab(&two, &server);
    anna.until("here() === 'online online true'");
    ben.call("Page.setWebLifecycleState", json!({ "state": "frozen" }));
    anna.until("here() === 'away away true'");
    ben.call("Page.setWebLifecycleState", json!({ "state": "active" }));
    // It thaws hidden, as a tab in the background does, until somebody looks at it.
    let other = two.open("about:blank");
    other.front();
    ben.until("document.visibilityState === 'hidden' && rollcall.state === 'open'");
    ben.front();
    anna.until("here() === 'online online true'");
    assert_eq!(ben.eval("window.mark"), "the same page");
}

#[test]
fn who_has_a_network_again_is_back_at_once() {
    let Some(chromium) = found("who has a network again is back at once") else { return };
    let _alone = alone();
    let mut server = Server::start(&FLAGS);
    let browser = Browser::start(&chromium, "network");
    let ben = open_tab(&browser, &server);
    let network = |offline: bool| {
        let conditions =
            json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        ben.call("Network.emulateNetworkConditions", conditions);
    };
    ben.call("Network.enable", json!({}));
    ben.eval("Math.random = () => 0.05; window.asked = 0; rollcall.on('stuck', () => { asked += 1; }); true");
    server.stop();
    network(true);
    server.again();
    // It goes on trying behind its question: the next try is half a minute away at least.
    ben.until("rollcall.state === 'stuck' && asked === 1");
    ben.eval("window.left = Date.now(); window.back = 0; rollcall.on('welcome', () => { back = Date.now(); }); true");
    network(false);
    ben.until("rollcall.state === 'open'");
    let took = ben.eval("back - left").as_f64().unwrap();
    assert!(took < 20_000.0, "{took} ms");
    ben.until("document.querySelector('#toast').hidden");
}
