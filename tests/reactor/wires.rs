//! The ways a message can travel: plain or over TLS, uncompressed or in one of the two modes of permessage-deflate. What holds
//! of messages holds on every one of these wires; [`on_every_wire`] runs a test on all six.

use std::sync::{Arc, LazyLock};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use rollcall::internals::reactor::tls::Acceptor;
use rollcall::internals::reactor::{Config, Deflate};
use rollcall::internals::wire::deflate::RSV1;
use rollcall::internals::wire::frame::{self, Header, Opcode, Parsed};
use rustls::ClientConfig;

use super::kit::{Stage, masked, upgrade_request};
use super::tls::kit::{Authority, Client, acceptor};

/// What carries the bytes of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Carrier {
    Plain,
    Tls,
}

pub(super) const CARRIERS: [Carrier; 2] = [Carrier::Plain, Carrier::Tls];
pub(super) const MODES: [Deflate; 3] = [Deflate::Off, Deflate::Shared, Deflate::PerConnection];

/// What clients offer unless a test has them offer something else.
pub(super) const OFFER: &str = "permessage-deflate; client_max_window_bits";

/// Runs a test in a fresh scene for each wire.
pub(super) fn on_every_wire(config: &Config, test: impl Fn(&mut Scene)) {
    for carrier in CARRIERS {
        for deflate in MODES {
            // The harness shows it where the test fails.
            eprintln!("on this wire: {carrier:?}, deflate {deflate:?}");
            test(&mut Scene::new(config, carrier, deflate));
        }
    }
}

/// The certificate of all scenes, and the settings of clients that trust it.
pub(super) static TRUST: LazyLock<(Arc<Acceptor>, Arc<ClientConfig>)> = LazyLock::new(|| {
    let authority = Authority::new();
    let acceptor = acceptor(&[&authority.pair(&["localhost"])], None);
    (acceptor, authority.trusted_by(rustls::ALL_VERSIONS, None))
});

/// A request that offers extensions.
pub(super) fn request_offering(field: &str) -> Vec<u8> {
    let request = String::from_utf8(upgrade_request("/")).unwrap();
    let end = format!("\r\nSec-WebSocket-Extensions: {field}\r\n\r\n");
    request.replace("\r\n\r\n", &end).into_bytes()
}

/// A stage whose connections are of one wire.
pub(super) struct Scene {
    pub(super) stage: Stage,
    pub(super) carrier: Carrier,
    pub(super) deflate: Deflate,
}

impl Scene {
    pub(super) fn new(config: &Config, carrier: Carrier, deflate: Deflate) -> Scene {
        let mut stage = Stage::new(&Config { deflate, ..config.clone() });
        if carrier == Carrier::Tls {
            stage.worker.secure(0, TRUST.0.clone());
        }
        Scene { stage, carrier, deflate }
    }

    /// A connection on which nothing has been asked yet.
    pub(super) fn connect(&mut self) -> Line {
        let mut line = match self.carrier {
            Carrier::Plain => Line { id: self.stage.script.connect(), tls: None, peer: None },
            Carrier::Tls => {
                let client = Client::connect(&self.stage, &TRUST.1, "localhost");
                Line { id: client.id, tls: Some(client), peer: None }
            }
        };
        self.stage.settle();
        if let Some(client) = &mut line.tls {
            client.settle(&mut self.stage);
        }
        line
    }

    /// A connection, and what its request to upgrade was answered.
    pub(super) fn ask(&mut self, field: &str) -> (Line, String) {
        let mut line = self.connect();
        self.send(&mut line, &request_offering(field));
        let response = String::from_utf8(line.received(&self.stage)).unwrap();
        if response.contains("permessage-deflate") {
            line.peer = Some(Peer::new(self.deflate == Deflate::PerConnection));
        }
        (line, response)
    }

    /// An open WebSocket connection that has offered this.
    pub(super) fn open_offering(&mut self, field: &str) -> Line {
        let (line, response) = self.ask(field);
        assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
        line
    }

    /// An open WebSocket connection; it compresses where the server does.
    pub(super) fn open(&mut self) -> Line {
        let line = self.open_offering(OFFER);
        assert_eq!(line.peer.is_some(), self.deflate != Deflate::Off);
        line
    }

    /// Bytes arrive in one piece and are served.
    pub(super) fn send(&mut self, line: &mut Line, plain: &[u8]) {
        let bytes = line.wire(plain, usize::MAX);
        self.stage.send(line.id, &bytes);
    }

    /// Bytes arrive as `cut` has it, and are served.
    pub(super) fn send_cut(&mut self, line: &mut Line, plain: &[u8], cut: Cut) {
        let bytes = line.wire(plain, cut.record);
        self.arrive_cut(line, &bytes, cut);
        self.stage.settle();
    }

    /// What stands on the wire arrives part by part.
    pub(super) fn arrive_cut(&mut self, line: &Line, bytes: &[u8], cut: Cut) {
        for part in bytes.chunks(cut.arrival) {
            self.stage.script.arrive(line.id, part);
            if cut.settled {
                self.stage.settle();
            } else {
                self.stage.worker.turn().unwrap();
            }
        }
    }
}

/// How bytes are cut on their way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Plaintext bytes of a TLS record at most; a record holds 16 KiB at most anyway.
    pub(super) record: usize,
    /// Bytes that arrive at once.
    pub(super) arrival: usize,
    /// The worker does all that it can between two arrivals; else it takes one turn, and what waits goes on waiting.
    pub(super) settled: bool,
}

/// Many records in one read, one record in many reads, many frames in a record, one frame over many records, and more arriving
/// while the worker is not through with what came before.
pub(super) const CUTS: [Cut; 6] = [
    Cut { record: usize::MAX, arrival: usize::MAX, settled: true },
    Cut { record: 1_000, arrival: usize::MAX, settled: true },
    Cut { record: usize::MAX, arrival: 5_000, settled: true },
    Cut { record: 700, arrival: 10_000, settled: false },
    Cut { record: usize::MAX, arrival: 64 << 10, settled: false },
    Cut { record: 16_000, arrival: 100_000, settled: false },
];

/// Every byte arrives by itself.
pub(super) const BYTEWISE: [Cut; 2] =
    [Cut { record: 1, arrival: 1, settled: true }, Cut { record: usize::MAX, arrival: 1, settled: false }];

/// A client's end of a connection.
pub(super) struct Line {
    pub(super) id: usize,
    pub(super) tls: Option<Client>,
    /// Its end of permessage-deflate, where that was agreed.
    pub(super) peer: Option<Peer>,
}

impl Line {
    /// The frame of a message, as a client on this wire sends it.
    pub(super) fn message(&mut self, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
        match &mut self.peer {
            None => masked(opcode, payload),
            Some(peer) => peer.message(opcode, payload),
        }
    }

    /// What stands on the wire for `plain`: the same bytes, or records that hold `record` of them at most.
    pub(super) fn wire(&mut self, plain: &[u8], record: usize) -> Vec<u8> {
        let Some(client) = &mut self.tls else { return plain.to_vec() };
        for part in plain.chunks(record.min(plain.len().max(1))) {
            client.write(part);
        }
        client.records()
    }

    /// The plaintext that has come.
    pub(super) fn received(&mut self, stage: &Stage) -> Vec<u8> {
        let Some(client) = &mut self.tls else { return stage.script.written(self.id) };
        client.take(&stage.script);
        client.received()
    }

    /// The frames that have come, inflated.
    pub(super) fn frames(&mut self, stage: &Stage) -> Vec<(Opcode, Vec<u8>)> {
        self.forms(stage).into_iter().map(|(opcode, _, payload)| (opcode, payload)).collect()
    }

    /// The same, and whether each was compressed.
    pub(super) fn forms(&mut self, stage: &Stage) -> Vec<(Opcode, bool, Vec<u8>)> {
        let received = self.received(stage);
        self.forms_of(&received)
    }

    /// The same of frames that somebody else has taken.
    pub(super) fn forms_of(&mut self, mut bytes: &[u8]) -> Vec<(Opcode, bool, Vec<u8>)> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let Parsed::Header(header, at) = Header::parse(bytes).unwrap() else { panic!("half a header") };
            assert!(header.fin && header.mask.is_none(), "{header:?}");
            let (payload, rest) = bytes[at..].split_at(header.len as usize);
            bytes = rest;
            let compressed = header.reserved == RSV1;
            let payload = if compressed {
                self.peer.as_mut().expect("it was agreed").inflate(payload)
            } else {
                payload.to_vec()
            };
            frames.push((header.opcode, compressed, payload));
        }
        frames
    }
}

/// One end of permessage-deflate as zlib has it.
pub(super) struct Peer {
    out: Compress,
    input: Decompress,
    /// Its streams go on from message to message.
    takeover: bool,
    /// Where a message is inflated.
    buffer: Vec<u8>,
}

impl Peer {
    pub(super) fn new(takeover: bool) -> Peer {
        let out = Compress::new_with_window_bits(Compression::new(6), false, 12);
        Peer { out, input: Decompress::new(false), takeover, buffer: Vec::with_capacity(2 << 20) }
    }

    /// A masked frame with the message compressed.
    pub(super) fn message(&mut self, opcode: Opcode, message: &[u8]) -> Vec<u8> {
        let data = self.deflate(message);
        let mut bytes = Vec::new();
        frame::write_reserved(&mut bytes, opcode, RSV1, &data, Some([9, 8, 7, 6]));
        bytes
    }

    fn deflate(&mut self, message: &[u8]) -> Vec<u8> {
        if message.is_empty() {
            // RFC 7692 §7.2.3.6: an empty message is one empty block.
            return vec![0];
        }
        if !self.takeover {
            self.out.reset();
        }
        let mut data = Vec::with_capacity(message.len() + 2_000);
        self.out.compress_vec(message, &mut data, FlushCompress::Sync).unwrap();
        // RFC 7692 §7.2.1: the empty block at the end is left out.
        data.truncate(data.len() - 4);
        data
    }

    pub(super) fn inflate(&mut self, data: &[u8]) -> Vec<u8> {
        if !self.takeover {
            self.input.reset(false);
        }
        self.buffer.clear();
        let data = [data, &[0, 0, 0xff, 0xff]].concat();
        self.input.decompress_vec(&data, &mut self.buffer, FlushDecompress::Sync).unwrap();
        self.buffer.clone()
    }
}

/// A text of about `len` bytes that compresses as chats do; no two alike.
pub(super) fn text(seed: usize, len: usize) -> Vec<u8> {
    let line = |n: usize| format!(r#"{{"from":"u{}","offset":{},"data":"{}"}} "#, n % 7, n * seed, n * n);
    (seed..)
        .map(line)
        .scan(0, |made, line| {
            *made += line.len();
            (*made < len + line.len()).then_some(line)
        })
        .collect::<String>()
        .into_bytes()
}

/// Bytes that don't compress; the same for the same seed.
pub(super) fn noise(seed: usize, len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ (seed as u64 + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mut bits = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut bits).flatten().take(len).collect()
}
