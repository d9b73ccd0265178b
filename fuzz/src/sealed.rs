//! A session of TLS that has shaken hands, and its client's keys, which seal whatever an input says.

use std::sync::{Arc, LazyLock};

use rustls::client::UnbufferedClientConnection;
use rustls::crypto::cipher::{MessageEncrypter, OutboundChunks, OutboundPlainMessage};
use rustls::crypto::ring;
use rustls::unbuffered::ConnectionState;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ConnectionTrafficSecrets, ContentType, ProtocolVersion, RootCertStore, SupportedCipherSuite,
};
use tidewire::tls::{Credentials, Identity, Outgoing, Session};

/// Steps of a client in a handshake, at most.
const STEPS: usize = 100;

/// One certificate for all inputs, and who trusts it: with TLS 1.2, and with 1.3.
static PARTIES: LazyLock<(Identity, [Arc<ClientConfig>; 2])> = LazyLock::new(|| {
    let issued = rcgen::generate_simple_self_signed(["example.org".to_owned()]).expect("a certificate");
    let (cert, key) = (issued.cert.pem(), issued.signing_key.serialize_pem());
    let identity = Identity::new(&Credentials {
        cert: cert.as_bytes(),
        key: key.as_bytes(),
        passphrase: None,
        ca: None,
        // Of these, both versions make their keys of the same things.
        ciphers: Some("CHACHA20:TLS_CHACHA20_POLY1305_SHA256"),
    });
    let configs = [&TLS12, &TLS13].map(|version| {
        let mut roots = RootCertStore::empty();
        roots.add(issued.cert.der().clone()).expect("a root");
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.enable_secret_extraction = true;
        Arc::new(config)
    });
    (identity.expect("an identity"), configs)
});

/// A session that waits for its ClientHello.
pub fn session() -> Session {
    Session::new(PARTIES.0.config()).expect("a session")
}

/// The keys of a client.
pub struct Client {
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Client {
    /// Shakes hands, with TLS 1.3 or 1.2.
    ///
    /// # Panics
    ///
    /// If the handshake fails.
    pub fn meet(is_new: bool) -> (Session, Self) {
        let config = PARTIES.1[usize::from(is_new)].clone();
        let name = "example.org".try_into().expect("a server name");
        let mut client = UnbufferedClientConnection::new(config, name).expect("a client");
        let mut session = session();
        let (mut incoming, mut sent, mut out) = (Vec::new(), Vec::new(), Outgoing::default());
        for _ in 0..STEPS {
            let status = client.process_tls_records(&mut incoming);
            let discard = status.discard;
            let is_idle = match status.state.expect("a good server") {
                ConnectionState::EncodeTlsData(mut data) => {
                    let mut room = [0; 4096];
                    let length = data.encode(&mut room).expect("room");
                    sent.extend_from_slice(&room[..length]);
                    false
                }
                ConnectionState::TransmitTlsData(data) => {
                    data.done();
                    false
                }
                _ => true,
            };
            incoming.drain(..discard);
            if is_idle {
                if sent.is_empty() && !session.is_shaking_hands() {
                    break;
                }
                out.clear();
                let mut came = [session.cut(), &sent].concat();
                session.open(&mut came, &mut Vec::new(), &mut out).expect("a good client");
                sent.clear();
                incoming.extend_from_slice(out.filled());
            }
        }
        let suite = client.negotiated_cipher_suite().expect("a suite");
        let (sequence, secrets) = client.dangerous_into_kernel_connection().expect("secrets").0.tx;
        let ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } = secrets else { panic!("another suite") };
        let encrypter = match suite {
            SupportedCipherSuite::Tls12(suite) => suite.aead_alg.encrypter(key, iv.as_ref(), &[]),
            SupportedCipherSuite::Tls13(suite) => suite.aead_alg.encrypter(key, iv),
        };
        (session, Self { encrypter, sequence })
    }

    /// A record with this content, of any type.
    ///
    /// # Panics
    ///
    /// If it is too long to be one.
    pub fn record(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        let payload = OutboundChunks::Single(content);
        let message = OutboundPlainMessage { typ: ContentType::from(kind), version: ProtocolVersion::TLSv1_2, payload };
        let record = self.encrypter.encrypt(message, self.sequence).expect("a record");
        self.sequence += 1;
        record.encode()
    }
}
