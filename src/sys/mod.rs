//! The few system calls the reactor makes, and the seam at which a test plays the system: [`net::Net`] is the world of
//! one worker, [`epoll::Epoll`] the real one. Beside them [`runtime`]: the files by which a running server is found; and
//! [`guard`]: a process beside the server that starts others.

pub mod epoll;
pub mod guard;
pub mod memory;
pub mod net;
pub mod pipe;
pub mod process;
pub mod runtime;
pub mod unix;
