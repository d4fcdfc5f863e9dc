//! `loadtest bare`: the least that an echo or a fan-out can cost on this machine, as the measure for servers.
//!
//! One mio poll, registered once and edge-triggered; for a ready connection one raw recv into a shared buffer, the frames turned
//! around in it, one raw send. The byte counts are an echo's: masked frames in, the same payloads in plain frames out. It is
//! no server: no limits, no time-outs, no checks beyond what turning frames around needs. With several workers each is such
//! a loop, with a listener and a descriptor table of its own, and knows nothing of the others.

mod connection;
mod fan_out;
mod reflector;

use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::io::Errno;
use slab::Slab;

use self::connection::{Connection, Goes};
use self::reflector::HEADROOM;
use crate::options::{Failure, usage};
use crate::sys;

const LISTENER: Token = Token(usize::MAX);

/// `loadtest bare`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Bytes of the read buffer
    #[arg(long, default_value = "128KiB", value_parser = crate::units::bytes)]
    buffer: u64,
    /// Loops, each in a thread and with connections of its own
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// What one says goes to all, its sender included
    #[arg(long)]
    fan_out: bool,
}

/// Serves until Ctrl-C.
pub fn run(args: &Args) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Failed(format!("{}: {error}", args.listen));
    if args.workers == 0 {
        return usage("--workers: at least one is needed");
    }
    if args.fan_out && args.workers > 1 {
        return usage("--fan-out: one worker, since none knows the others' connections");
    }
    sys::raise_descriptor_limit();
    let mut first = Bare::bind(args.listen, args).map_err(failed)?;
    let address = first.address().map_err(failed)?;
    let others = (1..args.workers).map(|_| Bare::bind(address, args));
    let others = others.collect::<std::io::Result<Vec<Bare>>>().map_err(failed)?;
    println!("listening on {address}");
    serve(&mut first, others).map_err(failed)
}

/// Each in a thread, the first in this one.
fn serve(first: &mut Bare, others: Vec<Bare>) -> std::io::Result<()> {
    let stop = crate::options::stop_flag();
    // A table is parted while nobody has connections: a copy of one would keep it open.
    let parted = Barrier::new(others.len() + 1);
    thread::scope(|scope| {
        let others: Vec<_> = others
            .into_iter()
            .map(|mut bare| {
                let (stop, parted) = (&stop, &parted);
                scope.spawn(move || {
                    // With one table for all only the system calls cost more.
                    let _ = sys::unshare_descriptors();
                    parted.wait();
                    bare.serve(stop)
                })
            })
            .collect();
        parted.wait();
        let served = first.serve(&stop);
        others.into_iter().fold(served, |served, other| served.and(other.join().expect("a loop panicked")))
    })
}

/// The bare loop.
#[derive(Debug)]
struct Bare {
    poll: Poll,
    listener: TcpListener,
    connections: Slab<Connection>,
    buffer: Vec<u8>,
    fan_out: bool,
}

impl Bare {
    fn bind(address: SocketAddr, args: &Args) -> std::io::Result<Bare> {
        let socket =
            socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(args.workers > 1)?;
        socket.bind(&address.into())?;
        socket.listen(4096)?;
        socket.set_nonblocking(true)?;
        // Inherited by what is accepted.
        socket.set_tcp_nodelay(true)?;
        let listener = TcpListener::from(socket);
        let poll = Poll::new()?;
        poll.registry().register(&mut SourceFd(&listener.as_raw_fd()), LISTENER, Interest::READABLE)?;
        let buffer = vec![0; HEADROOM + (args.buffer as usize).max(1024)];
        Ok(Bare { poll, listener, connections: Slab::new(), buffer, fan_out: args.fan_out })
    }

    fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is set, and sets it when it fails.
    fn serve(&mut self, stop: &AtomicBool) -> std::io::Result<()> {
        let served = self.turns(stop);
        stop.store(true, Relaxed);
        served
    }

    fn turns(&mut self, stop: &AtomicBool) -> std::io::Result<()> {
        let mut events = Events::with_capacity(1024);
        while !stop.load(Relaxed) {
            match self.poll.poll(&mut events, Some(Duration::from_millis(100))) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept()?;
                } else {
                    self.ready(event);
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> std::io::Result<()> {
        use rustix::net::{SocketFlags, accept_with};
        loop {
            match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => {
                    let descriptor = socket.as_raw_fd();
                    let id = self.connections.insert(Connection::new(socket));
                    let both = Interest::READABLE | Interest::WRITABLE;
                    self.poll.registry().register(&mut SourceFd(&descriptor), Token(id), both)?;
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED | Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn ready(&mut self, event: &Event) {
        let id = event.token().0;
        if self.connections.contains(id) && !self.turn(id, event).unwrap_or(false) {
            self.connections.remove(id);
        }
    }

    fn turn(&mut self, id: usize, event: &Event) -> Goes {
        let connection = &mut self.connections[id];
        let Some(to_the_end) = connection.ready(event)? else { return Ok(true) };
        if self.fan_out {
            fan_out::hear(&mut self.connections, id, &mut self.buffer, to_the_end)
        } else {
            connection.echo(&mut self.buffer, to_the_end)
        }
    }
}
