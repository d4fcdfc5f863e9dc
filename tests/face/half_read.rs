//! What is half received and too much: what a client of presence and one of the API are told of it.

use rollcall::internals::http::RouterSettings;
use rollcall::internals::limits::MessageLimits;
use rollcall::internals::reactor::{Config, Server};
use serde_json::Value;
use tungstenite::Message;

use super::client::{Answer, Http, open_site, upgrade};
use super::http::start_site;
use crate::bounds::PATIENCE;

/// What all may hold: twice the longest message.
const MOST: usize = 80_000;

fn server(workers: usize) -> Server {
    let messages = MessageLimits { max_message_bytes: MOST / 2, ..MessageLimits::default() };
    let config = Config { workers, messages, half_read_bytes_max: 0, ..Config::default() };
    start_site(config, RouterSettings { subprotocols: vec!["rollcall.v1".into()], ..open_site() })
}

/// Half a request of 30,000 bytes for each connection, until one is answered; the others stay.
fn refused(server: &Server, path: &str) -> Answer {
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut http = Http::connect(server.addresses()[0]);
        http.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 30000\r\n\r\n"
        ));
        http.send(&"x".repeat(29_000));
        held.push(http);
    }
    // Two have room. Which of them come last is the workers' matter.
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        for http in &mut held {
            if http.has_more() {
                return http.answer(false);
            }
        }
        assert!(std::time::Instant::now() < end, "nobody is told that it is too much");
        std::thread::yield_now();
    }
}

#[test]
fn half_a_request_too_much_is_refused_in_the_words_of_the_api_and_says_when_to_come_back() {
    for workers in [1, 3] {
        let server = server(workers);
        let refused = refused(&server, "/api/v1/broadcast");
        assert_eq!((refused.status, refused.field("Content-Type")), (503, Some("application/json")));
        let body: Value = serde_json::from_str(&refused.body).unwrap();
        assert!(body["error"].as_str().unwrap().contains("half received"), "{body}");
        assert!(refused.field("Retry-After").unwrap().parse::<u64>().unwrap() >= 1);
    }
}

#[test]
fn half_a_message_too_much_is_told_in_goodbye_before_the_close() {
    for workers in [1, 3] {
        let server = server(workers);
        // A frame of 30,000 bytes, masked with zeros, but for its end.
        let half = [&[0x81, 0xFE, 0x75, 0x30, 0, 0, 0, 0][..], &[b'x'; 29_000]].concat();
        let mut sockets: Vec<_> = (0..4)
            .map(|n| {
                let (address, fields) = (server.addresses()[0], [("Sec-WebSocket-Protocol", "rollcall.v1")]);
                let (mut socket, _) = upgrade(address, &format!("/ws?user=u{n}"), &fields).unwrap();
                assert!(socket.read().unwrap().to_text().unwrap().contains("welcome"));
                std::io::Write::write_all(socket.get_mut(), &half).unwrap();
                socket
            })
            .collect();
        let end = std::time::Instant::now() + PATIENCE;
        let told = loop {
            if let Some(told) = sockets.iter_mut().find(|socket| socket.get_ref().has_more()) {
                break told;
            }
            assert!(std::time::Instant::now() < end, "nobody is told that it is too much");
            std::thread::yield_now();
        };
        let goodbye: Value = serde_json::from_str(told.read().unwrap().to_text().unwrap()).unwrap();
        let reason = "too much is half received at once: send it again later";
        assert_eq!((&goodbye["event"], &goodbye["code"]), (&"goodbye".into(), &1013.into()));
        assert_eq!(goodbye["reason"], reason);
        assert!(goodbye["retry_ms"].is_u64(), "{goodbye}");
        let Message::Close(Some(close)) = told.read().unwrap() else { panic!("no Close") };
        assert_eq!((u16::from(close.code), close.reason.as_str()), (1013, reason));
    }
}
