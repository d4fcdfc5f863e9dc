//! Processes behind connections, as a service has them: the pipes to them, which it [watches](crate::reactor::Context::watch), and
//! the [guard](crate::sys::guard) that starts and ends them. Nothing here waits.

pub use crate::sys::guard::ends::{Ends, TheirEnds};
pub use crate::sys::guard::link::{Link, Received};
pub use crate::sys::guard::message::{Command, Exit, Order, ProcessId, ProcessLimits, Report};
pub use crate::sys::guard::start::{Access, Guard};
pub use crate::sys::pipe::Pipe;
