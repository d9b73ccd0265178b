//! What a listening socket is told that no crate says safely.

use std::io;
use std::net::TcpListener;

/// Has the host keep a connection back until its peer has sent something, or for about a second. So a request is
/// there when its connection is accepted, and who sends nothing costs this process nothing for so long.
///
/// # Errors
///
/// As of `setsockopt`. Where there is no such option, nothing happens.
#[cfg(target_os = "linux")]
#[expect(unsafe_code)]
pub fn defer_accept(listener: &TcpListener) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    // In seconds; the kernel counts repetitions of its SYN-ACK, of which the first is sent after one (tcp(7)).
    let seconds: libc::c_int = 1;
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpStream;

    use super::*;

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
