//! The connections of one user, as the user's home knows them.

use crate::presence::message::{ClientId, ClientRef};
use crate::presence::view::{Reason, State};
use crate::time::Tick;

/// One connection: 20 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Device {
    client: ClientId,
    worker: u16,
    /// It said so.
    pub(crate) away: bool,
    /// Its page has stopped sending heartbeats.
    pub(crate) silent: bool,
    pub(crate) suspect: bool,
    /// It has shown a token.
    pub(crate) has_token: bool,
    /// Of the edge's announcements, the one in which this was said last.
    pub(crate) round: u8,
    line: Line,
    until: Tick,
}

/// Whether a connection is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Line {
    Live,
    /// It was handed over by another home, and its edge is yet to say that it is there.
    Awaited,
    /// It closed or broke, and counts until `until`.
    Gone(Reason),
}

/// A connection that is gone and may be back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lingering {
    pub(crate) until: Tick,
    pub(crate) reason: Reason,
}

impl Device {
    pub(crate) fn new(at: ClientRef) -> Device {
        Device {
            client: at.client,
            worker: at.worker,
            away: false,
            silent: false,
            suspect: false,
            has_token: false,
            round: 0,
            line: Line::Live,
            until: Tick::default(),
        }
    }

    pub(crate) fn address(&self) -> ClientRef {
        ClientRef::here(self.worker, self.client)
    }

    pub(crate) fn is_live(&self) -> bool {
        self.line == Line::Live
    }

    /// It was handed over by another home, and its edge is yet to say that it is there.
    pub(crate) fn wait(&mut self) {
        self.line = Line::Awaited;
    }

    pub(crate) fn is_awaited(&self) -> bool {
        self.line == Line::Awaited
    }

    /// It closed or broke, and may be back.
    pub(crate) fn linger(&mut self, Lingering { until, reason }: Lingering) {
        (self.until, self.line) = (until, Line::Gone(reason));
    }

    pub(crate) fn lingers(&self) -> Option<Lingering> {
        if let Line::Gone(reason) = self.line { Some(Lingering { until: self.until, reason }) } else { None }
    }

    pub(crate) fn state(&self) -> State {
        if self.away || self.silent { State::Away } else { State::Online }
    }
}

const _: () = assert!(size_of::<Device>() <= 20 && size_of::<Devices>() <= 24);

/// All of a user's connections, oldest first. One needs no heap.
#[derive(Debug, Default)]
pub(crate) enum Devices {
    #[default]
    None,
    One(Device),
    #[expect(
        clippy::box_collection,
        reason = "a user with one connection pays for a pointer, not for a vector"
    )]
    Many(Box<Vec<Device>>),
}

impl Devices {
    pub(crate) fn as_slice(&self) -> &[Device] {
        match self {
            Devices::None => &[],
            Devices::One(device) => std::slice::from_ref(device),
            Devices::Many(devices) => devices,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [Device] {
        match self {
            Devices::None => &mut [],
            Devices::One(device) => std::slice::from_mut(device),
            Devices::Many(devices) => devices,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    pub(crate) fn live(&self) -> impl Iterator<Item = &Device> {
        self.as_slice().iter().filter(|device| device.is_live())
    }

    /// When the next grace is over.
    pub(crate) fn lingers_until(&self) -> Option<Tick> {
        self.as_slice().iter().filter_map(Device::lingers).map(|lingers| lingers.until).reduce(Tick::min)
    }

    pub(crate) fn get_mut(&mut self, at: ClientRef) -> Option<&mut Device> {
        self.as_mut_slice().iter_mut().find(|device| device.address() == at && device.is_live())
    }

    /// The connection that is waited for and comes from there; another one that is waited for where none does.
    pub(crate) fn awaited_mut(&mut self, at: ClientRef) -> Option<&mut Device> {
        let devices = self.as_mut_slice();
        let is_it = |device: &Device| device.is_awaited() && device.address() == at;
        let place = devices.iter().position(is_it).or_else(|| devices.iter().position(Device::is_awaited))?;
        devices.get_mut(place)
    }

    pub(crate) fn push(&mut self, device: Device) {
        *self = match std::mem::take(self) {
            Devices::None => Devices::One(device),
            Devices::One(first) => Devices::Many(Box::new(vec![first, device])),
            Devices::Many(mut devices) => {
                devices.push(device);
                Devices::Many(devices)
            }
        }
    }

    /// Removes the first for which `is` holds.
    pub(crate) fn remove(&mut self, is: impl Fn(&Device) -> bool) -> Option<Device> {
        let i = self.as_slice().iter().position(is)?;
        match std::mem::take(self) {
            Devices::None => None,
            Devices::One(device) => Some(device),
            Devices::Many(mut devices) => {
                let removed = devices.remove(i);
                *self = if let [last] = devices[..] { Devices::One(last) } else { Devices::Many(devices) };
                Some(removed)
            }
        }
    }

    /// The best of them, with suspicion (all are suspect) and without. One that lingers is what it was when it went:
    /// nothing is told before its grace is over.
    pub(crate) fn states(&self) -> (State, State) {
        let plain = self.as_slice().iter().map(Device::state).max().unwrap_or_default();
        let suspect = !self.is_empty() && self.as_slice().iter().all(|device| device.suspect);
        (if suspect { State::Suspect } else { plain }, plain)
    }
}
