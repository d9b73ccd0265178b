//! The gate over real sockets on loopback, with adopters that only collect.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Bind, Gate, Routes, bind};
use crate::bridge::{Census, ListenerId, RouteId};
use crate::limits;
use crate::reactor::{Adopter, Adoption, Route};

/// Long enough for a machine that is busy with other things; nothing waits so long when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

struct Collector(Mutex<Sender<Adoption>>);

impl Adopter for Collector {
    fn adopt(&self, adoption: Adoption) {
        // The test may have ended with connections under way.
        let _ = self.0.lock().unwrap().send(adoption);
    }
}

fn route(id: u16) -> Arc<Route> {
    Arc::new(Route {
        id: RouteId(id),
        max_payload_bytes: 16 * 1024,
        max_fragments: limits::FRAGMENTS,
        idle_timeout_seconds: 120,
        send_pings_automatically: true,
        max_lifetime_minutes: 0,
        max_backpressure_bytes: 64 * 1024,
        close_on_backpressure_limit: false,
        wants_ping: false,
        wants_pong: false,
        wants_dropped: false,
    })
}

struct Site {
    gate: Gate,
    routes: Routes,
    census: Arc<Census>,
    listener: ListenerId,
    address: SocketAddr,
    vacated: Receiver<()>,
    adopted: Vec<Receiver<Adoption>>,
}

/// A gate that listens on loopback, with the route `/chat` (1), `/room/:name` (2) and two reactors.
fn site() -> Site {
    let (vacant, vacated) = channel();
    let vacant = Mutex::new(vacant);
    let census = Census::new(move || {
        let _ = vacant.lock().unwrap().send(());
    });
    let routes = Routes::new();
    routes.insert("/chat", route(1)).unwrap();
    routes.insert("/room/:name", route(2)).unwrap();
    let (adopters, adopted) = (0..2)
        .map(|_| {
            let (sender, receiver) = channel();
            (Arc::new(Collector(Mutex::new(sender))) as Arc<dyn Adopter>, receiver)
        })
        .unzip();
    let gate = Gate::start(routes.clone(), adopters, census.clone()).unwrap();
    let socket = bind(&loopback(0)).unwrap();
    let address = socket.local_addr().unwrap();
    let listener = gate.listen(socket).unwrap();
    Site { gate, routes, census, listener, address, vacated, adopted }
}

fn loopback(port: u16) -> Bind {
    Bind { host: Some("127.0.0.1".into()), port, exclusive: true }
}

impl Site {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The whole answer to these bytes, up to the end of the connection.
    fn answer_and_end(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    fn adopted(&self, reactor: usize) -> Adoption {
        self.adopted[reactor].recv_timeout(PATIENCE).unwrap()
    }
}

/// The head of the next response, and its content if it has a length.
fn answer(stream: &mut TcpStream) -> String {
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

    // What follows later belongs to the reactor, and what it writes reaches the client.
    client.write_all(b"later").unwrap();
    let mut stream = adoption.stream;
    let mut byte = [0];
    if adoption.early.len() == frames.len() {
        let nothing_or_later = stream.read(&mut byte);
        assert!(
            nothing_or_later.as_ref().is_ok_and(|&read| read == 1)
                || nothing_or_later.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock),
            "the stream is not non-blocking"
        );
    }
    stream.set_nonblocking(false).unwrap();
    stream.write_all(b"frames").unwrap();
    let mut back = [0; 6];
    client.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"frames");
    site.gate.stop();
}
