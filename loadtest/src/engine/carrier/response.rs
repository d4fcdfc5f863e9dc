//! Responses on one connection: heads and bodies, by length or in chunks, however what arrives is cut.

use rollcall::internals::wire::client::HandshakeError;

use crate::engine::link::End;

/// The most that a head, or the line of a chunk's size, may have.
const KEPT_MAX: usize = 16 << 10;

/// What is being read.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum State {
    #[default]
    Head,
    /// A body of so many more bytes.
    Body(usize),
    /// The line with a chunk's size.
    Size,
    /// So many more bytes of a chunk.
    Chunk(usize),
    /// The line's end behind a chunk.
    Behind,
    /// The empty line behind the last chunk.
    Last,
}

/// What is handed on.
#[derive(Debug)]
pub enum Part<'a> {
    /// Bytes of a body.
    Body(&'a mut [u8]),
    /// The end of a response.
    End,
}

/// The reader of one connection.
#[derive(Default, Debug)]
pub struct Responses {
    state: State,
    /// A head or a line of which the end is still to come.
    kept: Vec<u8>,
}

impl Responses {
    /// Reads all of `input`. A status other than 200 is an end.
    pub fn read(
        &mut self,
        mut input: &mut [u8],
        mut on: impl FnMut(Part<'_>) -> Result<(), End>,
    ) -> Result<(), End> {
        while !input.is_empty() {
            let (taken, state) = match self.state {
                State::Body(more) | State::Chunk(more) => {
                    let taken = more.min(input.len());
                    on(Part::Body(&mut input[..taken]))?;
                    let state = match self.state {
                        State::Chunk(_) if taken == more => State::Behind,
                        State::Chunk(_) => State::Chunk(more - taken),
                        _ if taken == more => State::Head,
                        _ => State::Body(more - taken),
                    };
                    if state == State::Head {
                        on(Part::End)?;
                    }
                    (taken, state)
                }
                _ => {
                    let (taken, state) = self.line(input)?;
                    let over =
                        matches!((self.state, state), (State::Last, State::Head) | (_, State::Body(0)));
                    if over {
                        on(Part::End)?;
                    }
                    (taken, if over { State::Head } else { state })
                }
            };
            self.state = state;
            input = &mut input[taken..];
        }
        Ok(())
    }

    /// Reads on in a head or a line: how much of `input` it took, and what follows.
    fn line(&mut self, input: &[u8]) -> Result<(usize, State), End> {
        let mark: &[u8] = if self.state == State::Head { b"\r\n\r\n" } else { b"\r\n" };
        let before = self.kept.len();
        self.kept.extend_from_slice(&input[..input.len().min(KEPT_MAX)]);
        let from = before.saturating_sub(mark.len() - 1);
        let Some(at) = self.kept[from..].windows(mark.len()).position(|window| window == mark) else {
            let taken = self.kept.len() - before;
            return if before > KEPT_MAX { Err(not_http()) } else { Ok((taken, self.state)) };
        };
        let end = from + at;
        let kept = std::mem::take(&mut self.kept);
        let text = std::str::from_utf8(&kept[..end]).map_err(|_| not_http())?;
        let next = match self.state {
            State::Head => head(text)?,
            State::Size => match usize::from_str_radix(text, 16).map_err(|_| not_http())? {
                0 => State::Last,
                size => State::Chunk(size),
            },
            State::Behind => State::Size,
            _ => State::Head,
        };
        Ok((end + mark.len() - before, next))
    }
}

fn not_http() -> End {
    End::Handshake(HandshakeError::NotHttp)
}

/// What follows a head.
fn head(text: &str) -> Result<State, End> {
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let status: u16 = status.ok_or_else(not_http)?;
    if status != 200 {
        return Err(End::Refused(status));
    }
    let mut state = State::Body(0);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            state = State::Body(value.trim().parse().map_err(|_| not_http())?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            state = State::Size;
        }
    }
    Ok(state)
}
