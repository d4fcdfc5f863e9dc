//! A socket between a worker and the guard: whole messages, with descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ends::TheirEnds;
use super::message::Order;
use crate::limits::exec::{EXEC_ORDER_BYTES_MAX, EXEC_ORDER_DESCRIPTORS};

/// One end of it. It never blocks.
#[derive(Clone, Debug)]
pub struct Link(Arc<OwnedFd>);

/// A message that was received.
#[derive(Debug)]
pub enum Received<T> {
    /// It, with the descriptors that came along.
    Message(T, Vec<OwnedFd>),
    /// One that says nothing: its sender is another program.
    Unreadable,
    /// The other end is gone.
    End,
}

impl Link {
    /// Two ends.
    ///
    /// # Errors
    /// As `socketpair(2)`.
    pub fn pair() -> io::Result<(Link, OwnedFd)> {
        let (ours, theirs) = pair()?;
        Ok((Link::of(ours), theirs))
    }

    /// The end that a descriptor is.
    pub(super) fn of(fd: OwnedFd) -> Link {
        Link(Arc::new(fd))
    }

    /// Sends a message and descriptors.
    ///
    /// # Errors
    /// `WouldBlock` where the other end has much to read; `InvalidInput` where it is longer than
    /// [`EXEC_ORDER_BYTES_MAX`]; others where that end is gone.
    pub fn send(&self, message: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = postcard::to_allocvec(message).map_err(|_| io::ErrorKind::InvalidInput)?;
        if bytes.len() > EXEC_ORDER_BYTES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(EXEC_ORDER_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        sendmsg(&*self.0, &[IoSlice::new(&bytes)], &mut control, flags)?;
        Ok(())
    }

    /// Sends an order, with what the process gets.
    ///
    /// # Errors
    /// As [`Link::send`].
    pub fn order(&self, order: &Order, ends: &TheirEnds) -> io::Result<()> {
        self.send(order, &ends.borrowed())
    }

    /// Receives a message into `buffer`, which has [`EXEC_ORDER_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// `WouldBlock` where none has come.
    pub fn receive<T: DeserializeOwned>(&self, buffer: &mut [u8]) -> io::Result<Received<T>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(EXEC_ORDER_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let result = recvmsg(&*self.0, &mut [IoSliceMut::new(buffer)], &mut control, flags);
        let received = match result {
            Err(Errno::CONNRESET) => return Ok(Received::End),
            result => result?,
        };
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        if received.bytes == 0 && descriptors.is_empty() {
            return Ok(Received::End);
        }
        let message = buffer.get(..received.bytes).and_then(|bytes| postcard::from_bytes(bytes).ok());
        Ok(message.map_or(Received::Unreadable, |message| Received::Message(message, descriptors)))
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}
