//! What a listening socket is told that no crate says safely.

use std::io;
use std::net::TcpListener;

use socket2::Socket;

/// Has the host keep a connection back until its peer has sent something, or for
/// [`DEFER_ACCEPT_SECONDS`](crate::limits::DEFER_ACCEPT_SECONDS). So a request is
/// there when its connection is accepted, and who sends nothing costs this process nothing for so long.
///
/// # Errors
///
/// As of `setsockopt`. Where there is no such option, nothing happens.
#[cfg(target_os = "linux")]
#[expect(unsafe_code)]
pub fn defer_accept(listener: &TcpListener) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    let seconds: libc::c_int = crate::limits::DEFER_ACCEPT_SECONDS;
    let length = size_of_val(&seconds) as libc::socklen_t;
    // SAFETY: the descriptor is open while the listener is borrowed, and the value is read only during the call.
    let outcome = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            (&raw const seconds).cast(),
            length,
        )
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// See above.
#[cfg(not(target_os = "linux"))]
pub fn defer_accept(_: &TcpListener) -> io::Result<()> {
    Ok(())
}

/// Has the host refuse the port of a socket that is not bound yet to others that would take it over with
/// `SO_REUSEADDR`, which Windows lets programs of the same user do.
///
/// # Errors
///
/// As of `setsockopt`. Where nobody can take a port over, nothing happens.
#[cfg(windows)]
#[expect(unsafe_code)]
pub fn exclude_others(socket: &Socket) -> io::Result<()> {
    use std::os::windows::io::AsRawSocket;

    use windows_sys::Win32::Networking::WinSock::{SO_EXCLUSIVEADDRUSE, SOCKET, SOL_SOCKET, setsockopt};

    let on = 1_i32.to_ne_bytes();
    // SAFETY: the socket is open while it is borrowed, and the value is read only during the call.
    let outcome = unsafe {
        setsockopt(
            socket.as_raw_socket() as SOCKET,
            SOL_SOCKET,
            SO_EXCLUSIVEADDRUSE,
            on.as_ptr(),
            size_of_val(&on) as i32,
        )
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// See above.
#[cfg(not(windows))]
pub fn exclude_others(_: &Socket) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpStream;

    use super::*;

    #[cfg(windows)]
    #[test]
    fn nobody_takes_over_the_port_of_an_exclusive_socket() {
        use socket2::{Domain, Type};

        let any: std::net::SocketAddr = ([127, 0, 0, 1], 0).into();
        let first = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        exclude_others(&first).unwrap();
        first.bind(&any.into()).unwrap();
        let greedy = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        greedy.set_reuse_address(true).unwrap();
        assert!(greedy.bind(&first.local_addr().unwrap()).is_err());
    }

    #[test]
    fn who_sends_something_is_accepted_and_so_at_last_is_who_does_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        defer_accept(&listener).unwrap();
        let address = listener.local_addr().unwrap();
        for says in [&b"x"[..], b""] {
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(says).unwrap();
            assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());
        }
    }
}
