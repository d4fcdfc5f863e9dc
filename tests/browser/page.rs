//! Two people with a browser each: what one does, the other's page shows.

use rustix::process::Signal;

use super::alone;
use super::chromium::{Browser, Tab, found, signal, until};
use super::server::{KEY, Server};

/// Heartbeats so short that a test lives to see them; a grace that covers a reload on a busy machine.
const FLAGS: [&str; 18] = [
    "--workers",
    "2",
    "--heartbeat",
    "both",
    "--heartbeat-interval",
    "1s",
    "--heartbeat-timeout",
    "6s",
    "--client-silence",
    "4s",
    "--offline-grace",
    "4s",
    "--suspect-after",
    "3s",
    "--drain",
    "1s",
    "--close-timeout",
    "1s",
];

/// The state that a page shows of somebody; `gone` where it shows nobody.
fn state(tab: &Tab<'_>, user: &str) -> String {
    let script = format!("document.querySelector('[data-user=\"{user}\"]')?.dataset.state ?? 'gone'");
    tab.eval(&script).as_str().unwrap().to_owned()
}

pub(super) fn shows(tab: &Tab<'_>, user: &str, wanted: &str) {
    until(&format!("{user} is {wanted}"), || (state(tab, user) == wanted).then_some(()));
}

/// Keeps every state of somebody that a page shows from now on.
fn record(tab: &Tab<'_>, user: &str) {
    tab.eval(&format!(
        "window.seen = []; rollcall.on('presence', (view) => view.user === '{user}' && seen.push(view.state)); true"
    ));
}

#[test]
fn two_people_see_each_other_live() {
    let Some(chromium) = found("two people see each other live") else { return };
    let _alone = alone();
    let mut server = Server::start(&FLAGS);
    let (one, two) = (Browser::start(&chromium, "one"), Browser::start(&chromium, "two"));
    let anna = one.open(&server.url("/?user=anna"));
    shows(&anna, "anna", "online");
    anna.until("document.querySelector('#count').textContent === '1'");
    // The key that the address had behind it is used, kept for this window, and in the address no more.
    anna.until("document.querySelector('#v-connections').textContent !== '–'");
    assert_eq!(anna.eval("location.hash"), "");

    // Comes.
    let ben = two.open(&server.url("/?user=ben"));
    shows(&anna, "ben", "online");
    shows(&ben, "anna", "online");
    anna.until("document.querySelector('#count').textContent === '2'");
    anna.screenshot("two");

    // Says that he is away, and is back.
    ben.eval("document.querySelector('[data-say=away]').click()");
    shows(&anna, "ben", "away");
    ben.eval("document.querySelector('[data-say=online]').click()");
    shows(&anna, "ben", "online");

    // Talks.
    ben.eval("(document.querySelector('#say input').value = '<b>Hello</b>', document.querySelector('#say').requestSubmit())");
    anna.until("document.querySelector('#talk').innerText.includes('<b>Hello</b>')");

    // Reloads without a flicker.
    record(&anna, "ben");
    ben.eval("location.reload()");
    ben.until("window.rollcall?.state === 'open' && rollcall.user === 'ben'");
    ben.until("document.querySelector('#v-connections').textContent !== '–'");
    shows(&ben, "anna", "online");

    // Has a second tab, and closes it: one device less, and never offline.
    let second = two.open(&server.url("/?user=ben"));
    anna.until("document.querySelector('[data-user=ben]').innerText.includes('2 devices')");
    second.close();
    anna.until("!document.querySelector('[data-user=ben]').innerText.includes('devices')");
    let seen = anna.eval("seen.join()");
    assert!(!seen.as_str().unwrap().contains("offline"), "{seen}");

    // Hides the tab, by looking at another one.
    let other = two.open("about:blank");
    other.front();
    ben.until("document.visibilityState === 'hidden'");
    shows(&anna, "ben", "away");
    ben.front();
    other.close();
    shows(&anna, "ben", "online");

    // His page is stopped, his browser is not: the connection answers Pings, the page says nothing.
    let pages = two.processes("renderer");
    pages.iter().for_each(|&page| signal(page, Signal::STOP));
    shows(&anna, "ben", "away");
    pages.iter().for_each(|&page| signal(page, Signal::CONT));
    shows(&anna, "ben", "online");

    // The server restarts: both are back by themselves, in their rooms, with their watches.
    anna.eval("window.back = []; rollcall.on('rejoin', (told) => back.push(told)); true");
    server.stop();
    anna.until("rollcall.state !== 'open'");
    server.again();
    for tab in [&anna, &ben] {
        tab.until("rollcall.state === 'open'");
        tab.until("document.querySelector('#rooms [aria-selected=true]').innerText.includes('2')");
    }
    anna.until("back.length === 1 && back[0].room === 'lobby' && back[0].missed === null");
    anna.until("back[0].before.epoch !== back[0].after.epoch");
    ben.eval("rollcall.status('busy')");
    shows(&anna, "ben", "busy");
    anna.until("document.querySelector('#count').textContent === '2'");
    ben.eval("rollcall.status('away')");
    shows(&anna, "ben", "away");
    ben.eval("rollcall.status(null)");
    shows(&anna, "ben", "online");

    // All of his browser is stopped: nothing answers any more.
    record(&anna, "ben");
    two.signal_all(Signal::STOP);
    shows(&anna, "ben", "offline");
    let reason = anna.eval("document.querySelector('[data-user=ben]').innerText");
    assert!(reason.as_str().unwrap().contains("gone silent"), "{reason}");
    // And wakes up.
    two.signal_all(Signal::CONT);
    shows(&anna, "ben", "online");

    // Leaves.
    ben.close();
    shows(&anna, "ben", "offline");
    // While the server was away nobody could be reached; that is no fault of the page's.
    let away =
        |said: &String| said.contains("WebSocket connection") || said.contains("ERR_CONNECTION_REFUSED");
    let complaints: Vec<String> = anna.complaints().into_iter().filter(|said| !away(said)).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn a_page_without_the_key_asks_for_it_and_takes_it_from_its_address() {
    let Some(chromium) = found("a page without the key asks for it and takes it from its address") else {
        return;
    };
    let _alone = alone();
    let server = Server::start(&[]);
    let browser = Browser::start(&chromium, "key");
    let anna = browser.open(&format!("http://{}/?user=anna", server.address));
    anna.until("window.rollcall?.state === 'open' && !document.querySelector('#key').hidden");
    assert!(anna.complaints().is_empty(), "it asks nobody in vain: {:#?}", anna.complaints());
    // As who pastes the address that the server printed into the window that is open.
    anna.eval(&format!("location.hash = 'key={KEY}'; true"));
    anna.until("document.querySelector('#key').hidden && document.querySelector('#v-connections').textContent !== '–'");
    assert_eq!(anna.eval("location.hash"), "");
    anna.eval("(sessionStorage.setItem('rollcall.key', 'another'), location.reload())");
    anna.until("window.rollcall?.state === 'open' && !document.querySelector('#key').hidden");
    assert_eq!(anna.eval("sessionStorage.getItem('rollcall.key')"), serde_json::Value::Null);
    anna.eval(&format!(
        "(document.querySelector('#key input').value = '{KEY}', document.querySelector('#key').requestSubmit())"
    ));
    anna.until(
        "document.querySelector('#key').hidden && document.querySelector('#v-messages').textContent !== '–'",
    );
}

#[test]
fn a_page_shows_names_of_all_kinds_as_they_are() {
    let Some(chromium) = found("a page shows names of all kinds as they are") else { return };
    let _alone = alone();
    let server = Server::start(&[]);
    let browser = Browser::start(&chromium, "names");
    let anna = browser.open(&server.url("/?user=anna&room=user%2F42"));
    anna.until("window.rollcall?.state === 'open'");
    for (encoded, name) in [
        ("auth0%7C5f7c", "auth0|5f7c"),
        ("J%C3%B6rg+%22x%22", "Jörg \"x\""),
        ("%E6%9D%8E%E9%9B%B7", "李雷"),
        ("__proto__", "__proto__"),
    ] {
        let tab = browser.open(&server.url(&format!("/?user={encoded}&room=user%2F42")));
        tab.until(&format!("window.rollcall?.user === {name:?}"));
        anna.front();
        anna.until(&format!(
            "[...document.querySelectorAll('.row')].some((row) => row.dataset.user === {name:?} && row.innerText.includes({name:?}))"
        ));
    }
    anna.eval("rollcall.join('__proto__').then(() => rollcall.say('user/42', { text: 'hello' })); true");
    anna.until("document.querySelector('#rooms [aria-selected=true]').innerText.includes('user/42')");
    anna.until("document.querySelector('#talk').innerText.includes('hello')");
    assert!(anna.complaints().is_empty(), "{:#?}", anna.complaints());
}
