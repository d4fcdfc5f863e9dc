//! A server with scripts, its clients, and a look at the processes of the machine.

use std::collections::HashMap;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Pid;
use tungstenite::client::IntoClientRequest as _;
use tungstenite::http::HeaderValue;
use tungstenite::{HandshakeError, Message, WebSocket};

use crate::bounds::PATIENCE;
use crate::face::binary::Running;

/// A directory of scripts that is gone when the test is over.
pub(super) struct Scripts(PathBuf);

impl Scripts {
    /// Scripts by their names.
    pub(super) fn new(scripts: &[(&str, &str)]) -> Scripts {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("rollcall-exec-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let top = std::env::temp_dir().join(name);
        fs::create_dir_all(&top).unwrap();
        for (name, text) in scripts {
            fs::write(top.join(name), text).unwrap();
            fs::set_permissions(top.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        Scripts(top)
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// A server that serves each below `/bin`.
    pub(super) fn serve(&self, flags: &[&str]) -> Running {
        let directory = format!("/bin={}", self.path(""));
        Running::start(&[&["--exec-dir", &directory], flags].concat())
    }

    /// Waits for a script to have written a file; returns its text.
    pub(super) fn written(&self, name: &str) -> String {
        let text = || fs::read_to_string(self.path(name)).ok().filter(|text| text.ends_with('\n'));
        until(name, || text().is_some());
        text().unwrap()
    }
}

impl Drop for Scripts {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Waits for something that happens.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it never came about: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A command's client.
pub(super) struct Client(pub(super) WebSocket<TcpStream>);

impl Client {
    pub(super) fn connect(server: &Running, path: &str) -> Client {
        Client::try_connect(server, path, &[]).unwrap_or_else(|refused| panic!("{path}: {refused:?}"))
    }

    /// Connects; or the status and the body of the refusal.
    pub(super) fn try_connect(
        server: &Running,
        path: &str,
        fields: &[(&'static str, &str)],
    ) -> Result<Client, (u16, String)> {
        let address = server.address;
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        for (name, value) in fields {
            if *name == "Host" {
                request.headers_mut().remove("Host");
            }
            request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
        }
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(Client(socket)),
            Err(HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                let body = response.body().as_deref().unwrap_or_default();
                Err((response.status().as_u16(), String::from_utf8_lossy(body).into_owned()))
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(super) fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).unwrap();
    }

    /// The next message, or how the connection was closed.
    pub(super) fn next(&mut self) -> Result<Message, (u16, String)> {
        loop {
            match self.0.read() {
                Ok(Message::Close(close)) => {
                    let close = close.map(|close| (u16::from(close.code), close.reason.to_string()));
                    return Err(close.unwrap_or((1005, String::new())));
                }
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(message) => return Ok(message),
                Err(error) => panic!("a message or a Close, not {error}"),
            }
        }
    }

    pub(super) fn text(&mut self) -> String {
        match self.next() {
            Ok(Message::Text(text)) => text.to_string(),
            other => panic!("a text, not {other:?}"),
        }
    }

    /// All texts up to the end, and the end.
    pub(super) fn all(&mut self) -> (Vec<String>, (u16, String)) {
        let mut texts = Vec::new();
        loop {
            match self.next() {
                Ok(message) => texts.push(message.into_text().unwrap().to_string()),
                Err(end) => return (texts, end),
            }
        }
    }
}

/// The living processes whose command lines hold `mark`, by their numbers.
pub(super) fn marked(mark: &str) -> Vec<u32> {
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_marked = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(mark)
    };
    numbers.filter(is_marked).collect()
}

/// A mark that no other process has: a length of a sleep.
pub(super) fn mark() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("98{}.{}", std::process::id(), 7_000 + NEXT.fetch_add(1, Relaxed))
}

/// The processes below a server: its guard, and what that has, zombies included. By their numbers, with their parents'.
pub(super) fn below(server: &Running) -> HashMap<u32, u32> {
    let mut all = HashMap::new();
    let mut parents = vec![Pid::from_child(&server.child).as_raw_nonzero().get().cast_unsigned()];
    while let Some(parent) = parents.pop() {
        let Ok(threads) = fs::read_dir(format!("/proc/{parent}/task")) else { continue };
        for thread in threads.flatten() {
            let text = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            for child in text.split_whitespace().filter_map(|child| child.parse().ok()) {
                all.insert(child, parent);
                parents.push(child);
            }
        }
    }
    all
}

/// Waits until a server has its guard and nothing else.
pub(super) fn until_alone(server: &Running) {
    until("nothing but the guard is left", || below(server).len() == 1);
}
