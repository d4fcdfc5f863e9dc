//! Peers that mean no good, a few at any time: each connects, does its mischief and is gone. What the server makes of it
//! is its own affair, as long as nobody else notices.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::options::stop_flag;

/// Peers at a time.
const PEERS: usize = 6;
/// What a read or write may take: a server that is done with a peer does not answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two deeds of a peer.
const PAUSE: Duration = Duration::from_millis(50);

type Deed = fn(&mut TcpStream) -> io::Result<()>;

const DEEDS: [(&str, Deed); 14] = [
    ("says nothing", |_| {
        thread::sleep(PATIENCE);
        Ok(())
    }),
    ("dribbles a request", |peer| dribble(peer, UPGRADE)),
    ("dribbles a frame", |peer| {
        upgrade(peer)?;
        dribble(peer, &[0x82, 0xfe, 0x01, 0x00, 1, 2, 3, 4])
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
        upgrade(peer)?;
        let ping = [&[0x89, 0x80 | 100, 0, 0, 0, 0][..], &[b'p'; 100]].concat();
        (0..20_000).try_for_each(|_| peer.write_all(&ping))
    }),
    ("floods with messages and reads nothing", |peer| {
        upgrade(peer)?;
        let message = [&[0x82, 0xfe, 0x10, 0x00, 0, 0, 0, 0][..], &[b'm'; 4096]].concat();
        (0..2_000).try_for_each(|_| peer.write_all(&message))
    }),
    ("declares 2^63 bytes", |peer| frames(peer, &[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4])),
    ("sends empty fragments", |peer| {
        upgrade(peer)?;
        peer.write_all(&[0x02, 0x80, 0, 0, 0, 0])?;
        (0..5_000).try_for_each(|_| peer.write_all(&[0x00, 0x80, 0, 0, 0, 0]))
    }),
    ("sends frames that are not masked", |peer| frames(peer, &[0x81, 0x01, b'x'])),
    ("sends text that is no UTF-8", |peer| frames(peer, &[0x81, 0x81, 0, 0, 0, 0, 0xff])),
    ("resets in the middle of a frame", |peer| {
        frames(peer, &[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4, 5])?;
        SockRef::from(&*peer).set_linger(Some(Duration::ZERO))
    }),
    ("closes its half and stays", |peer| {
        upgrade(peer)?;
        peer.shutdown(Shutdown::Write)?;
        thread::sleep(PATIENCE);
        Ok(())
    }),
];

const UPGRADE: &[u8] = b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Upgrades, and reads no further than it must.
fn upgrade(peer: &mut TcpStream) -> io::Result<()> {
    peer.write_all(UPGRADE)?;
    peer.read_exact(&mut [0; 12])
}

fn frames(peer: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    upgrade(peer)?;
    peer.write_all(bytes)
}

fn dribble(peer: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    for byte in bytes.iter().take(30) {
        peer.write_all(&[*byte])?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Peers that are at it.
#[derive(Debug)]
pub struct Hostile {
    peers: Vec<JoinHandle<[u64; DEEDS.len()]>>,
}

impl Hostile {
    /// Lets them loose on a server.
    pub fn start(address: SocketAddr, until: Instant) -> Hostile {
        let peer = |first: usize| {
            thread::spawn(move || {
                let mut done = [0; DEEDS.len()];
                // Each begins elsewhere, so that at any time different things are done.
                for deed in (0..DEEDS.len()).cycle().skip(first * DEEDS.len() / PEERS) {
                    if Instant::now() >= until || stop_flag().load(Relaxed) {
                        break;
                    }
                    // What the server refuses is what it should.
                    let _ = connect(address).and_then(|mut stream| {
                        done[deed] += 1;
                        DEEDS[deed].1(&mut stream)
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
        let mut sums = [0; DEEDS.len()];
        for peer in self.peers {
            let done = peer.join().expect("a hostile peer panicked");
            sums.iter_mut().zip(done).for_each(|(sum, count)| *sum += count);
        }
        DEEDS.iter().zip(sums).map(|((name, _), count)| (*name, count)).collect()
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
