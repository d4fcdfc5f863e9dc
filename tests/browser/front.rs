//! The page as a stranger meets it: what it offers, what it counts, and what it says where something is wrong.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use rustix::process::Signal;

use super::alone;
use super::chromium::{Browser, Tab, found};
use super::page::shows;
use super::server::{KEY, Server};

/// Submits a form whose field has this value.
fn submit(tab: &Tab<'_>, form: &str, value: &str) {
    tab.eval(&format!(
        "(document.querySelector('{form} input').value = {value:?}, document.querySelector('{form}').requestSubmit())"
    ));
}

/// The user behind the first button of the page's own second person.
fn guest(tab: &Tab<'_>) -> String {
    tab.until("document.querySelector('#guests li b') !== null");
    tab.eval("document.querySelector('#guests li b').textContent").as_str().unwrap().to_owned()
}

fn press(tab: &Tab<'_>, text: &str) {
    tab.eval(&format!(
        "([...document.querySelectorAll('#guests button')].find((button) => button.textContent === {text:?}).click(), true)"
    ));
}

#[test]
fn a_second_person_comes_and_goes_while_the_page_is_looked_at() {
    let Some(chromium) = found("a second person comes and goes on the page") else { return };
    let _alone = alone();
    let server = Server::start(&["--offline-grace", "1s"]);
    let browser = Browser::start(&chromium, "guest");
    let anna = browser.open(&server.url("/?user=anna"));
    anna.until("document.querySelector('#count').textContent === '1'");
    anna.screenshot("front-alone");
    anna.eval("(document.querySelector('#other').click(), true)");
    let guest = guest(&anna);
    shows(&anna, &guest, "online");
    anna.until(
        "document.querySelector('#count').textContent === '2' && document.visibilityState === 'visible'",
    );
    press(&anna, "Says hello");
    anna.until("document.querySelector('#talk').innerText.includes('Hello!')");
    press(&anna, "Goes away");
    shows(&anna, &guest, "away");
    anna.screenshot("front-guest");
    press(&anna, "Is back");
    shows(&anna, &guest, "online");
    press(&anna, "Leaves");
    shows(&anna, &guest, "offline");
    anna.until(
        "document.querySelector('#guests').hidden && document.querySelector('#count').textContent === '1'",
    );
    assert_eq!(anna.complaints(), Vec::<String>::new());
}

#[test]
fn connections_without_a_name_and_users_elsewhere_are_counted() {
    let Some(chromium) = found("connections without a name are counted") else { return };
    let _alone = alone();
    let server = Server::start(&[]);
    let browser = Browser::start(&chromium, "count");
    let connect = |path: &str| {
        let socket = TcpStream::connect(server.address).unwrap();
        tungstenite::client(format!("ws://{}{path}", server.address), socket).unwrap().0
    };
    let named: Vec<_> = (0..30).map(|i| connect(&format!("/ws?user=user-{i}"))).collect();
    let nameless: Vec<_> = (0..20).map(|_| connect("/echo")).collect();
    let anna = browser.open(&server.url("/?user=anna"));
    anna.until("document.querySelector('#count').textContent === '31'");
    anna.until("document.querySelector('#all').textContent.startsWith('51 connections in all')");
    anna.until("document.querySelector('#noun').textContent === 'people here now'");
    // Without the key only the room is known, and the page says so.
    let ben = browser.open(&format!("http://{}/?user=ben", server.address));
    ben.until("document.querySelector('#count').textContent === '2'");
    ben.until("document.querySelector('#noun').textContent === 'people in lobby now'");
    drop((named, nameless));
}

#[test]
fn a_wrong_key_is_told_so_and_figures_go_on_with_the_right_one() {
    let Some(chromium) = found("a wrong key is told so") else { return };
    let _alone = alone();
    let mut server = Server::start(&[]);
    let browser = Browser::start(&chromium, "wrong-key");
    let anna = browser.open(&format!("http://{}/?user=anna", server.address));
    anna.until("window.rollcall?.state === 'open' && !document.querySelector('#key').hidden");
    submit(&anna, "#key", "nonsense");
    anna.until("document.querySelector('#key-why').textContent.includes('not this server')");
    let moves = |tab: &Tab<'_>| {
        tab.until("document.querySelector('#key').hidden && document.querySelector('#f-connections').textContent !== ''");
        tab.until("/^[0-9]+$/.test(document.querySelector('#t-connections').textContent)");
    };
    submit(&anna, "#key", KEY);
    moves(&anna);
    // Asked for once, the figures go on by themselves: one that stands still would be taken for true.
    anna.eval("(window.last = document.querySelector('#f-connections').textContent, true)");
    anna.until("document.querySelector('#f-connections').textContent !== last");
    // A server that is away has no figures, and one that is back has some again.
    server.stop();
    anna.until("document.querySelector('#v-connections').textContent === '–'");
    anna.until("document.querySelector('#link').innerText.includes('no connection')");
    anna.until("['waiting', 'stuck'].includes(document.querySelector('#link').dataset.state)");
    server.again();
    anna.until("rollcall.state === 'open'");
    moves(&anna);
}

#[test]
fn a_server_that_wants_a_token_by_now_is_asked_for_no_more_than_that() {
    let Some(chromium) = found("a server that wants a token by now") else { return };
    let _alone = alone();
    let secret = std::env::temp_dir().join(format!("rollcall-{}-front", std::process::id()));
    std::fs::write(&secret, "a secret that is long enough for tokens\n").unwrap();
    let mut server = Server::start(&[]);
    let browser = Browser::start(&chromium, "by-now");
    let anna = browser.open(&server.url("/?user=anna"));
    anna.until("window.rollcall?.state === 'open'");
    server.stop();
    server.flags_are(&["--token-secret-file", secret.to_str().unwrap()]);
    server.again();
    let waits = "!document.querySelector('#gate').hidden && document.querySelector('#link').innerText.includes('waits for a token') \
                 && document.querySelector('#link').dataset.state === 'closed' && document.querySelector('#other').hidden";
    anna.until(waits);
    // And so does a page that is opened then.
    let ben = browser.open(&server.url("/?user=ben"));
    ben.until(waits);
    let _ = std::fs::remove_file(&secret);
}

#[test]
fn a_page_that_was_sent_away_or_lost_its_server_is_not_green() {
    let Some(chromium) = found("a page that was sent away is not green") else { return };
    let _alone = alone();
    let mut server = Server::start(&["--heartbeat-interval", "1s", "--heartbeat-timeout", "2s"]);
    let browser = Browser::start(&chromium, "not-green");
    let anna = browser.open(&server.url("/?user=anna"));
    let ben = browser.open(&server.url("/?user=ben"));
    for tab in [&anna, &ben] {
        tab.until("document.querySelector('#link').dataset.state === 'open' && document.querySelector('#link').innerText.includes('connected')");
    }
    let kicked = ben.eval(&format!(
        "fetch('/api/v1/users/ben/disconnect', {{ method: 'POST', body: '{{\"reason\":\"be kind\"}}', \
         headers: {{ 'Content-Type': 'application/json', Authorization: 'Bearer {KEY}' }} }}).then(({{ status }}) => status)"
    ));
    assert_eq!(kicked, 200);
    ben.until("document.querySelector('#link').dataset.state === 'closed' && document.querySelector('#link').innerText.includes('sent away')");
    ben.until("document.querySelector('#toast').innerText.includes('be kind')");
    ben.until("document.querySelector('#noun').textContent.endsWith('when last known')");
    ben.screenshot("front-kicked");
    // A server that hangs, and one that is gone.
    anna.front();
    server.signal(Signal::STOP);
    anna.until("['waiting', 'stuck'].includes(document.querySelector('#link').dataset.state)");
    server.signal(Signal::CONT);
    anna.until("document.querySelector('#link').dataset.state === 'open'");
    server.stop();
    // Its waits between five tries are left to chance, 49 seconds at most: they are cut short.
    anna.until("document.querySelector('#link').dataset.state === 'stuck' && document.querySelector('#link').innerText.includes('no connection') || (rollcall.retry(), false)");
    let grey = "getComputedStyle(document.querySelector('#list')).filter";
    assert_eq!(anna.eval(grey), "grayscale(1)");
}

#[test]
fn a_room_that_was_refused_is_no_tab_and_a_tab_list_has_tabs_alone() {
    let Some(chromium) = found("a room that was refused is no tab") else { return };
    let _alone = alone();
    let server = Server::start(&[]);
    let browser = Browser::start(&chromium, "refused");
    let anna = browser.open(&server.url("/?user=anna"));
    anna.until("window.rollcall?.state === 'open'");
    let ban = anna.eval(&format!(
        "fetch('/api/v1/rooms/cellar/ban', {{ method: 'POST', body: '{{\"user\":\"anna\",\"for\":\"10m\"}}', \
         headers: {{ 'Content-Type': 'application/json', Authorization: 'Bearer {KEY}' }} }}).then(({{ status }}) => status)"
    ));
    assert_eq!(ban, 200);
    submit(&anna, "#enter", "attic");
    anna.until("document.querySelector('#rooms [aria-selected=true]').dataset.room === 'attic'");
    submit(&anna, "#enter", "cellar");
    anna.until("document.querySelector('#toast').innerText.startsWith('cellar: ')");
    anna.until("!document.querySelector('[data-room=cellar]') && document.querySelector('#rooms [aria-selected=true]').dataset.room === 'lobby'");
    assert_eq!(anna.eval("[...document.querySelectorAll('[role=tablist] > *')].every((tab) => tab.getAttribute('role') === 'tab')"), true);
    anna.eval("(document.querySelector('[data-room=lobby]').focus(), document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true })), true)");
    anna.until("document.activeElement.dataset.room === 'attic' && document.activeElement.tabIndex === 0");
}

#[test]
fn a_log_line_shows_all_of_itself_and_a_chart_its_scale() {
    let Some(chromium) = found("a log line shows all of itself") else { return };
    let _alone = alone();
    let server = Server::start(&[]);
    let browser = Browser::start(&chromium, "log");
    let anna = browser.open(&server.url("/?user=anna"));
    anna.until("window.rollcall?.state === 'open'");
    let long = "x".repeat(600);
    anna.eval(&format!("rollcall.join('lobby').then(() => rollcall.say('lobby', {{ text: '{long} the end' }})).then(() => true)"));
    anna.eval("(document.querySelector('#pause').click(), true)");
    anna.until(
        "[...document.querySelectorAll('#log li')].some((line) => line.innerText.includes('say {\"room'))",
    );
    anna.eval("([...document.querySelectorAll('#log li')].find((line) => line.innerText.includes('say {\"room')).click(), true)");
    anna.until("!document.querySelector('#whole').hidden && document.querySelector('#whole').innerText.includes('x the end')");
    anna.screenshot("front-log");
    anna.eval("(document.querySelector('#whole button').click(), true)");
    anna.until("document.querySelector('#whole').hidden && /^[0-9]+$/.test(document.querySelector('#t-connections').textContent)");
    anna.until("[...document.querySelectorAll('.chart')].every((chart) => chart.innerText.includes('now') && chart.querySelector('.zero').innerText === '0')");
}

#[test]
fn the_servers_own_page_comes_in_whatever_origins_are_named() {
    let Some(chromium) = found("the server's own page comes in") else { return };
    let _alone = alone();
    let server = Server::start(&["--origin", "https://www.example.org"]);
    let browser = Browser::start(&chromium, "own-origin");
    let anna = browser.open(&server.url("/?user=anna"));
    anna.until("document.querySelector('#link').dataset.state === 'open'");
    // Behind a proxy that passes on another Host it is a stranger, and says what to do.
    let ben = browser.open(&format!("http://{}/?user=ben", bare_proxy(&server)));
    ben.until("document.querySelector('#toast').innerText.includes('--origin http://')");
    ben.until("document.querySelector('#link').dataset.state === 'closed'");
}

/// A proxy that names the server in `Host`, as one does that was told nothing else.
fn bare_proxy(server: &Server) -> std::net::SocketAddr {
    let (listener, to) = (TcpListener::bind("127.0.0.1:0").unwrap(), server.address);
    let own = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let Ok(mut server) = TcpStream::connect(to) else { return };
                let (mut from, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut from, &mut back));
                let mut buffer = [0; 16 << 10];
                while let Ok(count @ 1..) = client.read(&mut buffer) {
                    let text = String::from_utf8_lossy(&buffer[..count]);
                    let passed = text.replace(&format!("Host: {own}"), &format!("Host: {to}"));
                    let bytes = if passed == text { &buffer[..count] } else { passed.as_bytes() };
                    if server.write_all(bytes).is_err() {
                        return;
                    }
                }
            });
        }
    });
    own
}

#[test]
fn the_manual_is_there_without_script_and_within_the_screen() {
    let Some(chromium) = found("the manual is there") else { return };
    let _alone = alone();
    let server = Server::start(&[]);
    let browser = Browser::start(&chromium, "docs");
    let tab = browser.open(&format!("http://{}/docs", server.address));
    let links = tab.eval("[...document.querySelectorAll('.side a')].map((link) => link.pathname)");
    assert!(links.as_array().unwrap().len() > 12, "{links}");
    for link in links.as_array().unwrap() {
        for (width, mobile) in [(1280, false), (390, true)] {
            let size = serde_json::json!({ "width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": mobile });
            tab.call("Emulation.setDeviceMetricsOverride", size);
            tab.go(&format!("http://{}{}", server.address, link.as_str().unwrap()));
            let wide = tab.eval("document.documentElement.scrollWidth");
            assert!(wide.as_u64().unwrap() <= width, "{link}: {wide} wide on {width}");
            assert_eq!(tab.eval("document.scripts.length"), 0);
            if ["/docs", "/docs/settings", "/docs/tokens"].contains(&link.as_str().unwrap()) {
                tab.screenshot(&format!("manual{}-{width}", link.as_str().unwrap().replace('/', "-")));
            }
        }
    }
    assert_eq!(tab.complaints(), Vec::<String>::new());
}
