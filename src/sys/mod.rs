//! The few system calls the reactor makes, and the seam at which a test plays the system: [`net::Net`] is the world of
//! one worker, [`epoll::Epoll`] the real one. Beside them [`runtime`]: the files by which a running server is found.

pub mod epoll;
pub mod memory;
pub mod net;
pub mod process;
pub mod runtime;
pub mod unix;
