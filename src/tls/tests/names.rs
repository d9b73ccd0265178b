//! Whose certificate a client gets.

use super::*;

/// The certificate of what is found, by the common name that the test has given it.
struct Party {
    issued: Issued,
    identity: Identity,
}

fn party(name: &str) -> Party {
    let issued = Issued::new(name);
    Party { identity: issued.identity(), issued }
}

fn is(found: Option<Found>, party: &Party, name: Option<&str>) -> bool {
    found.is_some_and(|found| {
        Arc::ptr_eq(&found.identity.config(), &party.identity.config()) && found.name.as_deref() == name
    })
}

#[test]
fn a_name_is_found_as_it_is_or_by_its_wildcard() {
    let (default, exact, wildcard) = (party("default"), party("a.example.org"), party("*.example.org"));
    let names = Names::new(default.identity.clone());
    names.add("A.Example.org", exact.identity.clone());
    names.add("*.example.ORG.", wildcard.identity.clone());
    for name in ["a.example.org", "A.EXAMPLE.ORG", "a.example.org."] {
        assert!(is(names.find(name), &exact, Some("a.example.org")), "{name}");
    }
    for name in ["b.example.org", "B.example.org", "xn--bcher-kva.example.org."] {
        assert!(is(names.find(name), &wildcard, Some("*.example.org")), "{name}");
    }
    for name in
        ["example.org", ".example.org", "a.b.example.org", "org", "", ".", "..", "example.org.example", "127.0.0.1"]
    {
        assert!(names.find(name).is_none(), "{name}");
    }
    assert!(is(Some(names.default()), &default, None));
}

#[test]
fn names_come_and_go() {
    let (default, one, other) = (party("default"), party("one"), party("other"));
    let names = Names::new(default.identity.clone());
    let same = names.clone();
    assert!(!names.has("example.org") && !names.remove("example.org"));
    names.add("example.org", one.identity.clone());
    assert!(same.has("EXAMPLE.org.") && is(same.find("example.org"), &one, Some("example.org")));
    names.add("example.org", other.identity);
    let found = same.find("example.org").expect("the other");
    assert!(!Arc::ptr_eq(&found.identity.config(), &one.identity.config()));
    assert!(same.remove("Example.org") && !names.has("example.org") && names.find("example.org").is_none());
}

/// What a ClientHello asks for, and that the session gives the certificate that was found.
#[test]
fn a_client_is_given_what_it_asks_for() {
    let (default, named) = (party("default.example"), party("named.example"));
    let names = Names::new(default.identity.clone());
    names.add("named.example", named.identity.clone());
    let trusts = Arc::new(trusting(&[&default.issued, &named.issued], &VERSIONS));
    let mut silent = ClientConfig::clone(&trusts);
    silent.enable_sni = false;
    let silent = Arc::new(silent);
    let cases = [
        (&trusts, "named.example", Some("named.example"), &named, true),
        (&trusts, "NAMED.example.", Some("named.example"), &named, true),
        (&trusts, "default.example", Some("default.example"), &default, true),
        (&trusts, "other.example", Some("other.example"), &default, false),
        (&silent, "named.example", None, &default, false),
        (&trusts, "127.0.0.1", None, &default, false),
        (&trusts, "::1", None, &default, false),
    ];
    for (config, asks, expected, party, is_trusted) in cases {
        let mut pair = Pair::new(config, asks, &default.identity);
        pair.client_writes();
        let bytes: Vec<u8> = pair.wire.incoming.drain(..).collect();
        let mut hello = Hello::default();
        let Progress::Whole { server_name } = hello.take(&bytes) else { panic!("{asks}: no hello") };
        assert_eq!(server_name.as_deref(), expected, "{asks}");
        let found = server_name.and_then(|name| names.find(&name)).unwrap_or_else(|| names.default());
        pair.session = Session::new(found.identity.config()).expect("a session");
        pair.wire.incoming.extend(hello.into_bytes());
        let outcome = pair.shake();
        let sees = pair.client.peer_certificates().map(|chain| chain[0].clone());
        assert_eq!(outcome.is_ok() && !pair.client.is_handshaking(), is_trusted, "{asks}");
        if is_trusted {
            assert_eq!(sees, Some(certificate(&party.issued.cert)), "{asks}");
        } else {
            assert_eq!(outcome, Err(Fault::Alert), "{asks}");
        }
    }
}
