//! Listening on a Unix domain socket, by the path of its file.
//!
//! Called on the JavaScript thread, as [`bind`](super::bind). The file is there while the listener is: it is
//! removed with it, unless another has taken its place. What a process left behind that ended otherwise is
//! replaced; a file that is no socket, or on which somebody listens, never is.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::error::HostFault;
use crate::limits;

/// A listening socket and its file.
pub struct UnixSocket {
    listener: UnixListener,
    file: SocketFile,
}

/// The file of a listening socket; dropping it removes it.
pub struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Device and number of a file: another one at the same path has others.
type Identity = (u64, u64);

/// Binds and listens. The socket is non-blocking, and not inherited by child processes.
///
/// # Errors
///
/// When somebody listens there, or a file is there that is no socket, or the system does not let us.
pub fn bind_unix(path: &Path) -> Result<UnixSocket, HostFault> {
    open(path).map_err(|error| HostFault::from_path_io(error, path.display().to_string()))
}

impl UnixSocket {
    /// Parts the two: the file is to live as long as the listener.
    pub(super) fn into_parts(self) -> (UnixListener, SocketFile) {
        (self.listener, self.file)
    }
}

impl SocketFile {
    /// Where it is, for people.
    pub(super) fn path(&self) -> String {
        self.path.display().to_string()
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            // If it cannot be removed, the next who listens there will see that nobody does.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn open(path: &Path) -> io::Result<UnixSocket> {
    let address = SockAddr::unix(path)?;
    let socket = stream()?;
    match socket.bind(&address) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            remove_stale(path, &address)?;
            socket.bind(&address)?;
        }
        outcome => outcome?,
    }
    let file = SocketFile { path: std::path::absolute(path)?, identity: identity(path)? };
    socket.listen(limits::LISTEN_BACKLOG)?;
    Ok(UnixSocket { listener: socket.into(), file })
}

/// Removes a socket's file on which nobody listens. It is looked at again before that: another process
/// may have had the same thought.
fn remove_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    let found = identity(path)?;
    // One whose queue is full does not refuse, and neither does one of another type.
    match stream()?.connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
        _ => return Err(ErrorKind::AddrInUse.into()),
    }
    match identity(path)? == found {
        true => fs::remove_file(path),
        false => Err(ErrorKind::AddrInUse.into()),
    }
}

/// The identity of a socket's file. Of another one: the address is in use.
fn identity(path: &Path) -> io::Result<Identity> {
    let found = fs::symlink_metadata(path)?;
    match found.file_type().is_socket() {
        true => Ok((found.dev(), found.ino())),
        false => Err(ErrorKind::AddrInUse.into()),
    }
}

fn stream() -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use super::*;

    /// A directory of one test's own, which goes with it.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("tidewire-unix-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn fault(path: &Path) -> &'static str {
        bind_unix(path).err().expect("nobody may listen there").code()
    }

    #[test]
    fn the_file_comes_and_goes_with_the_listener() {
        let directory = Directory::new("comes");
        let path = directory.0.join("socket");
        let socket = bind_unix(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        assert_eq!(fault(&path), "EADDRINUSE", "somebody listens");
        assert!(path.exists());
        drop(socket);
        assert!(!path.exists());
        drop(bind_unix(&path).unwrap());
    }

    #[test]
    fn a_file_that_another_has_put_there_since_stays() {
        let directory = Directory::new("another");
        let path = directory.0.join("socket");
        let first = bind_unix(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let second = bind_unix(&path).unwrap();
        drop(first);
        UnixStream::connect(&path).unwrap();
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn what_nobody_listens_on_is_replaced() {
        let directory = Directory::new("stale");
        let path = directory.0.join("socket");
        // As a process leaves it that was killed.
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let socket = bind_unix(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        drop(socket);
    }

    #[test]
    fn what_is_no_stream_socket_is_never_removed() {
        let directory = Directory::new("never");
        let file = directory.0.join("file");
        fs::write(&file, "precious").unwrap();
        assert_eq!(fault(&file), "EADDRINUSE");
        assert_eq!(fs::read(&file).unwrap(), b"precious");
        let link = directory.0.join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(fault(&link), "EADDRINUSE");
        assert!(link.is_symlink());
        let datagram = directory.0.join("datagram");
        let _bound = UnixDatagram::bind(&datagram).unwrap();
        assert_eq!(fault(&datagram), "EADDRINUSE");
        assert!(datagram.exists());
        assert_eq!(fault(&directory.0), "EADDRINUSE");
        assert_eq!(fault(&directory.0.join("none").join("socket")), "ENOENT");
    }
}
