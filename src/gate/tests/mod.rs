//! The gate over real sockets on loopback, with adopters that only collect.

mod admission;
mod asking;
mod budget;
pub(super) mod client;
mod closing;
mod doorstep;
mod failure;
mod handlers;
mod heads;
mod javascript;
#[cfg(feature = "loom")]
mod model;
mod passing;
mod plain;
mod room;
mod secure;
mod server_names;
mod shaking;
mod site;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Bind, Bounds, Children, Counts, Endpoint, Gate, Origins, Routes, Security, bind};
use crate::bridge::{Budget, Census, ListenerId, RouteId};
use crate::limits;
use crate::reactor::{Adopter, Adoption, Compression, Failure, Pass, Route, Visit, test_route};
use site::*;

/// Long enough for a machine that is busy with other things; nothing waits so long when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

/// The head of the next response, and its content if it has a length.
fn answer(stream: &mut impl Read) -> String {
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "the connection ended inside a head");
        answer.push(byte[0]);
    }
    let head = String::from_utf8(answer).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut content = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut content).unwrap();
    head + std::str::from_utf8(&content).unwrap()
}

/// A good opening handshake for a path, with more lines.
fn opening(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

#[test]
fn an_upgrade_is_answered_and_handed_over_with_what_came_behind_it() {
    let site = site();
    let mut client = site.connect();
    let frames: Vec<u8> = (0..=255).collect();
    let request = opening("/chat?token=1", "Sec-WebSocket-Protocol: soap, wamp\r\n");
    client.write_all(&[request.as_bytes(), &frames].concat()).unwrap();

    let head = answer(&mut client);
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    // The example of RFC 6455 §1.3.
    assert!(head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
    assert!(head.contains("sec-websocket-protocol: soap\r\n"), "{head}");
    assert!(!head.contains("content-length"), "{head}");

    let adoption = site.adopted(0);
    assert_eq!(adoption.route.id, RouteId(1));
    assert_eq!(adoption.peer, Some(client.local_addr().unwrap()));
    assert!(adoption.stream.nodelay().unwrap());

    // What follows later belongs to the reactor, and what the reactor writes reaches the client.
    client.write_all(b"later").unwrap();
    let mut stream = adoption.stream;
    assert!(early_or_waiting(adoption.early, &mut stream, frames.len() + 5).starts_with(&frames));
    stream.write_all(b"frames").unwrap();
    let mut back = [0; 6];
    client.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"frames");
    site.gate.stop();
}

/// The first bytes of the new protocol, wherever the hand-over has cut them.
fn early_or_waiting(early: Vec<u8>, stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = early;
    let waiting = length - bytes.len();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.take(waiting as u64).read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len(), length);
    bytes
}

#[test]
fn compression_is_agreed_on_where_the_route_wants_it() {
    let site = site();
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n";
    for (reactor, (path, line)) in [
        ("/chat", None),
        (
            "/compressed",
            Some(
                "sec-websocket-extensions: permessage-deflate; server_no_context_takeover; \
                 client_no_context_takeover; server_max_window_bits=10",
            ),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = site.connect();
        client.write_all(opening(path, offer).as_bytes()).unwrap();
        let head = answer(&mut client).to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 101 "));
        assert_eq!(head.lines().find(|line| line.starts_with("sec-websocket-extensions")), line);
        assert_eq!(site.adopted(reactor).agreement.is_some(), line.is_some());
    }
    let bad = opening("/chat", "Sec-WebSocket-Extensions: permessage-deflate; =10\r\n");
    assert!(site.answer_and_end(bad.as_bytes()).starts_with("HTTP/1.1 400 "));
}

#[test]
fn reactors_take_turns_and_routes_are_found() {
    let site = site();
    let clients: Vec<TcpStream> = (0..4)
        .map(|turn| {
            let mut client = site.connect();
            client.write_all(opening("/room/a", "").as_bytes()).unwrap();
            assert!(answer(&mut client).starts_with("HTTP/1.1 101 "));
            let adoption = site.adopted(turn % 2);
            assert_eq!(adoption.route.id, RouteId(2));
            assert!(adoption.early.is_empty());
            client
        })
        .collect();
    drop(clients);
    site.gate.stop();
}

#[test]
fn a_handshake_in_single_bytes_and_with_a_split_connection_field_is_good() {
    let site = site();
    let mut client = site.connect();
    client.set_nodelay(true).unwrap();
    let request = opening("/chat", "Connection: keep-alive\r\n");
    for byte in request.as_bytes().chunks(1) {
        client.write_all(byte).unwrap();
    }
    assert!(answer(&mut client).starts_with("HTTP/1.1 101 "));
    assert_eq!(site.adopted(0).route.id, RouteId(1));
    site.gate.stop();
}

#[test]
fn a_connection_carries_several_requests_until_one_upgrades() {
    let site = site();
    let mut client = site.connect();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    // The last three come together, with a frame behind them.
    client.write_all(get("/none").as_bytes()).unwrap();
    let none = answer(&mut client);
    assert!(none.starts_with("HTTP/1.1 404 Not Found\r\n"), "{none}");
    assert!(none.contains("\r\ndate: "), "{none}");
    assert!(none.ends_with("no route matches this method and path"), "{none}");
    let rest = get("/chat") + &opening("/none", "") + &opening("/chat", "") + "frame";
    client.write_all(rest.as_bytes()).unwrap();
    let required = answer(&mut client);
    assert!(required.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{required}");
    for line in ["upgrade: websocket\r\n", "connection: Upgrade\r\n", "sec-websocket-version: 13\r\n"] {
        assert!(required.contains(line), "{line} is not in {required}");
    }
    assert!(answer(&mut client).starts_with("HTTP/1.1 404 "));
    assert!(answer(&mut client).starts_with("HTTP/1.1 101 "));
    let Adoption { early, mut stream, .. } = site.adopted(0);
    assert_eq!(early_or_waiting(early, &mut stream, 5), b"frame");
    site.gate.stop();
}

#[test]
fn an_upgrade_of_another_version_is_told_which_one_would_do() {
    let site = site();
    let mut client = site.connect();
    let request = opening("/chat", "").replace("Version: 13", "Version: 8");
    client.write_all(request.as_bytes()).unwrap();
    let refusal = answer(&mut client);
    assert!(refusal.starts_with("HTTP/1.1 426 "), "{refusal}");
    assert!(refusal.contains("sec-websocket-version: 13\r\n"), "{refusal}");
    // RFC 6455 §4.4: the client tries again with the version that it was told.
    client.write_all(opening("/chat", "").as_bytes()).unwrap();
    assert!(answer(&mut client).starts_with("HTTP/1.1 101 "));
    site.gate.stop();
}

#[test]
fn a_client_that_has_finished_sending_still_gets_its_answer() {
    let site = site();
    let mut client = site.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert!(answer(&mut client).starts_with("HTTP/1.1 404 "));
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    site.gate.stop();
}

#[test]
fn routes_change_while_the_gate_runs() {
    let site = site();
    let mut client = site.connect();
    site.routes.set_websocket("/late", Some(route(3))).unwrap();
    site.routes.set_websocket("/chat", Some(route(4))).unwrap();
    site.routes.set_websocket("/room/:id", None).unwrap();
    assert!(site.routes.set_websocket("late", Some(route(5))).is_err());
    client.write_all(opening("/room/a", "").as_bytes()).unwrap();
    assert!(answer(&mut client).starts_with("HTTP/1.1 404 "));
    client.write_all(opening("/chat", "").as_bytes()).unwrap();
    assert!(answer(&mut client).starts_with("HTTP/1.1 101 "));
    assert_eq!(site.adopted(0).route.id, RouteId(4));
    site.gate.stop();
}

#[test]
fn a_closed_listener_frees_its_port_and_leaves_its_connections() {
    let site = site();
    let mut client = site.connect();
    // An answer shows that the connection was accepted, not only queued by the kernel.
    client.write_all(opening("/none", "").as_bytes()).unwrap();
    assert!(answer(&mut client).starts_with("HTTP/1.1 404 "));
    assert!(bind(&loopback(site.address.port())).is_err());

    site.gate.close_listener(site.listener);
    assert!(TcpStream::connect(site.address).is_err());
    let again = bind(&loopback(site.address.port())).unwrap();
    site.gate.close_listener(site.listener);

    client.write_all(opening("/chat", "").as_bytes()).unwrap();
    assert!(answer(&mut client).starts_with("HTTP/1.1 101 "));
    drop(site.adopted(0));

    let second = site.gate.listen(again).unwrap();
    assert_ne!(second, site.listener);
    assert!(site.answer_and_end(b"GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 505 "));
    site.gate.stop();
}

#[test]
fn connections_at_the_gate_can_be_dropped_and_are_never_handed_over() {
    let site = site();
    let mut client = site.connect();
    client.write_all(opening("/none", "").as_bytes()).unwrap();
    assert!(answer(&mut client).starts_with("HTTP/1.1 404 "));
    client.write_all(b"GET /chat HTTP/1.1\r\n").unwrap();
    site.gate.close_connections();
    // An orderly end or a reset, as the kernel likes, but an end.
    assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
    // The listener goes on.
    let mut client = site.connect();
    client.write_all(opening("/chat", "").as_bytes()).unwrap();
    assert!(answer(&mut client).starts_with("HTTP/1.1 101 "));
    site.gate.stop();
    assert_eq!(site.adopted[0].iter().count() + site.adopted[1].iter().count(), 1);
}

#[test]
fn the_census_counts_listeners_and_connections_until_the_last_one_ends() {
    let site = site();
    assert!(!site.census.is_vacant());
    let mut client = site.connect();
    client.write_all(opening("/chat", "").as_bytes()).unwrap();
    assert!(answer(&mut client).starts_with("HTTP/1.1 101 "));
    let established = site.adopted(0);
    let mut waiting = site.connect();
    waiting.write_all(opening("/none", "").as_bytes()).unwrap();
    assert!(answer(&mut waiting).starts_with("HTTP/1.1 404 "));

    site.gate.close_listener(site.listener);
    assert!(!site.census.is_vacant());
    drop(established);
    assert!(!site.census.is_vacant());
    assert!(site.vacated.try_recv().is_err());
    drop(waiting);
    site.vacated.recv_timeout(PATIENCE).unwrap();
    assert!(site.census.is_vacant());
    site.gate.stop();
}

#[test]
fn stopping_drops_everything_at_the_gate() {
    let site = site();
    let mut waiting = site.connect();
    waiting.write_all(opening("/none", "").as_bytes()).unwrap();
    assert!(answer(&mut waiting).starts_with("HTTP/1.1 404 "));
    waiting.write_all(b"GET /chat").unwrap();
    site.gate.stop();
    assert!(site.census.is_vacant());
    site.vacated.try_recv().unwrap();
    assert_eq!(waiting.read(&mut [0]).unwrap_or(0), 0);
    assert!(TcpStream::connect(site.address).is_err());
}

#[test]
fn what_becomes_of_connections_is_counted() {
    let site = site();
    assert_eq!(site.gate.counts(), Counts::default());
    for request in
        ["GET /none HTTP/1.0\r\n\r\n", "nonsense\r\n\r\n", "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"]
    {
        site.answer_and_end(request.as_bytes());
    }
    let mut client = site.connect();
    for _ in 0..2 {
        client.write_all(opening("/none", "").as_bytes()).unwrap();
        assert!(answer(&mut client).starts_with("HTTP/1.1 404 "));
    }
    // What was refused before is gone when its peer has closed, and the gate has seen that.
    let under_way = |count: u64| {
        let seen = (0..1000).any(|_| {
            std::thread::sleep(Duration::from_millis(5));
            site.gate.counts().handshakes == count
        });
        assert!(seen, "{:?}", site.gate.counts());
    };
    under_way(1);
    let refused = [(400, 1), (404, 2), (426, 1), (505, 1)].into();
    assert_eq!(site.gate.counts(), Counts { accepted: 4, handshakes: 1, refused, ..Counts::default() });

    client.write_all(opening("/chat", "").as_bytes()).unwrap();
    let adopted = site.adopted(0);
    assert_eq!((site.gate.counts().upgraded, site.gate.counts().handshakes), (1, 0), "before it is handed over");
    drop(adopted);
    // One that is dropped with its request half read.
    let mut waiting = site.connect();
    waiting.write_all(b"GET /chat").unwrap();
    under_way(1);
    site.gate.close_connections();
    under_way(0);
    assert_eq!((site.gate.counts().accepted, site.gate.counts().upgraded), (5, 1));
    site.gate.stop();
}

#[test]
fn a_gate_needs_a_reactor() {
    let census = Census::new(|| {});
    assert!(
        Gate::start(Routes::new(), Vec::new(), census, Bounds::default(), Arc::default(), None, Box::new(|| {}))
            .is_err()
    );
}
