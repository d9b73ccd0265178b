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

#[test]
fn probe() {
    let site = site();
    let long = "x".repeat(16 * 1024);
    let many: String = (0..101).map(|n| format!("X-{n}: 1\r\n")).collect();
    let h = "Host: localhost\r\n";
    let cases: Vec<(&str, String)> = vec![
        ("ok 404", format!("GET / HTTP/1.1\r\n{h}Connection: close\r\n\r\n")),
        ("leading crlf", format!("\r\nGET / HTTP/1.1\r\n{h}Connection: close\r\n\r\n")),
        ("ws before colon", format!("GET / HTTP/1.1\r\n{h}X : a\r\n\r\n")),
        ("obs fold", format!("GET / HTTP/1.1\r\n{h}X: a\r\n b\r\n\r\n")),
        ("bare lf", "GET / HTTP/1.1\nHost: localhost\nConnection: close\n\n".into()),
        ("bare cr in value", format!("GET / HTTP/1.1\r\n{h}X: a\rb\r\n\r\n")),
        ("nul in value", format!("GET / HTTP/1.1\r\n{h}X: a\0b\r\n\r\n")),
        ("nul in target", format!("GET /\0 HTTP/1.1\r\n{h}\r\n")),
        ("del in value", format!("GET / HTTP/1.1\r\n{h}X: a\x7fb\r\nConnection: close\r\n\r\n")),
        ("ctl in value", format!("GET / HTTP/1.1\r\n{h}X: a\x01b\r\n\r\n")),
        ("cl+te", format!("POST / HTTP/1.1\r\n{h}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("two cl differ", format!("POST / HTTP/1.1\r\n{h}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd")),
        (
            "two cl same",
            format!("POST / HTTP/1.1\r\n{h}Connection: close\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
        ),
        ("cl list same", format!("POST / HTTP/1.1\r\n{h}Connection: close\r\nContent-Length: 3, 3\r\n\r\nabc")),
        ("cl plus", format!("POST / HTTP/1.1\r\n{h}Connection: close\r\nContent-Length: +3\r\n\r\nabc")),
        ("te identity", format!("POST / HTTP/1.1\r\n{h}Connection: close\r\nTransfer-Encoding: identity\r\n\r\n")),
        (
            "te gzip, chunked",
            format!("POST / HTTP/1.1\r\n{h}Connection: close\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "te chunked, gzip",
            format!("POST / HTTP/1.1\r\n{h}Connection: close\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
        ),
        (
            "te chunked twice",
            format!(
                "POST / HTTP/1.1\r\n{h}Connection: close\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
        ),
        (
            "te chunked, chunked",
            format!("POST / HTTP/1.1\r\n{h}Connection: close\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
        ),
        ("te 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into()),
        ("bad chunk", format!("POST / HTTP/1.1\r\n{h}Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n")),
        ("two spaces", format!("GET  / HTTP/1.1\r\n{h}\r\n")),
        ("tab", format!("GET\t/ HTTP/1.1\r\n{h}\r\n")),
        ("fragment", format!("GET /chat#a HTTP/1.1\r\n{h}Connection: close\r\n\r\n")),
        ("utf8 target", format!("GET /ü HTTP/1.1\r\n{h}Connection: close\r\n\r\n")),
        ("no target", format!("GET HTTP/1.1\r\n{h}\r\n")),
        ("authority get", format!("GET localhost:80 HTTP/1.1\r\n{h}\r\n")),
        ("asterisk get", format!("GET * HTTP/1.1\r\n{h}\r\n")),
        ("asterisk options", format!("OPTIONS * HTTP/1.1\r\n{h}Connection: close\r\n\r\n")),
        ("connect", format!("CONNECT a:80 HTTP/1.1\r\n{h}\r\n")),
        ("connect path", format!("CONNECT /chat HTTP/1.1\r\n{h}\r\n")),
        ("absolute", format!("GET http://a/chat HTTP/1.1\r\n{h}Connection: close\r\n\r\n")),
        ("absolute ws", format!("GET ws://a/chat HTTP/1.1\r\n{h}Connection: close\r\n\r\n")),
        ("absolute userinfo", format!("GET http://u@a/chat HTTP/1.1\r\n{h}Connection: close\r\n\r\n")),
        ("double slash", format!("GET //chat HTTP/1.1\r\n{h}Connection: close\r\n\r\n")),
        ("query only", format!("GET ?a HTTP/1.1\r\n{h}Connection: close\r\n\r\n")),
        ("1.0", format!("GET /chat HTTP/1.0\r\n{h}\r\n")),
        ("1.0 keepalive", format!("GET /chat HTTP/1.0\r\n{h}Connection: keep-alive\r\n\r\n")),
        ("0.9", "GET /chat\r\n\r\n".into()),
        ("1.2", format!("GET /chat HTTP/1.2\r\n{h}\r\n")),
        ("2.0", format!("GET /chat HTTP/2.0\r\n{h}\r\n")),
        ("h2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into()),
        ("tls", "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03".into()),
        ("lower http", format!("GET /chat http/1.1\r\n{h}\r\n")),
        ("no host", "GET /chat HTTP/1.1\r\n\r\n".into()),
        ("two hosts", format!("GET /chat HTTP/1.1\r\n{h}{h}\r\n")),
        ("long target", format!("GET /{long} HTTP/1.1\r\n{h}\r\n")),
        ("long head", format!("GET / HTTP/1.1\r\n{h}X: {long}\r\n\r\n")),
        ("long head more", format!("GET / HTTP/1.1\r\n{h}X: {long}{long}{long}\r\n\r\n")),
        ("many", format!("GET / HTTP/1.1\r\n{h}{many}\r\n")),
        ("no colon", format!("GET / HTTP/1.1\r\n{h}abc\r\n\r\n")),
        ("empty name", format!("GET / HTTP/1.1\r\n{h}: abc\r\n\r\n")),
        ("leading ws header", format!("GET / HTTP/1.1\r\n X: a\r\n{h}\r\n")),
        ("expect", format!("POST / HTTP/1.1\r\n{h}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")),
        ("expect other", format!("POST / HTTP/1.1\r\n{h}Connection: close\r\nExpect: foo\r\n\r\n")),
        ("post body partial", format!("POST / HTTP/1.1\r\n{h}Content-Length: 50000\r\n\r\nabc")),
        ("head", format!("HEAD / HTTP/1.1\r\n{h}Connection: close\r\n\r\n")),
        ("long method", format!("{}  / HTTP/1.1\r\n{h}\r\n", "A".repeat(300))),
        ("custom method", format!("FOO / HTTP/1.1\r\n{h}Connection: close\r\n\r\n")),
        ("eof mid head", "GET / HT".into()),
    ];
    for (name, request) in cases {
        let mut stream = site.connect();
        stream.write_all(request.as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut got = Vec::new();
        let mut buf = [0; 4096];
        let end = loop {
            match stream.read(&mut buf) {
                Ok(0) => break "EOF".to_string(),
                Ok(n) => got.extend_from_slice(&buf[..n]),
                Err(e) => break format!("{:?}", e.kind()),
            }
        };
        eprintln!(
            "{name:20} {:45} {end} {}",
            String::from_utf8_lossy(&got).lines().next().unwrap_or("").to_string(),
            String::from_utf8_lossy(&got).lines().last().unwrap_or("").to_string()
        );
    }
    site.gate.stop();
}
