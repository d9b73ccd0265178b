//! Sessions that go on after their connection has ended, and where they must not.

use super::*;

/// Shakes hands, and says whether that was a resumption; both sides must agree. A word is exchanged, since TLS
/// 1.3 sends its tickets behind the handshake.
fn resumes(config: &Arc<ClientConfig>, name: &str, identity: &Identity) -> bool {
    let mut pair = Pair::new(config, name, identity);
    pair.shake().expect("a handshake");
    pair.client_says(b"word");
    pair.exchange().expect("an exchange");
    assert_eq!(pair.received(), b"word");
    let is_resumed = pair.session.is_resumed();
    assert_eq!(pair.client.handshake_kind() == Some(rustls::HandshakeKind::Resumed), is_resumed);
    is_resumed
}

fn identity(issued: &Issued, ca: Option<&str>) -> Identity {
    Identity::new(&Credentials { ca: ca.map(str::as_bytes), ..issued.credentials() }).expect("an identity")
}

#[test]
fn a_session_is_resumed_in_both_versions() {
    let issued = Issued::new("example.org");
    for version in VERSIONS {
        let config = Arc::new(trusting(&[&issued], &[version]));
        let identity = issued.identity();
        assert!(!resumes(&config, "example.org", &identity), "{version:?}");
        for _ in 0..3 {
            assert!(resumes(&config, "example.org", &identity), "{version:?}");
        }
        assert!(!resumes(&config, "example.org", &issued.identity()), "{version:?}: another's keys");
    }
}

#[test]
fn a_certificate_that_is_replaced_keeps_the_tickets() {
    let (before, after) = (Issued::new("example.org"), Issued::new("example.org"));
    for version in VERSIONS {
        let config = Arc::new(trusting(&[&before, &after], &[version]));
        let names = Names::new(before.identity());
        names.add("example.org", before.identity());
        let named = || names.find("example.org").expect("the name").identity;
        assert!(!resumes(&config, "example.org", &named()));
        names.add("Example.org", after.identity());
        assert!(resumes(&config, "example.org", &named()), "{version:?}");
        assert!(names.remove("example.org"));
        names.add("example.org", after.identity());
        assert!(!resumes(&config, "example.org", &named()), "{version:?}: it was taken out");

        assert!(!resumes(&config, "example.org", &names.default().identity), "{version:?}: another name's");
        names.set_default(after.identity());
        assert!(resumes(&config, "example.org", &names.default().identity), "{version:?}");
    }
}

/// A session that is resumed brings the client's certificate unseen: other authorities may not know it.
#[test]
fn tickets_do_not_outlive_their_authorities() {
    let issued = Issued::new("example.org");
    let (one, other) = (Authority::new("one"), Authority::new("other"));
    let client = one.issue("client");
    let both = [one.cert(), other.cert()].concat();
    let turned = [other.cert(), one.cert(), one.cert()].concat();
    for version in VERSIONS {
        let config = Arc::new(config(&[&issued], &[version], Some(&client)));
        let names = Names::new(identity(&issued, Some(&both)));
        assert!(!resumes(&config, "example.org", &names.default().identity));
        names.set_default(identity(&issued, Some(&turned)));
        assert!(resumes(&config, "example.org", &names.default().identity), "{version:?}: the same authorities");
        names.set_default(identity(&issued, None));
        assert!(!resumes(&config, "example.org", &names.default().identity), "{version:?}: none");
        names.set_default(identity(&issued, Some(&one.cert())));
        assert!(!resumes(&config, "example.org", &names.default().identity), "{version:?}: others");
    }
}

#[test]
fn a_session_that_is_resumed_has_its_client_certificate() {
    let issued = Issued::new("example.org");
    let authority = Authority::new("authority");
    let client = authority.issue("client");
    let identity = identity(&issued, Some(&authority.cert()));
    for version in VERSIONS {
        let config = Arc::new(config(&[&issued], &[version], Some(&client)));
        assert!(!resumes(&config, "example.org", &identity));
        let mut pair = Pair::new(&config, "example.org", &identity);
        pair.shake().expect("a handshake");
        assert!(pair.session.is_resumed());
        assert_eq!(pair.session.client_certificate(), Some(&certificate(&client.cert)), "{version:?}");
    }
}

/// RFC 6066 §3: not with another name.
#[test]
fn a_session_is_not_resumed_under_another_name() {
    let issued = Issued::new("*.example.org");
    for version in VERSIONS {
        let mut trusts = trusting(&[&issued], &[version]);
        let identity = issued.identity();
        let config = Arc::new(trusts.clone());
        assert!(!resumes(&config, "a.example.org", &identity));
        assert!(resumes(&config, "a.example.org", &identity));
        // The client keeps sessions by name, so it is one without a name that tries.
        trusts.enable_sni = false;
        assert!(!resumes(&Arc::new(trusts), "a.example.org", &identity), "{version:?}");
    }
}
