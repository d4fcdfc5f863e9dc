//! The logic of `rollcall.js` in the engine that it is for, against a stand-in for WebSocket and for time. The module is
//! imported as a page elsewhere would.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::alone;
use super::chromium::{Browser, found};
use super::server::Server;

/// The tests by subject. Each is an expression, a function of what `world.js` makes of the module.
const LOGIC: [(&str, &str, usize); 8] = [
    ("link", include_str!("logic/link.js"), 18),
    ("carriers", include_str!("logic/carriers.js"), 25),
    ("page", include_str!("logic/page.js"), 15),
    ("wants", include_str!("logic/wants.js"), 11),
    ("rooms", include_str!("logic/rooms.js"), 17),
    ("history", include_str!("logic/history.js"), 14),
    ("lists", include_str!("logic/lists.js"), 15),
    ("model", include_str!("logic/model.js"), 1),
];

#[test]
fn the_client_keeps_its_word() {
    let Some(chromium) = found("the client keeps its word") else { return };
    let _alone = alone();
    let server = Server::start(&[]);
    let browser = Browser::start(&chromium, "client");
    let tab = browser.open(&elsewhere());
    let (module, world) = (server.url("/rollcall.js"), include_str!("logic/world.js"));
    for (subject, logic, count) in LOGIC {
        let run = format!(
            "import('{module}').then(async (module) => {{
                const passed = [];
                for (const [name, test] of Object.entries((\n{logic}\n)((\n{world}\n)(module)))) {{
                    await test().catch((error) => {{ throw new Error(`${{name}}: ${{error.message}}`); }});
                    passed.push(name);
                }}
                return passed;
            }}).catch((error) => error.message)"
        );
        for (first, last) in if subject == "model" { seeds() } else { vec![(0, 0)] } {
            let passed = tab.eval(&format!("globalThis.ROLLCALL_SEEDS = [{first}, {last}]; {run}"));
            let Some(passed) = passed.as_array() else { panic!("{subject}: {passed}") };
            assert_eq!(passed.len(), count, "{subject}: {passed:?}");
        }
    }
}

/// Games of the model to play, in portions that each take a moment: those of `ROLLCALL_SEED`, or as many as
/// `ROLLCALL_SEEDS` says.
fn seeds() -> Vec<(u64, u64)> {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    if let Some(seed) = number("ROLLCALL_SEED") {
        return vec![(seed, seed)];
    }
    let all = number("ROLLCALL_SEEDS").unwrap_or(1000);
    (1..=all).step_by(200).map(|first| (first, all.min(first + 199))).collect()
}

/// A page of another origin, which has no policy: every request is answered with it.
pub(super) fn elsewhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\nConnection: close\r\n\r\n<!doctype html>";
            let _ = stream.write_all(page.as_bytes());
        }
    });
    format!("http://{address}/")
}
