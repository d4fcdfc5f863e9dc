//! Peers that mean no good, a few at any time: each connects, does its mischief and is gone. What the server makes of it
//! is its own affair, as long as nobody else notices.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rollcall::internals::wire::deflate::Deflater;
use socket2::SockRef;

use crate::options::stop_flag;

/// Peers at a time.
const PEERS: usize = 16;
/// What a read or write may take: a server that is done with a peer does not answer.
const TIMEOUT: Duration = Duration::from_millis(500);
/// How long somebody stays who waits to be thrown out: longer than the server's deadlines.
const STAY: Duration = Duration::from_secs(15);
/// Between two attacks of a peer.
const PAUSE: Duration = Duration::from_millis(50);

type Attack = fn(&mut TcpStream) -> io::Result<()>;

const ATTACKS: [(&str, Attack); 19] = [
    ("says nothing until it is thrown out", stay),
    ("dribbles a request", |peer| dribble(peer, UPGRADE)),
    ("dribbles a body", |peer| {
        peer.write_all(
            b"POST /api/v1/broadcast HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n",
        )?;
        dribble(peer, &[b' '; 1000])
    }),
    ("dribbles a frame", |peer| {
        upgrade(peer, ECHO)?;
        dribble(peer, &[&[0x82, 0xfe, 0x01, 0x00, 1, 2, 3, 4][..], &[0; 256]].concat())
    }),
    ("sends noise", |peer| peer.write_all(&[0xa5; 4096])),
    ("sends a head without an end", |peer| {
        peer.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n")?;
        (0..4096).try_for_each(|_| peer.write_all(b"X-Long: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"))
    }),
    ("smuggles", |peer| {
        peer.write_all(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n",
        )
    }),
    ("floods with Pings and reads nothing", |peer| {
        upgrade(peer, ECHO)?;
        let ping = [&[0x89, 0x80 | 100, 0, 0, 0, 0][..], &[b'p'; 100]].concat();
        (0..20_000).try_for_each(|_| peer.write_all(&ping))
    }),
    ("floods with messages and reads nothing", |peer| {
        upgrade(peer, ECHO)?;
        let message = [&[0x82, 0xfe, 0x10, 0x00, 0, 0, 0, 0][..], &[b'm'; 4096]].concat();
        (0..2_000).try_for_each(|_| peer.write_all(&message))
    }),
    ("floods its room and reads nothing", |peer| {
        upgrade(peer, "/ws?user=flood")?;
        let command = |text: &str| [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0], text.as_bytes()].concat();
        peer.write_all(&command(r#"{"seq":1,"cmd":"join","params":{"room":"flood"}}"#))?;
        let say = command(r#"{"seq":2,"cmd":"say","params":{"room":"flood","data":"once more"}}"#);
        (0..2_000).try_for_each(|_| peer.write_all(&say))
    }),
    ("declares 2^63 bytes", |peer| frames(peer, &[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4])),
    ("sends empty fragments", |peer| {
        frames(peer, &[0x02, 0x80, 0, 0, 0, 0])?;
        (0..5_000).try_for_each(|_| peer.write_all(&[0x00, 0x80, 0, 0, 0, 0]))
    }),
    ("sends fragments of one byte", |peer| {
        frames(peer, &[0x01, 0x81, 0, 0, 0, 0, 0xe2])?;
        (0..5_000).try_for_each(|n| peer.write_all(&[0x00, 0x81, 0, 0, 0, 0, [0x82, 0xac, 0xe2][n % 3]]))
    }),
    ("sends a bomb", |peer| {
        let (mut bomb, zeros) = (Vec::new(), vec![0; 4 << 20]);
        Deflater::new(15).deflate(&[], &zeros, &mut bomb);
        peer.write_all(&UPGRADE[..UPGRADE.len() - 2])?;
        peer.write_all(b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n")?;
        peer.read_exact(&mut [0; 12])?;
        peer.write_all(&[0xc2, 0xff])?;
        peer.write_all(&(bomb.len() as u64).to_be_bytes())?;
        peer.write_all(&[&[0; 4][..], &bomb].concat())
    }),
    ("sends frames that are not masked", |peer| frames(peer, &[0x81, 0x01, b'x'])),
    ("sends text that is no UTF-8", |peer| frames(peer, &[0x81, 0x81, 0, 0, 0, 0, 0xff])),
    ("resets in the middle of a frame", |peer| {
        frames(peer, &[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4, 5])?;
        SockRef::from(&*peer).set_linger(Some(Duration::ZERO))
    }),
    ("closes its half and stays", |peer| {
        upgrade(peer, ECHO)?;
        peer.shutdown(Shutdown::Write)?;
        stay(peer)
    }),
    ("answers no Ping", |peer| {
        upgrade(peer, "/ws?user=mute")?;
        stay(peer)
    }),
];

const ECHO: &str = "/echo";
const UPGRADE: &[u8] = b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Upgrades, and reads no further than it must.
fn upgrade(peer: &mut TcpStream, path: &str) -> io::Result<()> {
    let request = String::from_utf8_lossy(UPGRADE).replacen(ECHO, path, 1);
    peer.write_all(request.as_bytes())?;
    peer.read_exact(&mut [0; 12])
}

fn frames(peer: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    upgrade(peer, ECHO)?;
    peer.write_all(bytes)
}

/// A byte at a time, until the server has enough of it.
fn dribble(peer: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    peer.set_nonblocking(true)?;
    let begun = Instant::now();
    for byte in bytes {
        peer.write_all(&[*byte])?;
        if begun.elapsed() > STAY || ended(peer) {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Reads whatever comes and says nothing, until the server ends it.
fn stay(peer: &mut TcpStream) -> io::Result<()> {
    peer.set_nonblocking(true)?;
    let begun = Instant::now();
    while begun.elapsed() < STAY && !ended(peer) {
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Whether the other side is through with it. The stream does not block.
fn ended(peer: &mut TcpStream) -> bool {
    match peer.read(&mut [0; 4096]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}

/// Peers that are at it.
#[derive(Debug)]
pub struct Hostile {
    peers: Vec<JoinHandle<[u64; ATTACKS.len()]>>,
}

impl Hostile {
    /// Lets them loose on a server.
    pub fn start(address: SocketAddr, until: Instant) -> Hostile {
        let peer = |first: usize| {
            thread::spawn(move || {
                let mut done = [0; ATTACKS.len()];
                // Each begins elsewhere, so that at any time different things are done.
                for attack in (0..ATTACKS.len()).cycle().skip(first * ATTACKS.len() / PEERS) {
                    if Instant::now() >= until || stop_flag().load(Relaxed) {
                        break;
                    }
                    // What the server refuses is what it should.
                    let _ = connect(address).and_then(|mut stream| {
                        done[attack] += 1;
                        ATTACKS[attack].1(&mut stream)
                    });
                    thread::sleep(PAUSE);
                }
                done
            })
        };
        Hostile { peers: (0..PEERS).map(peer).collect() }
    }

    /// Waits for them. What was done how often.
    pub fn finish(self) -> Vec<(&'static str, u64)> {
        let mut sums = [0; ATTACKS.len()];
        for peer in self.peers {
            let done = peer.join().expect("a hostile peer panicked");
            sums.iter_mut().zip(done).for_each(|(sum, count)| *sum += count);
        }
        ATTACKS.iter().zip(sums).map(|((name, _), count)| (*name, count)).collect()
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
