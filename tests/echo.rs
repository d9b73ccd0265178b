//! The engine without Node.js: gate and reactors over loopback, tungstenite as the client, and a
//! thread that plays JavaScript and echoes.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tidewire::bridge::event::{DESCRIPTOR_WORDS, FLAG_BINARY, FLAG_LARGE};
use tidewire::bridge::{Budget, Census, CommandKind, EventKind, ReactorId, RouteId};
use tidewire::gate::{Bind, Bounds, Endpoint, Gate, Origins, Routes, bind};
use tidewire::limits;
use tidewire::reactor::{Adopter, Compression, Hooks, ReactorThread, Route, Shared};
use tungstenite::protocol::frame::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Bytes, Message, WebSocket};

const PATIENCE: Duration = Duration::from_secs(20);

/// Gate, reactors, and the thread that echoes.
struct Server {
    gate: Gate,
    reactors: Vec<ReactorThread>,
    echo: JoinHandle<Counts>,
    done: std::sync::mpsc::Sender<()>,
    port: u16,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    opened: usize,
    closed: usize,
}

impl Server {
    fn start(threads: u8) -> Self {
        let (ring, rung) = channel();
        let (done, ended) = channel();
        let census = Census::new(|| {});
        let ring = Arc::new(Mutex::new(ring));
        let reactors: Vec<ReactorThread> = (0..threads)
            .map(|id| {
                let ring = ring.clone();
                let hooks = Hooks {
                    ring_javascript: Box::new(move || {
                        // The receiver is gone when the test has ended.
                        let _ = ring.lock().unwrap().send(());
                    }),
                    give_back_memory: || {},
                    budget: Budget::new(0),
                };
                ReactorThread::start(ReactorId(id), census.clone(), hooks).unwrap()
            })
            .collect();
        let routes = Routes::new();
        let endpoint = Endpoint { route: Arc::new(route()), origins: Origins::Any };
        routes.set_websocket("/echo", Some(Arc::new(endpoint))).unwrap();
        let adopters = reactors.iter().map(|reactor| Arc::new(reactor.handle()) as Arc<dyn Adopter>).collect();
        let gate =
            Gate::start(routes, adopters, census, Bounds::default(), Arc::default(), None, Box::new(|| {})).unwrap();
        let listener = bind(&Bind { host: Some("127.0.0.1".into()), port: 0, exclusive: true }).unwrap();
        let port = listener.local_addr().unwrap().port();
        gate.listen(listener).unwrap();
        let lanes: Vec<Arc<Shared>> = reactors.iter().map(|reactor| reactor.shared().clone()).collect();
        let echo = std::thread::spawn(move || echo(&lanes, &rung, &ended));
        Self { gate, reactors, echo, done, port }
    }

    fn connect(&self) -> WebSocket<MaybeTlsStream<TcpStream>> {
        let (client, response) = tungstenite::connect(format!("ws://127.0.0.1:{}/echo", self.port)).unwrap();
        assert_eq!(response.status(), 101);
        if let MaybeTlsStream::Plain(stream) = client.get_ref() {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        client
    }

    fn stop(self) -> Counts {
        self.done.send(()).unwrap();
        let counts = self.echo.join().unwrap();
        self.gate.stop();
        self.reactors.into_iter().for_each(ReactorThread::join);
        counts
    }
}

fn route() -> Route {
    Route {
        id: RouteId(0),
        max_payload_bytes: 16 * 1024 * 1024,
        max_fragments: 1_000,
        idle_timeout_seconds: 120,
        send_pings_automatically: true,
        max_lifetime_minutes: 0,
        max_backpressure_bytes: 0,
        close_on_backpressure_limit: false,
        compression: Compression::DISABLED,
        asks: false,
        wants_ping: false,
        wants_pong: false,
        wants_dropped: false,
    }
}

/// Plays JavaScript: takes the events of all reactors and sends every message back, until the test is
/// done and every connection is closed.
fn echo(lanes: &[Arc<Shared>], rung: &Receiver<()>, done: &Receiver<()>) -> Counts {
    let mut counts = Counts::default();
    let mut descriptors = vec![0; limits::DRAIN_EVENTS * DESCRIPTOR_WORDS];
    let mut slab = vec![0; limits::DRAIN_PAYLOAD_BYTES];
    let began = Instant::now();
    while began.elapsed() < 3 * PATIENCE {
        if rung.recv_timeout(Duration::from_millis(50)) == Err(RecvTimeoutError::Disconnected) {
            break;
        }
        for lane in lanes {
            let mut large = VecDeque::new();
            loop {
                let drained = lane.crossing.mailbox.drain(&mut descriptors, &mut slab, 0, &mut large);
                if drained.made_room {
                    lane.ring();
                }
                for event in descriptors[..drained.events * DESCRIPTOR_WORDS].chunks(DESCRIPTOR_WORDS) {
                    answer(lane, event, &slab, &mut large, &mut counts);
                }
                if drained.events == 0 {
                    break;
                }
            }
        }
        if counts.opened == counts.closed && done.try_recv().is_ok() {
            break;
        }
    }
    counts
}

fn answer(lane: &Shared, event: &[u32], slab: &[u8], large: &mut VecDeque<Vec<u8>>, counts: &mut Counts) {
    let [index, tag, offset, length] = event.try_into().unwrap();
    let flags = (tag >> 8) as u8;
    let tell = |kind: CommandKind, flags: u8, payload: &[u8], large: Option<Vec<u8>>| {
        let mut record = vec![kind as u8, flags];
        record.extend_from_slice(&((tag >> 16) as u16).to_le_bytes());
        record.extend_from_slice(&index.to_le_bytes());
        record.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        record.extend_from_slice(payload);
        record.resize(record.len().next_multiple_of(4), 0);
        lane.crossing.inbox.push(&record, large);
        lane.ring();
    };
    let is = |kind: EventKind| tag & 0xff == kind as u32;
    if is(EventKind::Open) {
        counts.opened += 1;
    } else if is(EventKind::Close) {
        counts.closed += 1;
        tell(CommandKind::Release, 0, b"", None);
    } else if is(EventKind::Message) {
        let frame = 0x10 | if flags & FLAG_BINARY != 0 { 2 } else { 1 };
        if flags & FLAG_LARGE != 0 {
            tell(CommandKind::SendLarge, frame, b"", large.pop_front());
        } else {
            tell(CommandKind::Send, frame, &slab[offset as usize..][..length as usize], None);
        }
    }
}

#[test]
fn echoes_every_size_as_it_came() {
    let server = Server::start(1);
    let mut client = server.connect();
    for length in [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 1 << 20, 15 << 20] {
        let payload: Vec<u8> = (0..length).map(|at| (at * 31 % 251) as u8).collect();
        client.send(Message::Binary(payload.clone().into())).unwrap();
        assert!(client.read().unwrap() == Message::Binary(payload.into()), "{length} bytes");
        let text = "ä".repeat(length / 2);
        client.send(Message::text(text.clone())).unwrap();
        assert!(client.read().unwrap() == Message::text(text), "{length} bytes of text");
    }
    close(client, 1000, "bye");
    assert_eq!(server.stop(), Counts { opened: 1, closed: 1 });
}

#[test]
fn answers_pings_between_messages_and_close_codes_of_applications() {
    let server = Server::start(1);
    for code in [1001, 3000, 3999, 4999] {
        let mut client = server.connect();
        client.send(Message::Ping(Bytes::from_static(b"are you there?"))).unwrap();
        assert_eq!(client.read().unwrap(), Message::Pong(Bytes::from_static(b"are you there?")));
        close(client, code, "a reason");
    }
    assert_eq!(server.stop(), Counts { opened: 4, closed: 4 });
}

#[test]
fn keeps_the_order_of_many_clients_on_two_reactors() {
    const CLIENTS: u32 = 40;
    const MESSAGES: u32 = 200;
    let server = Server::start(2);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
    for round in 0..MESSAGES / 20 {
        for (number, client) in clients.iter_mut().enumerate() {
            for message in 0..20 {
                let text = format!("{number}: {}", round * 20 + message);
                client.write(Message::text(text)).unwrap();
            }
            client.flush().unwrap();
        }
        for (number, client) in clients.iter_mut().enumerate() {
            for message in 0..20 {
                let text = format!("{number}: {}", round * 20 + message);
                assert_eq!(client.read().unwrap(), Message::text(text));
            }
        }
    }
    clients.into_iter().for_each(|client| close(client, 1000, ""));
    assert_eq!(server.stop(), Counts { opened: CLIENTS as usize, closed: CLIENTS as usize });
}

/// The closing handshake: the server answers with the same code and ends the connection.
fn close(mut client: WebSocket<MaybeTlsStream<TcpStream>>, code: u16, reason: &'static str) {
    client.close(Some(CloseFrame { code: CloseCode::from(code), reason: reason.into() })).unwrap();
    match client.read().unwrap() {
        Message::Close(Some(frame)) => assert_eq!(u16::from(frame.code), code),
        other => panic!("{other:?}"),
    }
    assert!(matches!(client.read(), Err(tungstenite::Error::ConnectionClosed)));
}
