//! Who is turned away, what it is told, and whom a connection counts for.

use super::super::{AddressBounds, Bounds, Trusted, TurnedAway};
use super::client::Issued;
use super::*;

const GET: &[u8] = b"GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn address(connections: u32, per_minute: u32, trusted: &[&str]) -> Bounds {
    let names: Vec<String> = trusted.iter().map(ToString::to_string).collect();
    let trusted = Trusted::parse(&names).unwrap();
    Bounds { address: AddressBounds { connections, per_minute }, trusted, ..Bounds::default() }
}

/// A head of the PROXY protocol for a client of IPv4.
fn proxied(last: u8) -> Vec<u8> {
    let addresses = [203, 0, 113, last, 10, 0, 0, 1, 0x12, 0x67, 0, 80];
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c"[..], &addresses].concat()
}

/// A client with its first answer.
fn said(site: &Site, request: impl AsRef<[u8]>) -> (TcpStream, String) {
    let mut client = site.connect();
    client.write_all(request.as_ref()).unwrap();
    let answer = answer(&mut client);
    (client, answer)
}

#[test]
fn beyond_the_bound_clients_are_told_and_the_next_one_finds_the_room_of_one_that_went() {
    let site = crowded_site(2, Bounds::default(), None);
    let (mut web, first) = said(&site, opening("/chat", ""));
    let (_http, second) = said(&site, GET);
    assert!(first.starts_with("HTTP/1.1 101 ") && second.starts_with("HTTP/1.1 404 "));
    let adoption = site.adopted(0);
    for request in [opening("/chat", "").as_bytes(), GET] {
        let refusal = site.answer_and_end(request);
        assert!(refusal.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{refusal}");
        assert!(refusal.contains("\r\nretry-after: 10\r\n") && refusal.contains("\r\nconnection: close\r\n"));
        assert!(refusal.ends_with("\r\n\r\nthe server has as many connections as it takes"), "{refusal}");
    }
    let counts = site.gate.counts();
    assert_eq!(counts.turned_away, TurnedAway { app: 2, ..TurnedAway::default() });
    assert_eq!((counts.accepted, counts.refused.get(&503)), (2, None));
    drop(adoption);
    assert_eq!(web.read(&mut [0]).unwrap(), 0);
    assert!(said(&site, opening("/chat", "")).1.starts_with("HTTP/1.1 101 "));
    site.gate.stop();
}

#[test]
fn who_has_not_sent_all_yet_can_read_why_it_is_turned_away() {
    let site = crowded_site(0, Bounds::default(), None);
    let mut late = site.connect();
    let mut dripping = site.connect();
    dripping.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n").unwrap();
    site.when(|counts| counts.turned_away.app == 2);
    late.write_all(GET).unwrap();
    dripping.write_all(&[b'x'; 60_000]).unwrap();
    for client in [&mut late, &mut dripping] {
        let mut all = String::new();
        client.read_to_string(&mut all).unwrap();
        assert!(all.starts_with("HTTP/1.1 503 "), "{all}");
    }
    // Those who wait for nothing are not waited for, however many they are.
    let silent: Vec<TcpStream> = (0..200).map(|_| site.connect()).collect();
    site.when(|counts| counts.turned_away.app == 202);
    let mut last = site.connect();
    last.write_all(GET).unwrap();
    assert!(answer(&mut last).starts_with("HTTP/1.1 503 "));
    drop(silent);
    site.gate.stop();
}

#[test]
fn with_tls_the_connection_is_closed_before_a_handshake() {
    let issued = Issued::new("localhost");
    let site = crowded_site(0, Bounds::default(), Some(Security::new(issued.identity())));
    let mut client = site.connect();
    client.write_all(b"\x16\x03\x01").unwrap();
    assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
    let counts = site.when(|counts| counts.turned_away.app == 1);
    assert_eq!((counts.accepted, counts.tls.handshakes, counts.tls.failed.len()), (0, 0, 0));
    site.gate.stop();
}

#[test]
#[cfg(target_os = "linux")]
fn an_address_has_so_many_whatever_they_are_and_another_has_its_own() {
    use std::net::{IpAddr, SocketAddr};

    use socket2::{Domain, Socket, Type};

    let site = bounded_site(address(2, 0, &[]));
    // All of 127.0.0.0/8 is this machine's.
    let from = |source: [u8; 4]| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(IpAddr::from(source), 0).into()).unwrap();
        socket.connect(&site.address.into()).unwrap();
        let mut client = TcpStream::from(socket);
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(opening("/chat", "").as_bytes()).unwrap();
        let first = answer(&mut client);
        (client, first)
    };
    let kept = [from([127, 0, 0, 1]), from([127, 0, 0, 1]), from([127, 0, 0, 2])];
    assert!(kept.iter().all(|(_, answer)| answer.starts_with("HTTP/1.1 101 ")));
    let (mut refused, refusal) = from([127, 0, 0, 1]);
    assert!(refusal.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{refusal}");
    assert!(refusal.contains("\r\nretry-after: 10\r\n"));
    assert_eq!(refused.read(&mut [0]).unwrap(), 0);
    assert_eq!(site.gate.counts().turned_away, TurnedAway { address: 1, ..TurnedAway::default() });
    // One that goes makes room, once its side is closed here.
    drop(site.adopted(0));
    assert!(from([127, 0, 0, 1]).1.starts_with("HTTP/1.1 101 "));
    site.gate.stop();
}

#[test]
fn an_address_makes_so_many_in_a_minute_whether_they_stay_or_not() {
    let site = bounded_site(address(0, 3, &[]));
    for _ in 0..3 {
        assert!(said(&site, GET).1.starts_with("HTTP/1.1 404 "));
    }
    let refusal = site.answer_and_end(GET);
    assert!(refusal.starts_with("HTTP/1.1 429 "), "{refusal}");
    let wait = refusal.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
    assert!((1..=20).contains(&wait.parse::<u32>().unwrap()), "{refusal}");
    assert_eq!(site.gate.counts().turned_away, TurnedAway { rate: 1, ..TurnedAway::default() });
    site.gate.stop();
}

#[test]
fn a_proxys_word_counts_only_if_it_is_trusted() {
    let from = |last: u8, more: &str| [proxied(last), opening("/chat", more).into_bytes()].concat();
    let forwarded = |client: &str| opening("/chat", &format!("X-Forwarded-For: 6.6.6.6, {client}\r\n")).into_bytes();
    for (trusted, expected) in
        [(&["127.0.0.0/8"][..], [101, 101, 429, 101, 429, 429]), (&["10.0.0.0/8"], [101, 429, 429, 429, 429, 429])]
    {
        let site = bounded_site(address(1, 0, trusted));
        let mut kept = Vec::new();
        for (request, expected) in [
            from(1, ""),
            from(2, ""),
            from(1, "X-Forwarded-For: 9.9.9.9\r\n"),
            forwarded("1.2.3.4"),
            forwarded("1.2.3.4"),
            forwarded("::ffff:203.0.113.2"),
        ]
        .into_iter()
        .zip(expected)
        {
            let (client, answer) = said(&site, request);
            assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{trusted:?} {answer}");
            kept.push(client);
        }
        let turned_away = expected.iter().filter(|&&status| status == 429).count() as u64;
        assert_eq!(site.gate.counts().turned_away.address, turned_away);
        site.gate.stop();
    }
}

#[test]
fn a_trusted_proxy_that_names_nobody_is_not_counted() {
    let site = bounded_site(address(1, 1, &["127.0.0.1"]));
    let clients: Vec<_> = (0..4).map(|_| said(&site, opening("/chat", ""))).collect();
    assert!(clients.iter().all(|(_, answer)| answer.starts_with("HTTP/1.1 101 ")));
    site.gate.stop();
}

/// Who is named by what is no address is somebody, and would be bounded by nothing if that counted for nobody.
#[test]
fn whom_a_trusted_proxy_names_without_an_address_counts_for_the_proxy() {
    let site = bounded_site(address(1, 0, &["127.0.0.1"]));
    let from = |client: &str| said(&site, opening("/chat", &format!("X-Forwarded-For: {client}\r\n")));
    let kept = [from("unknown"), from("6.6.6.6, 1.2.3.4"), from("")];
    assert!(kept.iter().all(|(_, answer)| answer.starts_with("HTTP/1.1 101 ")));
    for client in ["unknown", "1.2.3.4, _hidden", "127.0.0.1"] {
        assert!(from(client).1.starts_with("HTTP/1.1 429 "), "{client}");
    }
    assert_eq!(site.gate.counts().turned_away, TurnedAway { address: 3, ..TurnedAway::default() });
    site.gate.stop();
}

#[test]
fn a_connection_that_a_proxy_keeps_counts_for_the_client_of_its_latest_request() {
    let site = bounded_site(address(1, 0, &["127.0.0.1"]));
    let get = |client: &str| format!("GET /none HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n");
    let (mut kept, first) = said(&site, get("1.1.1.1"));
    assert!(first.starts_with("HTTP/1.1 404 "));
    for _ in 0..2 {
        kept.write_all(get("2.2.2.2").as_bytes()).unwrap();
        assert!(answer(&mut kept).starts_with("HTTP/1.1 404 "));
    }
    assert!(said(&site, get("1.1.1.1")).1.starts_with("HTTP/1.1 404 "), "it has left that");
    let (mut refused, refusal) = said(&site, get("2.2.2.2"));
    assert!(refusal.starts_with("HTTP/1.1 429 ") && refusal.contains("\r\nretry-after: 10\r\n"), "{refusal}");
    assert_eq!(refused.read(&mut [0]).unwrap(), 0);
    let counts = site.gate.counts();
    assert_eq!((counts.turned_away.address, counts.refused[&429]), (1, 1));
    site.gate.stop();
}

#[test]
fn behind_a_proxy_of_tls_a_client_is_counted_before_its_handshake() {
    let issued = Issued::new("localhost");
    let site = built_site(address(1, 0, &["127.0.0.1"]), Some(Security::new(issued.identity())));
    let hello = || {
        let mut tls = client::connection(&issued.trusted(&client::TLS13, None), "localhost");
        let mut stream = site.connect();
        stream.write_all(&[proxied(1), client::said(&mut tls)].concat()).unwrap();
        stream
    };
    let mut first = hello();
    assert_eq!(first.read(&mut [0]).unwrap(), 1, "the handshake goes on");
    assert_eq!(hello().read(&mut [0]).unwrap_or(0), 0);
    site.when(|counts| counts.turned_away.address == 1);
    drop(first);
    site.when(|counts| counts.handshakes == 0);
    assert_eq!(hello().read(&mut [0]).unwrap(), 1);
    site.gate.stop();
}

#[test]
fn a_child_that_would_turn_it_away_is_passed_by() {
    let acceptor = site();
    let crowded = crowded_site(0, Bounds::default(), None);
    let free = site();
    for child in [&crowded, &free] {
        let descriptor = super::super::Descriptor::issue();
        child.gate.offer(descriptor);
        assert!(acceptor.children.add(descriptor));
    }
    for _ in 0..4 {
        assert!(said(&acceptor, opening("/chat", "")).1.starts_with("HTTP/1.1 101 "));
    }
    free.gate.withdraw();
    assert!(acceptor.answer_and_end(GET).starts_with("HTTP/1.1 503 "), "no other is there");
    assert_eq!(crowded.gate.counts().turned_away.app, 1);
    for site in [acceptor, crowded, free] {
        site.gate.stop();
    }
}
