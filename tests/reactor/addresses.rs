//! Limits per address, and who is behind a proxy.

use std::time::Duration;

use rollcall::internals::limits::{HANDSHAKE_BURST_SECONDS, PROXY_HEADER_BYTES_MAX, REFUSED_PER_ADDRESS_MAX};
use rollcall::internals::reactor::{AddressLimits, Config, Overload};

use super::kit::{SECOND, Stage, config, seconds, upgrade_request};

const POLITE: usize = REFUSED_PER_ADDRESS_MAX as usize;

/// At most so many connections and handshakes a second; 10.0.0.0/8 are proxies of ours.
fn limited(connections: u32, handshakes: u32) -> Config {
    let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    Config { addresses: AddressLimits { connections, handshakes }, trusted_proxies, ..config() }
}

/// What the server says to one from there: a status, or nothing before it closes.
fn come(stage: &mut Stage, address: &str, request: &[u8]) -> (usize, Option<u16>) {
    let id = stage.script.connect_from(address);
    stage.settle();
    let status = send(stage, id, request);
    (id, status)
}

fn send(stage: &mut Stage, id: usize, request: &[u8]) -> Option<u16> {
    if stage.script.is_closed(id) {
        return None;
    }
    stage.send(id, request);
    let written = stage.script.written(id);
    let status = written.strip_prefix(b"HTTP/1.1 ")?.first_chunk::<3>()?;
    std::str::from_utf8(status).unwrap().parse().ok()
}

fn upgrade(stage: &mut Stage, address: &str) -> (usize, Option<u16>) {
    come(stage, address, &upgrade_request("/"))
}

/// An upgrade with one more field.
fn upgrade_for(field: &str) -> Vec<u8> {
    let mut request = upgrade_request("/");
    request.truncate(request.len() - 2);
    [&request, field.as_bytes(), b"\r\n\r\n"].concat()
}

/// How often a shortage was counted.
fn counted(stage: &Stage, shortage: Overload) -> u64 {
    stage.shared.workers()[0].counters.short[shortage.index()].get()
}

#[test]
fn one_address_can_not_take_all_connections() {
    let mut stage = Stage::new(&limited(3, 0));
    let held: Vec<usize> = (0..3).map(|_| upgrade(&mut stage, "203.0.113.7")).map(|(id, _)| id).collect();
    let mut refused = Vec::new();
    for _ in 0..POLITE {
        // They are told so, and linger.
        let (id, status) = upgrade(&mut stage, "203.0.113.7");
        assert_eq!(status, Some(429));
        refused.push(id);
    }
    let (flood, status) = upgrade(&mut stage, "203.0.113.7");
    assert_eq!((status, stage.script.is_closed(flood)), (None, true), "closed unheard");
    assert_eq!(counted(&stage, Overload::AddressConnections), POLITE as u64 + 1);
    assert_eq!(upgrade(&mut stage, "203.0.113.8").1, Some(101), "others are let in");
    // Those who are in stay, and when one goes there is room for another.
    assert!(held.iter().all(|id| !stage.script.is_closed(*id)));
    for id in refused.iter().chain(&held[..1]) {
        stage.script.end(*id);
    }
    stage.settle();
    assert_eq!(upgrade(&mut stage, "203.0.113.7").1, Some(101));
}

#[test]
fn ipv6_is_limited_by_its_network_and_loopback_is_not() {
    let mut stage = Stage::new(&limited(2, 0));
    assert_eq!(upgrade(&mut stage, "2001:db8::1").1, Some(101));
    assert_eq!(upgrade(&mut stage, "2001:db8::2").1, Some(101));
    assert_eq!(upgrade(&mut stage, "2001:db8::3").1, Some(429));
    assert_eq!(upgrade(&mut stage, "2001:db8:0:1::3").1, Some(101));
    for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
        for _ in 0..5 {
            assert_eq!(upgrade(&mut stage, address).1, Some(101), "{address}");
        }
    }
}

#[test]
fn one_address_can_not_shake_hands_all_day() {
    let mut stage = Stage::new(&limited(0, 5));
    let burst = 5 * HANDSHAKE_BURST_SECONDS;
    let answers = |stage: &mut Stage, n: u32| -> Vec<Option<u16>> {
        (0..n)
            .map(|_| {
                let (id, status) = upgrade(stage, "203.0.113.7");
                stage.script.end(id);
                stage.settle();
                status
            })
            .collect()
    };
    assert_eq!(answers(&mut stage, burst), vec![Some(101); burst as usize]);
    assert_eq!(answers(&mut stage, burst), vec![Some(429); burst as usize]);
    assert_eq!(answers(&mut stage, 3), [None; 3]);
    assert_eq!(upgrade(&mut stage, "203.0.113.8").1, Some(101));
    stage.pass(SECOND * (HANDSHAKE_BURST_SECONDS * 2 + 1));
    assert_eq!(answers(&mut stage, burst), vec![Some(101); burst as usize]);
    assert_eq!(counted(&stage, Overload::AddressHandshakes), u64::from(burst) + 3);
}

#[test]
fn x_forwarded_for_is_believed_from_our_proxies_only() {
    let mut stage = Stage::new(&limited(1, 0));
    let of = |client: &str| upgrade_for(&format!("X-Forwarded-For: {client}"));
    // Through the proxy each client counts for itself, whatever it wrote to the left.
    assert_eq!(come(&mut stage, "10.0.0.1", &of("203.0.113.7")).1, Some(101));
    assert_eq!(come(&mut stage, "10.0.0.2", &of("8.8.8.8, 203.0.113.7")).1, Some(429));
    assert_eq!(come(&mut stage, "10.0.0.2", &of("203.0.113.9, 10.0.0.1")).1, Some(101));
    assert_eq!(upgrade(&mut stage, "203.0.113.7").1, Some(429), "come directly, it is the same");
    // A proxy that asks for itself has no limit.
    for _ in 0..5 {
        assert_eq!(upgrade(&mut stage, "10.0.0.1").1, Some(101));
    }
    // From a stranger the field is a stranger's word.
    assert_eq!(come(&mut stage, "203.0.113.20", &of("203.0.113.30")).1, Some(101));
    assert_eq!(come(&mut stage, "203.0.113.20", &of("203.0.113.31")).1, Some(429));
    assert_eq!(upgrade(&mut stage, "203.0.113.30").1, Some(101));
}

/// An upgrade with a value of `X-Forwarded-For` that may be any bytes.
fn upgrade_from(value: &[u8]) -> Vec<u8> {
    let mut request = upgrade_request("/");
    request.truncate(request.len() - 2);
    [&request, b"X-Forwarded-For: ".as_slice(), value, b"\r\n\r\n"].concat()
}

#[test]
fn whatever_a_client_writes_before_its_proxy_does_lifts_no_limit() {
    for before in
        [&b""[..], b"9.9.9.9, ", b"\xff, ", b"caf\xc3\xa9, ", b"\x80\xff,", b"\", ", b"unknown, ", b"[::1, "]
    {
        let mut stage = Stage::new(&limited(2, 0));
        let request = upgrade_from(&[before, b"203.0.113.7"].concat());
        let answers = [(); 4].map(|()| come(&mut stage, "10.0.0.1", &request).1);
        assert_eq!(answers, [Some(101), Some(101), Some(429), Some(429)], "{}", before.escape_ascii());
        // In a field of its own it does as little.
        let mut fields = upgrade_from(before);
        fields.truncate(fields.len() - 2);
        fields.extend(b"X-Forwarded-For: 203.0.113.8\r\n\r\n");
        let answers = [(); 3].map(|()| come(&mut stage, "10.0.0.1", &fields).1);
        assert_eq!(answers, [Some(101), Some(101), Some(429)], "{}", before.escape_ascii());
    }
}

#[test]
fn clients_that_their_proxy_can_not_name_share_the_proxys_limit() {
    for value in [&b"unknown"[..], b"unix:", b"203.0.113.7, \xff", b"9.9.9.9, nobody", b"\xff"] {
        for proxy in ["10.0.0.1", "127.0.0.1"] {
            let mut config = limited(2, 0);
            config.trusted_proxies.push("127.0.0.0/8".parse().unwrap());
            let mut stage = Stage::new(&config);
            let held = [(); 3].map(|()| come(&mut stage, proxy, &upgrade_from(value)));
            let statuses = held.map(|(_, status)| status);
            assert_eq!(statuses, [Some(101), Some(101), Some(429)], "{} {proxy}", value.escape_ascii());
            assert_eq!(come(&mut stage, proxy, &upgrade_from(b"203.0.113.7")).1, Some(101), "a named one");
            held.iter().for_each(|(id, _)| stage.script.end(*id));
            stage.settle();
            assert_eq!(come(&mut stage, proxy, &upgrade_from(value)).1, Some(101), "when they are gone");
        }
    }
}

#[test]
fn a_proxied_client_that_goes_makes_room() {
    let mut stage = Stage::new(&limited(1, 0));
    let request = upgrade_for("X-Forwarded-For: 203.0.113.7");
    for _ in 0..10 {
        let (id, status) = come(&mut stage, "10.0.0.1", &request);
        assert_eq!(status, Some(101));
        stage.script.end(id);
        stage.settle();
    }
}

#[test]
fn a_kept_connection_of_an_address_that_had_too_many_is_let_in_when_it_has_not() {
    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let header = b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\n";
    for (address, preface, config) in [
        ("203.0.113.7", &b""[..], limited(2, 0)),
        ("10.0.0.1", &header[..], Config { proxy_protocol: true, ..limited(2, 0) }),
    ] {
        let mut stage = Stage::new(&config);
        let upgrade = [preface, &upgrade_request("/")].concat();
        let held = [(); 2].map(|()| come(&mut stage, address, &upgrade).0);
        let kept = [(); 2].map(|()| come(&mut stage, address, &[preface, GET].concat()).0);
        assert_eq!(send(&mut stage, kept[0], &upgrade_request("/")), Some(429), "it still has");
        for id in [kept[0], held[0]] {
            stage.script.end(id);
            stage.settle();
        }
        assert_eq!(send(&mut stage, kept[1], &upgrade_request("/")), Some(101), "{address}");
        assert_eq!(come(&mut stage, address, &upgrade).1, Some(429));
    }
}

#[test]
fn a_kept_connection_of_an_address_that_came_too_fast_is_let_in_later() {
    let mut stage = Stage::new(&limited(0, 1));
    let get = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let fast: Vec<_> = (0..4).map(|_| come(&mut stage, "203.0.113.7", get)).collect();
    assert!(fast.iter().all(|(_, status)| *status == Some(200)), "{fast:?}");
    stage.pass(seconds(20));
    assert_eq!(send(&mut stage, fast[3].0, &upgrade_request("/")), Some(101));
}

fn proxied() -> Config {
    Config { proxy_protocol: true, ..limited(1, 0) }
}

#[test]
fn a_proxy_header_says_who_it_is() {
    let mut stage = Stage::new(&proxied());
    let line = |client: &str| format!("PROXY TCP4 {client} 10.0.0.1 4711 80\r\n").into_bytes();
    let request = |client: &str| [line(client), upgrade_request("/")].concat();
    assert_eq!(come(&mut stage, "10.0.0.1", &request("203.0.113.7")).1, Some(101));
    assert_eq!(come(&mut stage, "10.0.0.1", &request("203.0.113.7")).1, Some(429));
    assert_eq!(come(&mut stage, "10.0.0.1", &request("203.0.113.8")).1, Some(101));
    // What the client itself forwards is then nobody's word; what a further proxy of ours does is.
    let forged = [line("203.0.113.9"), upgrade_for("X-Forwarded-For: 203.0.113.7")].concat();
    assert_eq!(come(&mut stage, "10.0.0.1", &forged).1, Some(101));
    let chained = [line("10.0.0.5"), upgrade_for("X-Forwarded-For: 203.0.113.7")].concat();
    assert_eq!(come(&mut stage, "10.0.0.1", &chained).1, Some(429));
    // A proxy that asks for itself is nobody; one that doesn't know for whom it speaks is counted.
    for _ in 0..3 {
        let local = [b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec(), upgrade_request("/")].concat();
        assert_eq!(come(&mut stage, "10.0.0.1", &local).1, Some(101));
    }
    let unknown = [b"PROXY UNKNOWN\r\n".to_vec(), upgrade_request("/")].concat();
    assert_eq!(come(&mut stage, "10.0.0.1", &unknown).1, Some(101));
    assert_eq!(come(&mut stage, "10.0.0.1", &unknown).1, Some(429));
    assert_eq!(come(&mut stage, "10.0.0.2", &unknown).1, Some(101), "each proxy for itself");
    // From a stranger it is no header but a broken request.
    assert_eq!(come(&mut stage, "203.0.113.50", &request("203.0.113.51")).1, Some(400));
    assert_eq!(upgrade(&mut stage, "203.0.113.60").1, Some(101));
}

#[test]
fn a_proxy_header_may_come_in_single_bytes() {
    let mut stage = Stage::new(&proxied());
    let v2 = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".as_slice(), &[203, 0, 113, 7, 10, 0, 0, 1, 1, 2, 0, 80]]
        .concat();
    for header in [b"PROXY TCP4 203.0.113.8 10.0.0.1 4711 80\r\n".to_vec(), v2] {
        let id = stage.script.connect_from("10.0.0.1");
        stage.settle();
        for byte in &header {
            assert_eq!(send(&mut stage, id, &[*byte]), None);
        }
        assert_eq!(send(&mut stage, id, &upgrade_request("/")), Some(101));
    }
    assert_eq!(upgrade(&mut stage, "203.0.113.7").1, Some(429));
    assert_eq!(stage.worker.held_bytes(), 0);
}

#[test]
fn what_is_no_proxy_header_ends_the_connection() {
    for (bytes, ends) in [
        (upgrade_request("/"), true),
        (b"PROXY TCP4 203.0.113.7 10.0.0.1 4711\r\n".to_vec(), true),
        ([b"PROXY ".as_slice(), &[b'x'; 200]].concat(), true),
        ([b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".as_slice(), &[0; 4000]].concat(), true),
        (b"PROXY TCP4 203.0".to_vec(), false),
    ] {
        let mut stage = Stage::new(&proxied());
        let (id, status) = come(&mut stage, "10.0.0.1", &bytes);
        assert_eq!((status, stage.script.peer(id, |peer| peer.finished)), (ends.then_some(400), ends));
        assert!(stage.worker.held_bytes() < 2 * PROXY_HEADER_BYTES_MAX, "{}", stage.worker.held_bytes());
        // Nothing behind it is a request.
        if ends {
            assert_eq!(send(&mut stage, id, &upgrade_request("/")), None);
        }
    }
}

#[test]
fn a_dribbled_proxy_header_has_the_handshakes_deadline_in_all() {
    let mut stage = Stage::new(&proxied());
    let id = stage.script.connect_from("10.0.0.1");
    stage.settle();
    for byte in b"PROXY TCP4 203.0.113.8 1" {
        if stage.script.is_closed(id) || stage.script.peer(id, |peer| peer.finished) {
            break;
        }
        stage.send(id, &[*byte]);
        stage.pass(Duration::from_millis(600));
    }
    assert!(stage.script.written(id).starts_with(b"HTTP/1.1 408 "));
    stage.pass(seconds(6));
    assert!(stage.script.is_closed(id));
}

/// What the server says to one that comes over a Unix socket.
fn come_by_unix(stage: &mut Stage, request: &[u8]) -> Option<u16> {
    let id = stage.script.connect();
    stage.settle();
    send(stage, id, request)
}

#[test]
fn who_speaks_on_a_trusted_unix_socket_is_believed() {
    let two = [(true, "X-Forwarded-For: 203.0.113.7"), (false, "PROXY TCP4 203.0.113.7 192.0.2.1 1 2\r\n")];
    for (by_field, words) in two {
        let named = |words: &str| {
            if by_field { upgrade_for(words) } else { [words.as_bytes(), &upgrade_request("/")].concat() }
        };
        let config = Config { trusts_unix: true, proxy_protocol: !by_field, ..limited(2, 0) };
        let mut stage = Stage::new(&config);
        assert_eq!(
            [(); 3].map(|()| come_by_unix(&mut stage, &named(words))),
            [Some(101), Some(101), Some(429)]
        );
        let other = words.replace("203.0.113.7", "203.0.113.8");
        assert_eq!(
            come_by_unix(&mut stage, &named(&other)),
            Some(101),
            "by whom it is for, and not by the socket"
        );
        // Nobody else is believed for that.
        assert_eq!(
            come(&mut stage, "198.51.100.1", &upgrade_for("X-Forwarded-For: 203.0.113.7")).1,
            Some(101)
        );
    }
}

#[test]
fn who_speaks_on_another_unix_socket_is_not() {
    let mut stage = Stage::new(&limited(2, 0));
    for _ in 0..5 {
        assert_eq!(come_by_unix(&mut stage, &upgrade_for("X-Forwarded-For: 203.0.113.7")), Some(101));
    }
    let mut stage = Stage::new(&Config { proxy_protocol: true, ..limited(2, 0) });
    let header = [&b"PROXY TCP4 203.0.113.7 192.0.2.1 1 2\r\n"[..], &upgrade_request("/")].concat();
    assert_eq!(come_by_unix(&mut stage, &header), Some(400), "it is no request");
}

#[test]
fn a_customer_with_many_networks_is_limited_too() {
    // One of a /48 has 65,536 networks of /64.
    let mut stage = Stage::new(&limited(2, 0));
    let mut come =
        |network: u32, host: u32| upgrade(&mut stage, &format!("2001:db8:7:{network:x}::{host:x}"));
    let mut held = Vec::new();
    for network in 0..16 {
        for host in 1..=2 {
            let (id, status) = come(network, host);
            assert_eq!(status, Some(101), "{network} {host}");
            held.push(id);
        }
        assert_eq!(come(network, 3).1, Some(429), "as every network is");
    }
    assert_eq!(come(100, 1).1, Some(429));
    assert_eq!(upgrade(&mut stage, "2001:db8:8::1").1, Some(101), "others are others");
    // When they go there is room again, and none is counted that is gone.
    for id in held {
        stage.script.end(id);
        stage.settle();
    }
    for network in 200..216 {
        assert_eq!(upgrade(&mut stage, &format!("2001:db8:7:{network:x}::1")).1, Some(101));
    }
}
