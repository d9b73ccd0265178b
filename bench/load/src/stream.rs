//! One connection to a server, of TCP alone or with TLS: what is written is sent, what is read is plaintext. Used by
//! [`crate::client`] and [`crate::http`]. Memory: an idle stream holds no buffer; what the kernel does not take
//! is kept until it does.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::tls::{Session, Tls};

/// Of a read, unless a mode wants shorter ones.
pub const READ_BYTES: usize = 256 * 1024;

/// Where all streams of a run read in turn.
pub struct Room {
    wire: Box<[u8]>,
    plaintext: Vec<u8>,
}

impl Default for Room {
    fn default() -> Self {
        Self::with_bytes(READ_BYTES)
    }
}

impl Room {
    /// For reads of at most so many bytes. With TLS a record must fit in: 32 KiB are enough.
    pub fn with_bytes(bytes: usize) -> Self {
        Self { wire: vec![0; bytes].into_boxed_slice(), plaintext: Vec::new() }
    }
}

/// What a read has found.
pub enum Arrival<'a> {
    /// There is nothing.
    Nothing,
    /// The server has sent its FIN.
    End,
    /// Something came.
    Bytes {
        /// The plaintext: of a record that is not whole, nothing yet.
        bytes: &'a [u8],
        /// The read took as much as it could: there may be more.
        is_full: bool,
    },
}

/// A connection.
pub struct Stream {
    socket: TcpStream,
    session: Option<Box<Session>>,
    /// What the kernel has not taken yet.
    unsent: Vec<u8>,
}

impl Stream {
    /// Begins to connect, edge-triggered in both directions for all of its life.
    pub fn connect(address: SocketAddr, registry: &Registry, token: Token, tls: Option<&Tls>) -> io::Result<Self> {
        let mut socket = TcpStream::connect(address)?;
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        let session = tls.map(|tls| tls.session().map(Box::new)).transpose()?;
        Ok(Self { socket, session, unsent: Vec::new() })
    }

    /// To be called when the socket can be written for the first time: the connection of TCP is made, or has failed.
    /// TLS begins, and what is written from now on follows its handshake.
    pub fn begin(&mut self) -> io::Result<()> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        self.socket.set_nodelay(true)?;
        match &mut self.session {
            None => Ok(()),
            Some(session) => {
                session.open(&mut [], &mut Vec::new(), |out| send(&mut self.socket, &mut self.unsent, out))
            }
        }
    }

    /// Bytes that the kernel has not taken yet.
    pub fn unsent_bytes(&self) -> usize {
        self.unsent.len()
    }

    /// Writes with one system call; what the kernel does not take follows with [`Stream::flush`].
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.session {
            None => send(&mut self.socket, &mut self.unsent, bytes),
            Some(session) => session.seal(bytes, |out| send(&mut self.socket, &mut self.unsent, out)),
        }
    }

    /// Writes what waits: to be called when the socket can be written again.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        let written = write_some(&mut self.socket, &self.unsent)?;
        self.unsent.drain(..written);
        if self.unsent.is_empty() {
            self.unsent = Vec::new();
        }
        Ok(())
    }

    /// Reads once.
    pub fn read<'a>(&mut self, room: &'a mut Room) -> io::Result<Arrival<'a>> {
        let kept = self.session.as_ref().map_or(0, |session| session.restore(&mut room.wire));
        let read = loop {
            match self.socket.read(&mut room.wire[kept..]) {
                Ok(0) => return Ok(Arrival::End),
                Ok(read) => break read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Arrival::Nothing),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        let filled = kept + read;
        let is_full = filled == room.wire.len();
        let Some(session) = &mut self.session else {
            return Ok(Arrival::Bytes { bytes: &room.wire[..filled], is_full });
        };
        room.plaintext.clear();
        let (socket, unsent) = (&mut self.socket, &mut self.unsent);
        session.open(&mut room.wire[..filled], &mut room.plaintext, |out| send(socket, unsent, out))?;
        Ok(Arrival::Bytes { bytes: &room.plaintext, is_full })
    }

    /// Ends the connection at once with a reset: what is under way is lost (SO_LINGER of 0 seconds).
    pub fn reset(self) -> io::Result<()> {
        Ok(rustix::net::sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO))?)
    }

    /// Sends a FIN, whatever protocol is spoken above: reading goes on.
    pub fn half_close(&mut self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Keeps what the kernel receives in advance short, so that a peer feels that nobody reads.
    pub fn receive_at_most(&mut self, bytes: usize) -> io::Result<()> {
        Ok(rustix::net::sockopt::set_socket_recv_buffer_size(&self.socket, bytes)?)
    }

    /// Asks the poller to look at the socket again, so that what is left unread gives an event.
    pub fn look_again(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.reregister(&mut self.socket, token, Interest::READABLE | Interest::WRITABLE)
    }
}

/// Writes behind what waits.
fn send(socket: &mut TcpStream, unsent: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
    let written = if unsent.is_empty() { write_some(socket, bytes)? } else { 0 };
    unsent.extend_from_slice(&bytes[written..]);
    Ok(())
}

/// Writes until the kernel takes no more; how much it took.
fn write_some(socket: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match socket.write(&bytes[written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => written += taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::thread;
    use std::time::Instant;

    use mio::{Events, Poll};
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::*;

    /// A key and its certificate.
    fn identity() -> (PrivateKeyDer<'static>, CertificateDer<'static>) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        (PrivatePkcs8KeyDer::from(signing_key.serialize_der()).into(), cert.der().clone())
    }

    /// One connection of a server that sends back what comes, in pieces that no record or read begins or ends with.
    fn echo(key: PrivateKeyDer<'static>, certificate: CertificateDer<'static>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("an identity");
        thread::spawn(move || {
            let (socket, _) = listener.accept().expect("a client");
            let session = ServerConnection::new(Arc::new(config)).expect("a session");
            let mut stream = StreamOwned::new(session, socket);
            let mut bytes = [0; 7_001];
            while let Ok(read @ 1..) = stream.read(&mut bytes) {
                if stream.write_all(&bytes[..read]).is_err() {
                    return;
                }
            }
        });
        address
    }

    /// Writes all of it, and reads until as much has come back.
    fn round_trip(address: SocketAddr, tls: &Tls, sent: &[u8]) -> io::Result<Vec<u8>> {
        let mut poll = Poll::new()?;
        let mut events = Events::with_capacity(8);
        let mut room = Room::default();
        let mut stream = Stream::connect(address, poll.registry(), Token(0), Some(tls))?;
        let mut heard = Vec::new();
        let mut has_begun = false;
        let began = Instant::now();
        while heard.len() < sent.len() {
            assert!(began.elapsed() < Duration::from_secs(20), "{} of {} bytes came", heard.len(), sent.len());
            poll.poll(&mut events, Some(Duration::from_millis(100)))?;
            if !has_begun && events.iter().any(|event| event.is_writable()) {
                has_begun = true;
                stream.begin()?;
                stream.write(sent)?;
            }
            stream.flush()?;
            while let Arrival::Bytes { bytes, .. } = stream.read(&mut room)? {
                heard.extend_from_slice(bytes);
            }
        }
        Ok(heard)
    }

    #[test]
    fn what_is_written_comes_back_over_tls() {
        let (key, certificate) = identity();
        let tls = Tls::pinned(certificate.clone()).expect("a client");
        let sent: Vec<u8> = (0..1_000_003u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let heard = round_trip(echo(key, certificate), &tls, &sent).expect("an echo");
        assert!(heard == sent, "other bytes came back");
    }

    #[test]
    fn another_certificate_is_refused() {
        let (key, certificate) = identity();
        let tls = Tls::pinned(identity().1).expect("a client");
        let error = round_trip(echo(key, certificate), &tls, b"secret").expect_err("a stranger");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    }
}
