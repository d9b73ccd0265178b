//! Handshakes, and how they fail.

use super::*;

/// The fault of a session, and the alert that its client has got.
fn failure(pair: &mut Pair) -> (Fault, Option<rustls::AlertDescription>) {
    let fault = pair.shake().expect_err("a fault");
    let alert = match pair.client_reads() {
        Err(rustls::Error::AlertReceived(alert)) => Some(alert),
        _ => None,
    };
    (fault, alert)
}

#[test]
fn client_certificates_are_asked_for_and_seen() {
    let issued = Issued::new("example.org");
    let (known, unknown) = (Authority::new("known"), Authority::new("unknown"));
    let ca = known.cert();
    let asking = Identity::new(&Credentials { ca: Some(ca.as_bytes()), ..issued.credentials() }).expect("an identity");
    let client = known.issue("client");
    for version in VERSIONS {
        let mut pair = Pair::new(&Arc::new(config(&[&issued], &[version], Some(&client))), "example.org", &asking);
        pair.shake().expect("a handshake");
        assert_eq!(pair.session.client_certificate(), Some(&certificate(&client.cert)), "{version:?}");

        let mut pair = Pair::new(&Arc::new(trusting(&[&issued], &[version])), "example.org", &asking);
        pair.shake().expect("a handshake");
        assert_eq!(pair.session.client_certificate(), None, "{version:?}: it has none");

        let with_one = Arc::new(config(&[&issued], &[version], Some(&client)));
        let mut pair = Pair::new(&with_one, "example.org", &issued.identity());
        pair.shake().expect("a handshake");
        assert_eq!(pair.session.client_certificate(), None, "{version:?}: it is not asked");

        let stranger = unknown.issue("client");
        let mut pair = Pair::new(&Arc::new(config(&[&issued], &[version], Some(&stranger))), "example.org", &asking);
        let (fault, alert) = failure(&mut pair);
        assert_eq!(fault, Fault::ClientCertificate, "{version:?}");
        assert_eq!(alert, Some(rustls::AlertDescription::UnknownCA), "{version:?}");
    }
}

#[test]
fn a_client_that_does_not_trust_the_server_ends_with_an_alert() {
    let (issued, other) = (Issued::new("example.org"), Issued::new("example.org"));
    for version in VERSIONS {
        let mut pair = Pair::new(&Arc::new(trusting(&[&other], &[version])), "example.org", &issued.identity());
        assert_eq!(pair.shake(), Err(Fault::Alert), "{version:?}");
        let mut pair = Pair::new(&Arc::new(trusting(&[&issued], &[version])), "example.com", &issued.identity());
        assert_eq!(pair.shake(), Err(Fault::Alert), "{version:?}: another name");
    }
}

#[test]
fn nothing_in_common_is_told() {
    let issued = Issued::new("example.org");
    let only =
        |ciphers| Identity::new(&Credentials { ciphers: Some(ciphers), ..issued.credentials() }).expect("an identity");
    let cases = [
        // The certificate is of ECDSA.
        (only("ECDHE-RSA-AES128-GCM-SHA256"), &TLS12, Fault::Incompatible, rustls::AlertDescription::HandshakeFailure),
        (only("TLS_AES_128_GCM_SHA256"), &TLS12, Fault::Version, rustls::AlertDescription::ProtocolVersion),
    ];
    for (identity, version, expected, alert) in cases {
        let mut pair = Pair::new(&Arc::new(trusting(&[&issued], &[version])), "example.org", &identity);
        assert_eq!(failure(&mut pair), (expected, Some(alert)));
    }
    let mut speaks_http_2 = trusting(&[&issued], &VERSIONS);
    speaks_http_2.alpn_protocols = vec![b"h2".to_vec()];
    let mut pair = Pair::new(&Arc::new(speaks_http_2.clone()), "example.org", &issued.identity());
    assert_eq!(failure(&mut pair), (Fault::Incompatible, Some(rustls::AlertDescription::NoApplicationProtocol)));
    speaks_http_2.alpn_protocols.push(b"http/1.1".to_vec());
    let mut pair = Pair::new(&Arc::new(speaks_http_2), "example.org", &issued.identity());
    pair.shake().expect("a handshake");
    assert_eq!(pair.client.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[test]
fn ciphers_decide_what_is_spoken() {
    let issued = Issued::new("example.org");
    let cases = [
        (
            "ECDHE-ECDSA-CHACHA20-POLY1305:TLS_AES_256_GCM_SHA384",
            &TLS12,
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        ),
        ("ECDHE-ECDSA-CHACHA20-POLY1305:TLS_AES_256_GCM_SHA384", &TLS13, "TLS13_AES_256_GCM_SHA384"),
        ("TLS_CHACHA20_POLY1305_SHA256", &TLS13, "TLS13_CHACHA20_POLY1305_SHA256"),
    ];
    for (ciphers, version, name) in cases {
        let identity =
            Identity::new(&Credentials { ciphers: Some(ciphers), ..issued.credentials() }).expect("an identity");
        let mut pair = Pair::new(&Arc::new(trusting(&[&issued], &[version])), "example.org", &identity);
        pair.shake().expect("a handshake");
        let suite = pair.client.negotiated_cipher_suite().expect("a suite");
        assert_eq!(suite.suite().as_str(), Some(name));
    }
}

#[test]
fn a_handshake_goes_on_byte_by_byte() {
    let issued = Issued::new("example.org");
    for version in VERSIONS {
        let mut pair = Pair::new(&Arc::new(trusting(&[&issued], &[version])), "example.org", &issued.identity());
        pair.wire.read = 1;
        pair.shake().expect("a handshake");
        assert!(pair.session.cut().is_empty());
        assert!(!pair.client.is_handshaking(), "{version:?}");
    }
}

/// A host that takes nothing for a while: the session keeps its flight, and says it before all else.
#[test]
fn a_handshake_waits_for_the_host() {
    let issued = Issued::new("example.org");
    for version in VERSIONS {
        let mut pair = Pair::new(&Arc::new(trusting(&[&issued], &[version])), "example.org", &issued.identity());
        pair.wire.room = [1, 0, 3, 0, 0, 100, 0, 7, 0].into();
        for _ in 0..ROUNDS {
            pair.client_writes();
            pair.session_reads().expect("no fault");
            let _ = pair.session.flush(&mut pair.wire);
            pair.client_reads().expect("no alert");
        }
        assert!(!pair.client.is_handshaking() && !pair.session.is_shaking_hands(), "{version:?}");
        assert!(!pair.session.is_unsent());
    }
}

#[test]
fn what_comes_with_the_last_flight_is_received() {
    let issued = Issued::new("example.org");
    for version in VERSIONS {
        let mut pair = Pair::new(&Arc::new(trusting(&[&issued], &[version])), "example.org", &issued.identity());
        // It is sealed as soon as the client has keys.
        pair.client.writer().write_all(b"early").expect("room");
        pair.shake().expect("a handshake");
        assert_eq!(pair.received(), b"early", "{version:?}");
    }
}
