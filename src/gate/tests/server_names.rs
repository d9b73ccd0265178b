//! Whose certificate and whose routes a client gets: by the server name that it asks for.

use super::client::{Client, Issued, SecureSite, TLS13, VERSIONS, connection, secure_site};
use super::javascript::Javascript;
use super::*;
use crate::bridge::{CommandKind, EventKind};
use rustls::StreamOwned;

impl SecureSite {
    /// A client that asks for a name, and trusts this certificate for it.
    fn asking(&self, name: &str, issued: &Issued) -> Client {
        StreamOwned::new(connection(&issued.trusted(&TLS13, None), name), self.connect())
    }

    /// Whether a client gets this certificate for the name.
    fn is_answered(&self, name: &str, issued: &Issued) -> bool {
        is_served(self.asking(name, issued))
    }
}

fn is_served(mut client: Client) -> bool {
    let outcome = client.write_all(opening("/none", "").as_bytes());
    outcome.is_ok() && answer(&mut client).starts_with("HTTP/1.1 404 ")
}

#[test]
fn a_name_has_its_certificate_and_an_unknown_one_the_default() {
    let site = secure_site();
    let (own, wild) = (Issued::new("own.example"), Issued::new("*.example.org"));
    site.security.set(Some("Own.Example"), own.identity());
    site.security.set(Some("*.example.org"), wild.identity());
    assert!(site.is_answered("own.example", &own));
    assert!(site.is_answered("a.example.org", &wild));
    assert!(site.is_answered("localhost", &site.issued));
    assert!(!site.is_answered("a.b.example.org", &wild));
    assert!(site.security.has("own.example") && !site.security.has("a.example.org"));
    assert!(site.security.remove("own.example") && !site.security.remove("own.example"));
    assert!(!site.is_answered("own.example", &own));
    // Two clients do not trust what they got.
    let counts = site.when(|counts| counts.tls.failed.values().sum::<u64>() == 2);
    assert_eq!((counts.tls.handshakes, counts.tls.failed), (3, [("alert", 2)].into()));
}

#[test]
fn a_name_with_routes_of_its_own_has_these_alone() {
    let site = secure_site();
    let own = Issued::new("own.example");
    site.security.set(Some("own.example"), own.identity());
    let opened = |path: &str| {
        let mut client = site.asking("own.example", &own);
        client.write_all(opening(path, "").as_bytes()).unwrap();
        answer(&mut client).starts_with("HTTP/1.1 101 ")
    };
    assert!(opened("/chat"));
    site.security.routes("OWN.example.").set_websocket("/own", Some(route(9))).unwrap();
    assert!(opened("/own") && !opened("/chat"));
    assert_eq!([site.adopted(0), site.adopted(1)].map(|adoption| adoption.route.id), [RouteId(1), RouteId(9)]);
    site.security.routes("own.example").set_websocket("/own", None).unwrap();
    assert!(opened("/chat"));
    site.security.routes("own.example").set_websocket("/own", Some(route(9))).unwrap();
    // With its name a domain loses its routes.
    site.security.remove("own.example");
    site.security.set(Some("own.example"), own.identity());
    assert!(opened("/chat") && !opened("/own"));
}

#[test]
fn javascript_is_asked_for_a_name_that_is_missing_and_may_add_it() {
    let site = secure_site();
    let (own, late) = (Issued::new("own.example"), Issued::new("late.example"));
    site.security.set(Some("own.example"), own.identity());
    site.security.ask(true);
    let mut javascript = Javascript::of(&site);
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let client = site.asking("late.example", &late);
            std::thread::spawn(|| is_served(client))
        })
        .collect();
    let asked: Vec<_> = (0..3).map(|_| javascript.expect(EventKind::ServerName)).collect();
    assert!(asked.iter().all(|event| event.payload == b"late.example"));
    // Others do not wait for the answer.
    assert!(site.is_answered("own.example", &own));
    site.security.set(Some("late.example"), late.identity());
    for event in &asked {
        javascript.tell(&[(CommandKind::ServerNameLooked, 0, event.place, b"")]);
    }
    assert!(clients.into_iter().all(|client| client.join().unwrap()));
}

#[test]
fn a_name_that_stays_missing_gets_the_default() {
    let site = secure_site();
    site.security.ask(true);
    let mut javascript = Javascript::of(&site);
    let client = site.asking("localhost", &site.issued);
    let client = std::thread::spawn(|| is_served(client));
    let asked = javascript.expect(EventKind::ServerName);
    assert_eq!(asked.payload, b"localhost");
    // Another one, which gives up before JavaScript answers; nobody hears of that.
    let mut gone = site.connect();
    let mut hello = connection(&site.issued.trusted(&TLS13, None), "gone.example");
    gone.write_all(&client::said(&mut hello)).unwrap();
    let other = javascript.expect(EventKind::ServerName);
    assert_ne!(other.place, asked.place);
    drop(gone);
    site.when(|counts| counts.tls.failed.get("closed") == Some(&1));
    for event in [&other, &asked] {
        javascript.tell(&[(CommandKind::ServerNameLooked, 0, event.place, b"")]);
    }
    assert!(client.join().unwrap());
    javascript.drain();
    assert!(javascript.events.is_empty());
    // Places that were given back are given again.
    let mut client = site.asking("again.example", &site.issued);
    client.conn.write_tls(&mut client.sock).unwrap();
    assert!(javascript.expect(EventKind::ServerName).place.index < 2);
}

#[test]
fn a_gate_ends_while_javascript_is_asked() {
    let site = secure_site();
    site.security.ask(true);
    let mut javascript = Javascript::of(&site);
    for ends in [Gate::close_connections as fn(&Gate), Gate::wind_down] {
        let mut client = site.asking("localhost", &site.issued);
        client.conn.write_tls(&mut client.sock).unwrap();
        javascript.expect(EventKind::ServerName);
        ends(&site.gate);
        assert_eq!(client.sock.read(&mut [0]).unwrap_or(0), 0);
        site.when(|counts| counts.handshakes == 0);
    }
    assert_eq!(site.gate.counts().tls, Default::default());
}

#[test]
fn certificates_change_while_clients_come() {
    let site = secure_site();
    let issued: Vec<Issued> = (0..4).map(|_| Issued::new("localhost")).collect();
    let mut all = rustls::RootCertStore::empty();
    issued.iter().chain([&site.issued]).for_each(|issued| all.add(issued.der()).unwrap());
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&VERSIONS)
        .unwrap()
        .with_root_certificates(all)
        .with_no_client_auth();
    let config = Arc::new(config);
    for turn in 0..100 {
        site.security.set(None, issued[turn % issued.len()].identity());
        let mut client = StreamOwned::new(connection(&config, "localhost"), site.connect());
        client.write_all(opening("/none", "").as_bytes()).unwrap();
        assert!(answer(&mut client).starts_with("HTTP/1.1 404 "));
    }
    let tls = site.gate.counts().tls;
    assert_eq!((tls.handshakes, tls.failed), (100, [].into()));
    assert!(tls.resumed > 0);
}
