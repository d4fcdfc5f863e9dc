//! A headless Chromium with a profile of its own, driven over the DevTools protocol. It ends with its process group, also
//! when a test panics.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::bounds::PATIENCE;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

const STEP: Duration = Duration::from_millis(25);

/// Where Chromium is. `None`, said on the screen, where there is none; a failure where `ROLLCALL_BROWSER` is `required`.
pub(super) fn found(what: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
    let chromium = std::env::split_paths(&paths)
        .flat_map(|directory| names.map(|name| directory.join(name)))
        .find(|path| path.is_file());
    if chromium.is_none() {
        assert!(std::env::var_os("ROLLCALL_BROWSER").is_none_or(|value| value != "required"), "no Chromium");
        // Past the harness, which shows nothing of what passes.
        let line = format!("left out, for there is no Chromium: {what}\n");
        let _ = io::stderr().write_all(line.as_bytes());
    }
    chromium
}

/// Polls until something is there.
pub(super) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(STEP);
    }
}

/// A browser: all its processes, and the connection that drives it.
pub(super) struct Browser {
    process: Child,
    profile: PathBuf,
    line: RefCell<Line>,
}

/// The DevTools connection: calls and their answers.
struct Line {
    socket: WebSocket<Patient>,
    calls: u64,
    /// What went wrong in a page: uncaught errors, and what its policy refused.
    complaints: HashMap<String, Vec<String>>,
}

/// A socket whose reads go on where a signal cuts them short: with a time-out set the kernel doesn't restart them itself.
struct Patient(TcpStream);

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// One tab.
pub(super) struct Tab<'b> {
    browser: &'b Browser,
    target: String,
    session: String,
}

impl Browser {
    pub(super) fn start(chromium: &Path, name: &str) -> Browser {
        Browser::start_with(chromium, name, &[])
    }

    /// The same, with flags of its own.
    pub(super) fn start_with(chromium: &Path, name: &str, flags: &[&str]) -> Browser {
        let profile = std::env::temp_dir().join(format!("rollcall-{}-browser-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&profile);
        fs::create_dir_all(&profile).unwrap();
        let process = Command::new(chromium)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--disable-crash-reporter", "--disable-breakpad", "--disable-dev-shm-usage"])
            .args(["--disable-extensions", "--no-default-browser-check", "--mute-audio"])
            .args(flags)
            .args(["--remote-debugging-port=0", "--window-size=1280,900", "about:blank"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        // From here on its end is taken care of.
        let mut process = Starting(Some((process, profile.clone())));
        let port = profile.join("DevToolsActivePort");
        let (port, path) = until("Chromium starts", || {
            let text = fs::read_to_string(&port).ok()?;
            let (port, path) = text.split_once('\n')?;
            Some((port.parse::<u16>().ok()?, path.trim().to_owned())).filter(|(_, path)| !path.is_empty())
        });
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, _) =
            tungstenite::client(format!("ws://127.0.0.1:{port}{path}"), Patient(socket)).unwrap();
        let (process, profile) = process.0.take().unwrap();
        let line = RefCell::new(Line { socket, calls: 0, complaints: HashMap::new() });
        Browser { process, profile, line }
    }

    /// Calls a method of the browser, or of a tab.
    fn call(&self, session: Option<&str>, method: &str, params: Value) -> Value {
        self.line
            .borrow_mut()
            .call(session, method, params)
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// A new tab at an address, once it is loaded.
    pub(super) fn open(&self, url: &str) -> Tab<'_> {
        let target = self.call(None, "Target.createTarget", json!({ "url": "about:blank" }));
        let target = target["targetId"].as_str().unwrap().to_owned();
        let attached =
            self.call(None, "Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        let session = attached["sessionId"].as_str().unwrap().to_owned();
        let tab = Tab { browser: self, target, session };
        for domain in ["Runtime.enable", "Log.enable", "Page.enable"] {
            tab.call(domain, json!({}));
        }
        tab.go(url);
        tab
    }

    /// Its processes of a kind: `browser`, `renderer`, `GPU`, …
    pub(super) fn processes(&self, kind: &str) -> Vec<i32> {
        let info = self.call(None, "SystemInfo.getProcessInfo", json!({}));
        let all = info["processInfo"].as_array().unwrap();
        let ids = all.iter().filter(|process| process["type"] == kind);
        ids.map(|process| i32::try_from(process["id"].as_i64().unwrap()).unwrap()).collect()
    }

    /// Signals every process of the browser.
    pub(super) fn signal_all(&self, signal: Signal) {
        kill_process_group(Pid::from_child(&self.process), signal).unwrap();
    }
}

/// Signals one process. A tab that was closed a moment ago may still have been counted, and be gone.
pub(super) fn signal(process: i32, signal: Signal) {
    let done = kill_process(Pid::from_raw(process).unwrap(), signal);
    assert!(matches!(done, Ok(()) | Err(Errno::SRCH)), "{done:?}");
}

/// A process that is killed unless it is taken out.
struct Starting(Option<(Child, PathBuf)>);

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some((process, profile)) = &mut self.0 {
            end(process, profile);
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        end(&mut self.process, &self.profile);
    }
}

fn end(process: &mut Child, profile: &Path) {
    let _ = kill_process_group(Pid::from_child(process), Signal::KILL);
    let _ = process.wait();
    // The last of its processes may still be writing there.
    for _ in 0..40 {
        if fs::remove_dir_all(profile).is_ok() || !profile.exists() {
            return;
        }
        std::thread::sleep(STEP);
    }
}

impl Line {
    fn call(&mut self, session: Option<&str>, method: &str, params: Value) -> Result<Value, String> {
        self.calls += 1;
        let id = self.calls;
        let mut message = json!({ "id": id, "method": method });
        message["params"] = params;
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(message.to_string())).map_err(|error| error.to_string())?;
        loop {
            let mut message = self.read().map_err(|error| error.to_string())?;
            if message["id"] == id {
                let error = &message["error"];
                return if error.is_null() { Ok(message["result"].take()) } else { Err(error.to_string()) };
            }
            self.note(&message);
        }
    }

    fn read(&mut self) -> tungstenite::Result<Value> {
        loop {
            match self.socket.read() {
                Ok(message) => {
                    if let Ok(text) = message.to_text() {
                        return Ok(serde_json::from_str(text).unwrap_or_default());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn note(&mut self, message: &Value) {
        let params = &message["params"];
        let complaint = match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => params["exceptionDetails"].to_string(),
            Some("Log.entryAdded") if params["entry"]["level"] == "error" => params["entry"].to_string(),
            _ => return,
        };
        let session = message["sessionId"].as_str().unwrap_or_default().to_owned();
        self.complaints.entry(session).or_default().push(complaint);
    }
}

impl Tab<'_> {
    pub(super) fn call(&self, method: &str, params: Value) -> Value {
        self.browser.call(Some(&self.session), method, params)
    }

    /// Loads a page.
    pub(super) fn go(&self, url: &str) {
        let gone = self.call("Page.navigate", json!({ "url": url }));
        assert!(gone["errorText"].is_null(), "{url}: {gone}");
        until("the page is loaded", || {
            self.try_eval("document.readyState === 'complete'").filter(|v| *v == true)
        });
    }

    /// What an expression is, awaited.
    pub(super) fn eval(&self, script: &str) -> Value {
        self.try_eval(script).unwrap_or_else(|| panic!("in {}: {script:.300}", self.target))
    }

    /// `None` where it throws, or the page is on its way out.
    pub(super) fn try_eval(&self, script: &str) -> Option<Value> {
        let params = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let mut line = self.browser.line.borrow_mut();
        let mut done = line.call(Some(&self.session), "Runtime.evaluate", params).ok()?;
        if !done["exceptionDetails"].is_null() {
            let complaint = format!("{script:.200}: {}", done["exceptionDetails"]);
            line.complaints.entry(format!("eval {}", self.session)).or_default().push(complaint);
            return None;
        }
        Some(done["result"]["value"].take())
    }

    /// Polls until an expression is true.
    pub(super) fn until(&self, script: &str) {
        let start = Instant::now();
        while self.try_eval(script) != Some(Value::Bool(true)) {
            let state = || self.try_eval("document.body.innerText").unwrap_or_default();
            assert!(
                start.elapsed() < PATIENCE,
                "not within {PATIENCE:?}: {script}\n{:?}\n{}",
                self.complaints(),
                state()
            );
            std::thread::sleep(STEP);
        }
    }

    /// Looks at it: a tab behind another one is hidden, and draws nothing.
    pub(super) fn front(&self) {
        self.call("Page.bringToFront", json!({}));
    }

    /// What went wrong in the page so far.
    pub(super) fn complaints(&self) -> Vec<String> {
        let line = self.browser.line.borrow();
        line.complaints.get(&self.session).cloned().unwrap_or_default()
    }

    /// A picture of what is seen, under `target/screens`.
    pub(super) fn screenshot(&self, name: &str) {
        let taken = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let bytes =
            base64::Engine::decode(&base64::prelude::BASE64_STANDARD, taken["data"].as_str().unwrap());
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screens");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(format!("{name}.png")), bytes.unwrap()).unwrap();
    }

    pub(super) fn close(self) {
        self.browser.call(None, "Target.closeTarget", json!({ "targetId": self.target }));
    }
}
