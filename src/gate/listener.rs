//! Binding a listening socket.
//!
//! Called on the JavaScript thread, so that `listen` knows at once whether it has the port. It may
//! block for as long as the system's resolver does, where a name is given.

#[cfg(unix)]
use std::ffi::OsStr;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
#[cfg(unix)]
use std::os::unix::ffi::OsStrExt;

use socket2::{Domain, Protocol, Socket, Type};

#[cfg(unix)]
use super::unix::UnixSocket;
use crate::error::HostFault;
use crate::limits;
use crate::reactor::exclude_others;

/// Where to listen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bind {
    /// A name or an address; `None` is every address of the machine, IPv6 and IPv4.
    pub host: Option<String>,
    /// 0 lets the system choose one.
    pub port: u16,
    /// Whether the port is refused to others that would share it. Only Linux shares ports
    /// (`SO_REUSEPORT`), among sockets of one user that all agree; on Windows a program of the same user
    /// can take one over.
    pub exclusive: bool,
}

/// A socket that listens.
pub enum Listener {
    /// On an address of the network.
    Tcp(TcpListener),
    /// On a path of the file system.
    #[cfg(unix)]
    Unix(UnixSocket),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

#[cfg(unix)]
impl From<UnixSocket> for Listener {
    fn from(socket: UnixSocket) -> Self {
        Self::Unix(socket)
    }
}

/// Binds and listens. The socket is non-blocking, and not inherited by child processes.
///
/// # Errors
///
/// When the host has no address, or the system does not give it to us.
pub fn bind(address: &Bind) -> Result<TcpListener, HostFault> {
    match &address.host {
        None => bind_any(address),
        Some(host) => bind_host(host, address),
    }
}

/// The same on a Unix domain socket, at a path of any bytes but NUL.
///
/// # Errors
///
/// When somebody listens there, or a file is there that is no socket, or the system does not let us; on
/// Windows always.
pub fn bind_path(path: &[u8]) -> Result<Listener, HostFault> {
    #[cfg(unix)]
    return super::bind_unix(OsStr::from_bytes(path).as_ref()).map(Listener::Unix);
    #[cfg(not(unix))]
    {
        let _ = path;
        Err(HostFault::NoUnixSockets)
    }
}

/// Dual-stack, or plain IPv4 where the machine has no IPv6.
fn bind_any(address: &Bind) -> Result<TcpListener, HostFault> {
    let dual_stack = SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port));
    let ipv4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port));
    open(dual_stack, address.exclusive)
        .or_else(|error| match lacks_family(&error) {
            true => open(ipv4, address.exclusive),
            false => Err(error),
        })
        .map_err(|error| HostFault::from_io(error, dual_stack.to_string()))
}

/// The first of the host's addresses that this machine can have at all: a name like `localhost` may
/// have an IPv6 address where there is no IPv6. A busy port is busy, whatever address is next.
fn bind_host(host: &str, address: &Bind) -> Result<TcpListener, HostFault> {
    // An IPv6 address may come in the brackets that it has in a URL.
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let unknown = |source| HostFault::UnknownHost { host: host.into(), source };
    let mut fault = None;
    for candidate in (bare, address.port).to_socket_addrs().map_err(unknown)? {
        match open(candidate, address.exclusive) {
            Ok(listener) => return Ok(listener),
            Err(error) => {
                let next_may_do = lacks_family(&error);
                fault = Some(HostFault::from_io(error, format!("{host}:{}", address.port)));
                if !next_may_do {
                    break;
                }
            }
        }
    }
    Err(fault.unwrap_or_else(|| unknown(io::Error::other("the resolver gave no address"))))
}

/// Whether the machine has no such address family, or no address of it.
fn lacks_family(error: &io::Error) -> bool {
    // std has no kind for EAFNOSUPPORT, and each system numbers it differently: so what is told
    // apart are the errors that would be the same for another address.
    !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput)
}

fn open(address: SocketAddr, exclusive: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        // Whatever the system's default is: `::` takes IPv4, too, as it does in Node.js.
        socket.set_only_v6(false)?;
    }
    // On Windows the option would let anyone take the port over.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    // What macOS and the BSDs have by this name does not spread connections.
    #[cfg(target_os = "linux")]
    socket.set_reuse_port(!exclusive)?;
    if exclusive {
        exclude_others(&socket)?;
    }
    socket.bind(&address.into())?;
    socket.listen(limits::LISTEN_BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    fn exclusive(host: Option<&str>, port: u16) -> Bind {
        Bind { host: host.map(str::to_owned), port, exclusive: true }
    }

    #[test]
    fn every_address_is_ipv4_and_ipv6_where_there_is_one() {
        let has_ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
        for host in [None, Some("::")].into_iter().take(if has_ipv6 { 2 } else { 1 }) {
            let listener = bind(&exclusive(host, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            if has_ipv6 {
                TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
            }
        }
    }

    #[test]
    fn accepting_from_it_does_not_block() {
        let listener = bind(&exclusive(Some("127.0.0.1"), 0)).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_host_may_be_a_name_or_an_address() {
        for host in ["127.0.0.1", "localhost"] {
            let listener = bind(&exclusive(Some(host), 0)).unwrap();
            assert!(listener.local_addr().unwrap().ip().is_loopback());
        }
        if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
            for host in ["::1", "[::1]"] {
                assert!(bind(&exclusive(Some(host), 0)).unwrap().local_addr().unwrap().is_ipv6());
            }
        }
    }

    #[test]
    fn a_busy_port_is_a_fault_that_names_the_address() {
        let first = bind(&exclusive(Some("127.0.0.1"), 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        for exclusive in [true, false] {
            let fault = bind(&Bind { host: Some("127.0.0.1".into()), port, exclusive }).unwrap_err();
            assert_eq!(fault.code(), "EADDRINUSE");
            assert!(fault.to_string().contains(&format!("127.0.0.1:{port}")), "{fault}");
        }
        // Every address includes the busy one.
        assert_eq!(bind(&exclusive(None, port)).unwrap_err().code(), "EADDRINUSE");
        // A socket of another program, which has not asked to share its port.
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = other.local_addr().unwrap().port();
        let shared = Bind { host: Some("127.0.0.1".into()), port, exclusive: false };
        assert_eq!(bind(&shared).unwrap_err().code(), "EADDRINUSE");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn two_listeners_may_share_a_port_unless_one_is_exclusive() {
        let shared = |port| Bind { host: Some("127.0.0.1".into()), port, exclusive: false };
        let first = bind(&shared(0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let second = bind(&shared(port)).unwrap();
        assert_eq!(second.local_addr().unwrap().port(), port);
        assert_eq!(bind(&exclusive(Some("127.0.0.1"), port)).unwrap_err().code(), "EADDRINUSE");
    }

    #[test]
    fn an_address_that_is_not_ours_and_a_name_without_one() {
        // TEST-NET-1 (RFC 5737) is nobody's; `.invalid` (RFC 6761) never resolves.
        let fault = bind(&exclusive(Some("192.0.2.1"), 0)).unwrap_err();
        assert_eq!(fault.code(), "EADDRNOTAVAIL");
        let fault = bind(&exclusive(Some("nowhere.invalid"), 0)).unwrap_err();
        assert_eq!(fault.code(), "ENOTFOUND");
        assert!(fault.to_string().contains("nowhere.invalid"), "{fault}");
    }
}
