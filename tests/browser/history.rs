//! The line is cut, others go on talking, and it is mended: the conversation is complete.

use serde_json::json;

use super::alone;
use super::chromium::{Browser, Tab, found};
use super::server::Server;

const FLAGS: [&str; 6] = ["--workers", "3", "--history", "lobby=100", "--history", "kept.*=500/1h"];

/// The lines of the talk that a page shows, one behind the other, without who came and went.
const TALK: &str =
    "[...document.querySelectorAll('#talk li:not(.aside)')].map((line) => line.lastChild.textContent).join()";

fn open<'b>(browser: &'b Browser, server: &Server, user: &str) -> Tab<'b> {
    let tab = browser.open(&server.url(&format!("/?user={user}")));
    tab.until("window.rollcall?.state === 'open' && rollcall.user !== null");
    tab.until("document.querySelector('#rooms [aria-selected=true]')?.innerText.includes('lobby')");
    tab
}

fn says(tab: &Tab<'_>, text: &str) {
    tab.eval(&format!(
        "(document.querySelector('#say input').value = '{text}', document.querySelector('#say').requestSubmit())"
    ));
}

#[test]
fn a_cut_line_loses_nothing_of_the_talk() {
    let Some(chromium) = found("a cut line loses nothing of the talk") else { return };
    let _alone = alone();
    let server = Server::start(&FLAGS);
    let (one, two) = (Browser::start(&chromium, "cut"), Browser::start(&chromium, "talks"));
    let (anna, ben) = (open(&one, &server, "anna"), open(&two, &server, "ben"));
    anna.until("document.querySelector('#count').textContent === '2'");
    says(&ben, "one");
    anna.until(&format!("{TALK} === 'one'"));
    anna.eval("document.querySelector('#cut').click()");
    anna.until("rollcall.state !== 'open' && document.querySelector('#cut').textContent.includes('Mend')");
    for text in ["two", "three", "four"] {
        says(&ben, text);
    }
    ben.until(&format!("{TALK} === 'one,two,three,four'"));
    // What she says herself meanwhile waits.
    says(&anna, "five");
    assert_eq!(anna.eval(TALK), "one");
    anna.eval("document.querySelector('#cut').click()");
    anna.until(&format!("{TALK} === 'one,two,three,four,five'"));
    ben.until(&format!("{TALK} === 'one,two,three,four,five'"));
    anna.until("document.querySelector('#talk').innerText.includes('these 3 were said meanwhile')");
    anna.screenshot("history");
    // Who comes later reads what was said before.
    let cleo = open(&two, &server, "cleo");
    cleo.until(&format!("{TALK} === 'one,two,three,four,five'"));
    for tab in [&anna, &ben, &cleo] {
        assert_eq!(tab.complaints(), Vec::<String>::new());
    }
}

#[test]
fn pages_with_cut_lines_hear_everything_once() {
    let Some(chromium) = found("pages with cut lines hear everything once") else { return };
    let _alone = alone();
    let server = Server::start(&FLAGS);
    let browser = Browser::start(&chromium, "lines");
    let tab = open(&browser, &server, "host");
    // Clients of one page whose lines break again and again, one in the middle of its own words.
    let done = tab.eval(&format!(
        "import('{}').then(async ({{ connect }}) => {{
            const lines = new Set(), heard = [], rejoins = [];
            class Line extends WebSocket {{
                constructor(...all) {{ super(...all); lines.add(this); this.addEventListener('close', () => lines.delete(this)); }}
            }}
            const random = () => Math.random() / 50;
            const ears = ['ear-1', 'ear-2'].map((user) => connect({{ user, env: {{ WebSocket: Line, random }} }}));
            for (const [i, ear] of ears.entries()) {{
                heard.push([]);
                ear.on('say', ({{ data, offset }}) => heard[i].push([offset, data instanceof ArrayBuffer ? new Uint8Array(data)[0] : data]));
                ear.on('rejoin', ({{ recovered, missed, gap }}) => rejoins.push([recovered, missed, gap]));
                await ear.join('kept.1');
            }}
            const mouth = connect({{ user: 'mouth', env: {{ WebSocket: Line, random }} }});
            await mouth.join('kept.1');
            const said = [];
            for (let n = 0; n < 200; n += 1) {{
                said.push(mouth.say('kept.1', n % 4 === 3 ? new Uint8Array([n]) : n, {{ echo: false }}));
                if (n % 50 === 20) for (const line of [...lines]) line.close();
                await new Promise((done) => setTimeout(done, 25));
            }}
            await Promise.all(said);
            for (let i = 0; i < 400 && heard.some(({{ length }}) => length < 200); i += 1) await new Promise((done) => setTimeout(done, 25));
            const back = await mouth.history('kept.1', {{ before: 4, limit: 2 }});
            return {{ heard, rejoins, back: back.messages.map(({{ data }}) => data) }};
        }}).catch((error) => error.message)",
        server.url("/rollcall.js")
    ));
    let all: Vec<_> = (0..200).map(|n| json!([n + 1, n])).collect();
    assert!(done["heard"] == json!([all, all]), "{:.2000}", done.to_string());
    assert!(done["rejoins"].as_array().unwrap().len() >= 8, "{done}");
    assert!(done["rejoins"].as_array().unwrap().iter().all(|one| one[0] == true && one[2].is_null()));
    assert_eq!(done["back"], json!([1, 2]));
}
