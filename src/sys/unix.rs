//! Listening on a Unix socket.
//!
//! SO_REUSEPORT means nothing there: there is one queue, made before the workers start, and each worker has a descriptor
//! of it. A connection wakes them all and the first takes it, which is dear for a herd of short connections, and
//! nothing for the few long ones that a proxy on the same machine makes.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::limits::LISTEN_BACKLOG;

/// A listening socket and its file, which is removed with it.
#[derive(Debug)]
pub struct UnixSocket {
    socket: Socket,
    path: PathBuf,
    /// Device and inode of the file: another server may have put its own in its place.
    file: (u64, u64),
}

impl UnixSocket {
    /// Listens at `path`; only whom `mode` lets may connect. The file of a server that is gone is replaced.
    ///
    /// # Errors
    /// `AddrInUse` where a server answers there; otherwise as `bind(2)`, also where another kind of file is in the way.
    pub fn bind(path: &Path, mode: u32) -> io::Result<UnixSocket> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        let address = SockAddr::unix(path)?;
        if let Err(error) = socket.bind(&address) {
            if error.kind() != ErrorKind::AddrInUse {
                return Err(error);
            }
            remove_stale(path, &address)?;
            socket.bind(&address)?;
        }
        let metadata = fs::symlink_metadata(path)?;
        let bound = UnixSocket { socket, path: path.to_owned(), file: (metadata.dev(), metadata.ino()) };
        // Before it listens: until then nobody can connect, whatever the permissions it was made with.
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        bound.socket.set_nonblocking(true)?;
        bound.socket.listen(LISTEN_BACKLOG)?;
        Ok(bound)
    }

    /// Another descriptor of the same queue, in the descriptor table of who asks.
    ///
    /// # Errors
    /// As `fcntl(2)`.
    pub fn share(&self) -> io::Result<Socket> {
        self.socket.try_clone()
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.file);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes a socket's file where nobody listens behind it.
fn remove_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::Error::new(ErrorKind::AlreadyExists, "there is a file that is no socket; remove it"));
    }
    let knock = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    knock.set_nonblocking(true)?;
    match knock.connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        // It answers, or its queue is full.
        _ => Err(ErrorKind::AddrInUse.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("rollcall-unix-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn the_file_comes_and_goes_with_the_socket() {
        let directory = directory("life");
        let path = directory.join("s");
        let socket = UnixSocket::bind(&path, 0o640).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        let taken = UnixSocket::bind(&path, 0o600).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        drop(socket);
        assert!(!path.exists());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn what_a_dead_server_left_is_replaced_and_nothing_else() {
        let directory = directory("stale");
        let path = directory.join("s");
        let dead = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        dead.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        drop(dead);
        let socket = UnixSocket::bind(&path, 0o600).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "somebody's").unwrap();
        drop(socket);
        assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's");
        let error = UnixSocket::bind(&path, 0o600).unwrap_err();
        assert!(error.to_string().contains("no socket"), "{error}");
        fs::remove_dir_all(directory).unwrap();
    }
}
