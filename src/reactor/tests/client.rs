//! A client of TLS over a scripted socket: rustls's own, in memory.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Arc, OnceLock};

use rustls::client::{ClientConnection, Resumption};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use super::*;
use crate::tls::{Credentials, Identity, Scratch, Session, Wire};

pub use rustls::version::{TLS12, TLS13};

/// Both versions that are served.
pub const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A client whose handshake is done.
pub struct Client {
    pub connection: ClientConnection,
    pub peer: Peer,
}

/// Both ends of a wire in memory.
#[derive(Default)]
pub struct Memory {
    to_server: Vec<u8>,
    to_client: Vec<u8>,
}

impl Wire for Memory {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.to_server.len());
        buffer[..count].copy_from_slice(&self.to_server[..count]);
        self.to_server.drain(..count);
        if count == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to_client.extend_from_slice(bytes);
        Ok(bytes.len())
    }
}

/// A certificate for localhost, made once, and who trusts it.
fn identity() -> &'static (Identity, Arc<RootCertStore>) {
    static IDENTITY: OnceLock<(Identity, Arc<RootCertStore>)> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let credentials =
            Credentials { cert: cert.as_bytes(), key: key.as_bytes(), passphrase: None, ca: None, ciphers: None };
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        (Identity::new(&credentials).unwrap(), Arc::new(roots))
    })
}

/// Whom a client trusts.
pub fn roots() -> Arc<RootCertStore> {
    identity().1.clone()
}

/// A session that waits for its ClientHello.
pub fn session() -> Box<Session> {
    Box::new(Session::new(identity().0.config()).unwrap())
}

/// A client that has said nothing yet.
pub fn connecting(
    version: &'static SupportedProtocolVersion,
    change: impl FnOnce(&mut ClientConfig),
) -> ClientConnection {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots())
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    change(&mut config);
    let mut client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    client.set_buffer_limit(None);
    client
}

/// Both ends of a session whose handshake is done.
pub fn shake(mut client: ClientConnection) -> (Box<Session>, ClientConnection) {
    let mut session = session();
    let (mut wire, mut scratch) = (Memory::default(), Scratch::default());
    let mut buffer = vec![0; crate::limits::READ_BUFFER_BYTES];
    for _ in 0..10 {
        wire.to_server.extend(output(&mut client));
        match session.receive(&mut wire, &mut buffer, &mut scratch) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            outcome => _ = outcome.unwrap(),
        }
        let mut said = &std::mem::take(&mut wire.to_client)[..];
        if said.is_empty() && !client.is_handshaking() && !session.is_shaking_hands() {
            assert!(scratch.plaintext.is_empty() && session.cut().is_empty());
            return (session, client);
        }
        while !said.is_empty() {
            client.read_tls(&mut said).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    panic!("the handshake does not end");
}

/// What a client has to send.
fn output(client: &mut ClientConnection) -> Vec<u8> {
    let mut out = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut out).unwrap();
    }
    out
}

impl Client {
    /// The records of some plaintext.
    pub fn sealed(&mut self, plaintext: &[u8]) -> Vec<u8> {
        self.connection.writer().write_all(plaintext).unwrap();
        output(&mut self.connection)
    }

    /// Says plaintext.
    pub fn says(&mut self, plaintext: &[u8]) {
        let records = self.sealed(plaintext);
        self.peer.says(&records);
    }

    /// The record of close_notify.
    pub fn sealed_end(&mut self) -> Vec<u8> {
        self.connection.send_close_notify();
        output(&mut self.connection)
    }

    /// Opens what the server has written. An error is what a real client would say of it.
    pub fn opens(&mut self) -> Result<Vec<u8>, rustls::Error> {
        let taken = self.peer.take();
        let mut records = &taken[..];
        let mut plaintext = Vec::new();
        while !records.is_empty() && !self.is_told_the_end() {
            self.connection.read_tls(&mut records).unwrap();
            self.connection.process_new_packets()?;
            match self.connection.reader().read_to_end(&mut plaintext) {
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        assert!(records.is_empty(), "nothing follows close_notify");
        Ok(plaintext)
    }

    /// The frames among it.
    pub fn hears(&mut self) -> Vec<Frame> {
        frames::decode(&self.opens().unwrap())
    }

    /// Whether the server has said close_notify.
    pub fn is_told_the_end(&mut self) -> bool {
        self.connection.process_new_packets().is_ok_and(|state| state.peer_has_closed())
    }
}

impl<const SHORT_READ_DRAINS: bool> Rig<SHORT_READ_DRAINS> {
    /// Hands a secure connection over, as the gate does, and runs.
    pub fn adopt_secure(&mut self, route: &Arc<Route>, version: &'static SupportedProtocolVersion) -> Client {
        let (session, client) = shake(connecting(version, |_| {}));
        self.adopt_session(route, session, client, b"")
    }

    /// The same with a session that may have gone on.
    pub fn adopt_session(
        &mut self,
        route: &Arc<Route>,
        session: Box<Session>,
        connection: ClientConnection,
        early: &[u8],
    ) -> Client {
        let (socket, peer) = super::connection();
        self.hand_over(Transport { socket, session: Some(session), early: early.to_vec() }, route);
        Client { connection, peer }
    }

    /// Hands a secure connection over, and takes the Open event.
    pub fn open_secure(
        &mut self,
        route: &Arc<Route>,
        version: &'static SupportedProtocolVersion,
    ) -> (Client, ConnectionId) {
        let client = self.adopt_secure(route, version);
        let events = self.js.drain();
        let [Event { kind: EventKind::Open, connection, .. }] = &events[..] else { panic!("{events:?}") };
        (client, *connection)
    }

    /// The session of a connection.
    pub fn session(&mut self, connection: ConnectionId) -> &mut Session {
        self.reactor.slab.session(connection.index).unwrap()
    }

    /// An open secure connection that nothing hangs off but its keys.
    pub fn assert_idle_secure(&mut self, connection: ConnectionId) {
        self.assert_idle(connection);
        let session = self.session(connection);
        assert!(session.cut().is_empty() && !session.is_unsent() && session.fault().is_none());
    }
}
