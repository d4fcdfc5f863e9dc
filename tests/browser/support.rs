//! The manual's support room: tokens with roles, who may go where and see whom, and a kick through the API.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use super::alone;
use super::chromium::{Browser, Tab, found};
use super::server::{KEY, Server};

pub(super) fn rollcall(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_rollcall")).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(super) fn post(server: &Server, path: &str, body: &str) -> String {
    let mut socket = TcpStream::connect(server.address).unwrap();
    write!(
        socket,
        "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        server.address,
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

fn shows(tab: &Tab<'_>, user: &str, state: &str, role: &str) {
    tab.until(&format!(
        "(({{ dataset, innerText }}) => dataset.state === '{state}' && innerText.includes('{user} {role}'))\
         (document.querySelector('[data-user={user}]') ?? {{ dataset: {{}} }})"
    ));
}

#[test]
fn students_and_staff_meet_in_a_support_room() {
    let Some(chromium) = found("students and staff meet in a support room") else { return };
    let _alone = alone();
    let secret = std::env::temp_dir().join(format!("rollcall-{}-support", std::process::id()));
    let _ = fs::remove_file(&secret);
    let file = secret.to_str().unwrap();
    rollcall(&["token", "--new-secret", file]);
    let token = |user: &str, more: &[&str]| {
        let role = user.split('-').next().unwrap();
        let info = format!("{{\"role\":\"{role}\"}}");
        let args =
            ["token", "--user", user, "--info", &info, "--room", "support.*", "--token-secret-file", file];
        rollcall(&[&args[..], more].concat())
    };
    let staff = token("staff-eve", &["--room", "staff", "--see", "student-*"]);
    let (ben, ida) = (token("student-ben", &[]), token("student-ida", &[]));
    let server = Server::start(&["--token-secret-file", file]);
    let browser = Browser::start(&chromium, "support");
    let enter = |query: &str, token: &str| browser.open(&server.url(&format!("/?{query}#token={token}")));

    // Without a token: what is missing, and how to get it.
    let stranger = browser.open(&server.url("/?room=support.1"));
    stranger.until("!document.querySelector('#gate').hidden && document.querySelector('#make').innerText.startsWith('rollcall token')");
    // One that is none is told so, a good one comes in.
    stranger.eval("(document.querySelector('#token input').value = 'nonsense', document.querySelector('#token').requestSubmit())");
    stranger.until("document.querySelector('#why').innerText.includes('not a JSON Web Token')");
    stranger.eval(&format!(
        "(document.querySelector('#token input').value = '{ida}', document.querySelector('#token').requestSubmit())"
    ));
    stranger.until("document.querySelector('#gate').hidden && rollcall.state === 'open'");
    let ida = stranger;
    let ben = enter("room=support.1", &ben);
    assert_eq!(ben.eval("location.hash"), "", "the token does not stay in the address");
    let eve = enter("room=staff&watch=student-ben,student-ida", &staff);

    ben.front();
    ben.until("document.querySelector('[data-user=student-ida]') !== null");
    assert_eq!(ben.eval("document.querySelector('[data-user=staff-eve]')"), serde_json::Value::Null);
    eve.front();
    eve.until("document.querySelector('[data-user=student-ben]')?.innerText.includes('student-ben student')");
    let refused = ben.eval("rollcall.join('staff').catch(({ code, message }) => `${code} ${message}`)");
    assert!(refused.as_str().unwrap().starts_with("403 "), "{refused}");

    let answer = post(&server, "/api/v1/users/student-ben/disconnect", r#"{"reason":"be kind"}"#);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    ben.until(
        "rollcall.state === 'closed' && document.querySelector('#toast').innerText.includes('be kind')",
    );
    shows(&eve, "student-ben", "offline", "student");
    ida.until(
        "(document.querySelector('[data-user=student-ben]')?.dataset.state ?? 'offline') === 'offline'",
    );
    let _ = fs::remove_file(&secret);
}
