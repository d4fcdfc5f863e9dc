//! A connection of a world that a test plays, as its worker has it.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use rollcall::internals::sys::net::{Ready, Socket};

use super::{In, Peer, World};

#[derive(Debug)]
pub(in crate::reactor) struct ScriptSocket {
    pub(super) id: usize,
    pub(super) world: Rc<RefCell<World>>,
    /// It goes on elsewhere.
    pub(super) leaves: bool,
}

impl ScriptSocket {
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Peer) -> R) -> R {
        act(self.world.borrow_mut().peers.get_mut(&self.id).unwrap())
    }

    fn interrupted(&self) -> io::Result<()> {
        self.with(|peer| {
            let interrupted = peer.interrupts > 0;
            peer.interrupts = peer.interrupts.saturating_sub(1);
            if interrupted { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
        })
    }
}

impl Socket for ScriptSocket {
    fn expect_acknowledgement(&self, within: Duration) {
        self.with(|peer| peer.acknowledges_within = Some(within));
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupted()?;
        if self.with(|peer| peer.hiccups > 0 && !peer.inbound.is_empty()) {
            let token = self.with(|peer| {
                peer.hiccups -= 1;
                peer.token
            });
            // As if it came just now.
            let again =
                Ready { token: token.unwrap_or(0), readable: true, read_closed: true, ..Ready::default() };
            self.world.borrow_mut().ready.push_back(again);
            return Err(ErrorKind::WouldBlock.into());
        }
        self.world.borrow_mut().reads += 1;
        self.with(|peer| {
            peer.reads += 1;
            match peer.inbound.front_mut() {
                None => Err(ErrorKind::WouldBlock.into()),
                Some(In::End) => Ok(0),
                Some(In::Reset) => Err(ErrorKind::ConnectionReset.into()),
                Some(In::Bytes(bytes)) => {
                    let len = bytes.len().min(buffer.len());
                    buffer[..len].copy_from_slice(&bytes[..len]);
                    bytes.drain(..len);
                    if bytes.is_empty() {
                        peer.inbound.pop_front();
                    }
                    Ok(len)
                }
            }
        })
    }

    fn read_onto(&mut self, onto: &mut Vec<u8>) -> io::Result<usize> {
        let mut buffer = vec![0; onto.capacity() - onto.len()];
        let len = self.read(&mut buffer)?;
        onto.extend_from_slice(&buffer[..len]);
        Ok(len)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.interrupted()?;
        let reads = self.world.borrow().reads;
        self.with(|peer| {
            peer.writes += 1;
            peer.written_after = reads;
            if peer.reset_on_write {
                return Err(ErrorKind::BrokenPipe.into());
            }
            let all: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
            let len = all.len().min(peer.room).min(peer.write_most);
            if len == 0 && !all.is_empty() {
                return Err(ErrorKind::WouldBlock.into());
            }
            if peer.room != usize::MAX {
                peer.room -= len;
            }
            peer.outbound.extend_from_slice(&all[..len]);
            Ok(len)
        })
    }

    fn finish(&mut self) {
        self.with(|peer| peer.finished = true);
    }

    fn has_failed(&self) -> bool {
        self.with(|peer| peer.has_failed())
    }

    fn peer(&self) -> Option<IpAddr> {
        self.with(|peer| peer.address)
    }
}

impl Drop for ScriptSocket {
    fn drop(&mut self) {
        let closed = !self.leaves;
        self.with(|peer| peer.closed |= closed);
    }
}
