//! A client that has shaken hands well, and then seals what no client of rustls's would.

use rustls::crypto::cipher::{MessageEncrypter, OutboundChunks, OutboundPlainMessage};
use rustls::{ConnectionTrafficSecrets, ContentType, ProtocolVersion, SupportedCipherSuite};

use super::*;

/// The client's keys.
pub(super) struct Forger {
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Forger {
    /// A session, and who forges records for it.
    pub(super) fn meet(version: &'static SupportedProtocolVersion) -> (Pair, Self) {
        let issued = Issued::new("example.org");
        let mut config = trusting(&[&issued], &[version]);
        config.enable_secret_extraction = true;
        let config = Arc::new(config);
        // Of this one, both versions make their keys of the same things.
        let ciphers = Some("ECDHE-ECDSA-CHACHA20-POLY1305:TLS_CHACHA20_POLY1305_SHA256");
        let identity = Identity::new(&Credentials { ciphers, ..issued.credentials() }).expect("an identity");
        let mut pair = Pair::new(&config, "example.org", &identity);
        pair.shake().expect("a handshake");
        let name = "example.org".try_into().expect("a server name");
        let other = ClientConnection::new(config, name).expect("a client");
        let client = std::mem::replace(&mut pair.client, other);
        let suite = client.negotiated_cipher_suite().expect("a suite");
        let (sequence, secrets) = client.dangerous_extract_secrets().expect("secrets").tx;
        let ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } = secrets else { panic!("another suite") };
        let encrypter = match suite {
            SupportedCipherSuite::Tls12(suite) => suite.aead_alg.encrypter(key, iv.as_ref(), &[]),
            SupportedCipherSuite::Tls13(suite) => suite.aead_alg.encrypter(key, iv),
        };
        (pair, Self { encrypter, sequence })
    }

    /// A record with this content.
    pub(super) fn record(&mut self, typ: ContentType, content: &[u8]) -> Vec<u8> {
        let payload = OutboundChunks::Single(content);
        let message = OutboundPlainMessage { typ, version: ProtocolVersion::TLSv1_2, payload };
        let record = self.encrypter.encrypt(message, self.sequence).expect("a record");
        self.sequence += 1;
        record.encode()
    }
}
