//! The page, the client and the echo over `wss://` in a real browser, with a certificate of `rollcall cert` and with
//! compression, which browsers offer unasked.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{KeyPair, PublicKeyData as _};
use ring::digest::{SHA256, digest};
use rollcall::internals::limits::FIGURES_TICKS;
use rollcall::internals::time::TICK_MILLIS;
use serde_json::Value;

use super::alone;
use super::chromium::{Browser, Tab, found};
use super::server::Server;

/// A certificate of ours, in a directory that goes with it.
pub(super) struct Keys(PathBuf);

impl Keys {
    pub(super) fn make(name: &str) -> Keys {
        let directory =
            std::env::temp_dir().join(format!("rollcall-{}-browser-keys-{name}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let keys = Keys(directory);
        let made = Command::new(env!("CARGO_BIN_EXE_rollcall"))
            .args(["cert", "--dir"])
            .arg(&keys.0)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        keys
    }

    pub(super) fn path(&self, file: &str) -> String {
        self.0.join(file).to_str().unwrap().to_owned()
    }

    /// The hash of its public key: what makes a browser take this certificate for good, and no other.
    pub(super) fn pin(&self) -> String {
        let key = KeyPair::from_pem(&fs::read_to_string(self.0.join("key.pem")).unwrap()).unwrap();
        BASE64_STANDARD.encode(digest(&SHA256, &key.subject_public_key_info()))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Sends each message to `/echo` and awaits the same, on one connection; returns what was agreed about compression.
const ECHO: &str = r#"(async () => {
  const socket = new WebSocket(`wss://${location.host}/echo`);
  socket.binaryType = "arraybuffer";
  const next = () => new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => resolve(data);
    socket.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
  });
  await new Promise((resolve, reject) => ((socket.onopen = resolve), (socket.onerror = () => reject(new Error("refused")))));
  const line = JSON.stringify({ text: "Grüße, 你好, 👋 and the same again. ".repeat(60), from: "anna" });
  for (const message of ["", "short", line, line, line.repeat(40), line, "x".repeat(513)]) {
    const echoed = next();
    socket.send(message);
    if ((await echoed) !== message) throw new Error(`${message.length} characters came back otherwise`);
  }
  const bytes = new Uint8Array(100_000).map((_, at) => (at * at) >> 3);
  const echoed = next();
  socket.send(bytes);
  const back = new Uint8Array(await echoed);
  if (back.length !== bytes.length || back.some((byte, at) => byte !== bytes[at])) throw new Error("bytes differ");
  const { extensions } = socket;
  socket.onclose = null;
  socket.close();
  return extensions;
})()"#;

/// A figure of `/metrics`, with all that happened until now: what another scrape was told is told again for a tenth of a second.
fn metric(tab: &Tab<'_>, name: &str) -> u64 {
    let older = u64::from(FIGURES_TICKS) * TICK_MILLIS + 50;
    let text = tab.eval(&format!(
        "new Promise((resolve) => setTimeout(resolve, {older}))\
         .then(() => fetch('/metrics', {{ headers: {{ Authorization: `Bearer ${{sessionStorage.getItem('rollcall.key')}}` }} }}))\
         .then((answer) => answer.text())"
    ));
    let lines = text.as_str().unwrap().lines();
    let value = lines.filter_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok()).next();
    value.unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn a_browser_is_served_over_tls_and_compressed() {
    let Some(chromium) = found("a browser is served over TLS and compressed") else { return };
    let _alone = alone();
    let keys = Keys::make("secure");
    let (cert, key) = (keys.path("cert.pem"), keys.path("key.pem"));
    let pin = format!("--ignore-certificate-errors-spki-list={}", keys.pin());
    let browser = Browser::start_with(&chromium, "secure", &[&pin]);
    for (deflate, agreed) in
        [("off", ""), ("shared", "no_context_takeover"), ("per-connection", "client_max_window_bits=12")]
    {
        let server = Server::start_at(
            "wss://127.0.0.1:0",
            &["--tls-cert", &cert, "--tls-key", &key, "--deflate", deflate],
        );
        let anna = browser.open(&server.secure_url("/?user=anna"));
        anna.until("window.rollcall?.state === 'open' && rollcall.user === 'anna'");
        assert_eq!(anna.eval("location.protocol + isSecureContext"), "https:true");
        let ben = browser.open(&server.secure_url("/?user=ben"));
        // A page behind another one draws nothing.
        anna.front();
        anna.until("document.querySelector('[data-user=ben]')?.dataset.state === 'online'");
        ben.eval("(document.querySelector('#say input').value = 'over TLS '.repeat(200), document.querySelector('#say').requestSubmit())");
        anna.until("document.querySelector('#talk').innerText.includes('over TLS over TLS')");

        let (before, received) =
            (metric(&anna, "rollcall_sent_bytes_total"), metric(&anna, "rollcall_received_bytes_total"));
        let extensions = anna.eval(ECHO);
        let Value::String(extensions) = extensions else { panic!("{:?}", anna.complaints()) };
        assert_eq!(extensions.starts_with("permessage-deflate"), deflate != "off", "{deflate}: {extensions}");
        assert!(extensions.contains(agreed), "{deflate}: {extensions}");
        // Half of what is said compresses to next to nothing, and the bytes a little.
        let (sent, received) = (
            metric(&anna, "rollcall_sent_bytes_total") - before,
            metric(&anna, "rollcall_received_bytes_total") - received,
        );
        let most = if deflate == "off" { u64::MAX } else { 150_000 };
        assert!(sent < most && received < most, "{deflate}: {sent} bytes sent, {received} received");
        assert!(deflate != "off" || sent > 200_000, "{sent} bytes sent");

        let module = anna.eval(
            "fetch('/rollcall.js').then((answer) => answer.status + answer.headers.get('content-type'))",
        );
        assert!(module.as_str().unwrap().starts_with("200text/javascript"), "{module}");
        assert!(metric(&anna, r#"rollcall_tls_handshakes_total{outcome="full"}"#) > 0);
        assert_eq!(metric(&anna, r#"rollcall_tls_handshakes_total{outcome="failed"}"#), 0);
        assert!(anna.complaints().is_empty(), "{:#?}", anna.complaints());
    }
}
