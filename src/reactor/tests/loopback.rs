//! The same over the operating system's sockets, where a script might be kinder than the kernel.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use super::client::{VERSIONS, connecting, shake};
use super::frames::{BINARY, TEXT, close, closed, decode, frame, said};
use super::*;
use crate::bridge::{Budget, ReactorId, Wake};
use crate::error::FaultPoint;
use crate::limits;
use crate::reactor::{Adopter, Adoption, ReactorThread};
use crate::tls::Session;

/// A step that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running reactor, and JavaScript that is rung.
struct Running {
    thread: ReactorThread,
    census: Arc<Census>,
    js: JavaScript,
    rung: Receiver<()>,
}

impl Running {
    fn start() -> Self {
        let (ring, rung) = channel();
        let ring = Box::new(move || {
            // The receiver is gone when a test has ended.
            let _ = ring.send(());
        });
        Self::ringing(ring, rung)
    }

    fn ringing(ring: Wake, rung: Receiver<()>) -> Self {
        let census = Census::new(|| {});
        let thread = ReactorThread::start(
            ReactorId(0),
            census.clone(),
            Hooks { ring_javascript: ring, give_back_memory: || {}, budget: Budget::new(0) },
        )
        .unwrap();
        let js = JavaScript::new(thread.shared().clone());
        Self { thread, census, js, rung }
    }

    fn adopt(&self, stream: TcpStream) {
        self.adopt_session(stream, None);
    }

    fn adopt_session(&self, stream: TcpStream, session: Option<Box<Session>>) {
        stream.set_nonblocking(true).unwrap();
        let ticket = connected(&self.census);
        let peer = stream.peer_addr().ok();
        self.thread.handle().adopt(&mut std::iter::once(Adoption {
            stream,
            session,
            route: routed(|route| route.max_payload_bytes = 1 << 20),
            agreement: None,
            early: Vec::new(),
            peer,
            ticket,
            pass: None,
        }));
    }

    /// The events up to the first of this kind.
    fn until(&mut self, kind: EventKind) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..1000 {
            events.extend(self.js.drain());
            if events.iter().any(|event| event.kind == kind) {
                return events;
            }
            self.rung.recv_timeout(PATIENCE).unwrap();
        }
        panic!("no {kind:?} among {events:?}");
    }
}

/// A client's end and a server's.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    (client, listener.accept().unwrap().0)
}

#[test]
fn a_fin_that_came_with_the_bytes_before_it() {
    let mut running = Running::start();
    let (mut client, server) = pair();
    client.write_all(&frame(TEXT, b"and off")).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    running.adopt(server);
    let events = running.until(EventKind::Close);
    assert_eq!(kinds(&events), [EventKind::Open, EventKind::Message, EventKind::Close]);
    let mut rest = Vec::new();
    assert_eq!(client.read_to_end(&mut rest).unwrap(), 0);
    running.thread.join();
}

#[test]
fn a_close_frame_is_answered_although_bytes_come_behind_it_that_nobody_reads() {
    let mut running = Running::start();
    let (mut client, server) = pair();
    running.adopt(server);
    let connection = running.until(EventKind::Open)[0].connection;
    client.write_all(&close(1000, "bye")).unwrap();
    running.until(EventKind::Close);
    client.write_all(&frame(TEXT, b"more")).unwrap();
    running.js.command(CommandKind::Release, connection, b"");
    running.js.flush();
    let mut got = Vec::new();
    // What ends it may be a reset.
    let _ = client.read_to_end(&mut got);
    assert_eq!(decode(&got), [closed(1000, "")]);
    running.thread.join();
}

#[test]
fn an_echo_and_a_close() {
    let mut running = Running::start();
    let (mut client, server) = pair();
    running.adopt(server);
    let connection = running.until(EventKind::Open)[0].connection;
    client.write_all(&frame(TEXT, b"hello")).unwrap();
    let message = running.until(EventKind::Message).remove(0);
    running.js.send(connection, TEXT, &message.payload);
    running.js.flush();
    client.write_all(&close(1000, "bye")).unwrap();
    running.until(EventKind::Close);
    running.js.command(CommandKind::Release, connection, b"");
    running.js.flush();
    let mut got = Vec::new();
    client.read_to_end(&mut got).unwrap();
    assert_eq!(decode(&got), [said(TEXT, b"hello"), closed(1000, "")]);
    running.thread.join();
    assert!(running.census.is_vacant());
}

#[test]
fn an_echo_and_a_close_over_tls() {
    for version in VERSIONS {
        let mut running = Running::start();
        let (client, server) = pair();
        let (session, connection) = shake(connecting(version, |_| {}));
        running.adopt_session(server, Some(session));
        let id = running.until(EventKind::Open)[0].connection;
        let mut client = rustls::StreamOwned::new(connection, client);
        // More than the kernel takes at a time, so some of it waits.
        let payload: Vec<u8> = (0..1 << 20).map(|at| (at % 251) as u8).collect();
        for _ in 0..4 {
            client.write_all(&frame(BINARY, &payload)).unwrap();
            let events = running.until(EventKind::Message);
            let message = events.into_iter().find(|event| event.kind == EventKind::Message).unwrap();
            running.js.send_large(id, BINARY, message.payload);
        }
        client.write_all(&close(1000, "bye")).unwrap();
        client.flush().unwrap();
        let mut got = vec![0; 4 * (payload.len() + 10)];
        client.read_exact(&mut got).unwrap();
        running.until(EventKind::Close);
        running.js.command(CommandKind::Release, id, b"");
        running.js.flush();
        client.read_to_end(&mut got).expect("close_notify comes before the FIN");
        let frames = decode(&got);
        assert!(frames.len() == 5 && frames[..4].iter().all(|frame| *frame == said(BINARY, &payload)));
        assert_eq!(frames[4..], [closed(1000, "")]);
        running.thread.join();
        assert!(running.census.is_vacant());
    }
}

#[test]
fn an_alert_comes_although_more_is_on_its_way_to_us() {
    let mut running = Running::start();
    let (mut client, server) = pair();
    let (session, mut connection) = shake(connecting(VERSIONS[1], |_| {}));
    running.adopt_session(server, Some(session));
    let id = running.until(EventKind::Open)[0].connection;
    client.write_all(&vec![0; 2_000_000]).unwrap();
    assert_eq!(running.until(EventKind::Close)[0].code(), 1006);
    client.write_all(&vec![0; 100_000]).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut alert = Vec::new();
    client.read_to_end(&mut alert).unwrap();
    connection.read_tls(&mut &alert[..]).unwrap();
    assert!(matches!(connection.process_new_packets(), Err(rustls::Error::AlertReceived(_))));
    running.js.command(CommandKind::Release, id, b"");
    running.js.flush();
    running.thread.join();
}

#[test]
fn nobody_waits_for_a_reactor_that_is_gone() {
    let mut running = Running::start();
    let (mut client, server) = pair();
    running.adopt(server);
    running.until(EventKind::Open);
    running.thread.join();
    let mut rest = Vec::new();
    assert_eq!(client.read_to_end(&mut rest).unwrap(), 0, "its sockets are closed");
    for _ in 0..3 {
        running.js.garbage(&vec![0; limits::COMMAND_BACKLOG_BYTES + 1]);
        running.js.flush();
    }
}

#[test]
fn a_reactor_that_panics_says_goodbye_and_serves_others() {
    for (round, version) in [(0, None), (1, Some(VERSIONS[0])), (2, Some(VERSIONS[1]))] {
        let mut running = Running::start();
        let connect = |running: &mut Running| {
            let (client, server) = pair();
            let secure = version.map(|version| shake(connecting(version, |_| {})));
            let (session, connection) = secure.map_or((None, None), |(session, client)| (Some(session), Some(client)));
            running.adopt_session(server, session);
            (client, connection, running.until(EventKind::Open)[0].connection)
        };
        let clients: Vec<_> = (0..3).map(|_| connect(&mut running)).collect();
        running.thread.shared().crossing.faults.arm(FaultPoint::Command);
        running.js.send(clients[1].2, TEXT, b"never");
        running.js.flush();
        let failed = running.until(EventKind::Failed);
        let text = String::from_utf8(failed[0].payload.clone()).unwrap();
        let lines: Vec<&str> = text.splitn(3, '\n').collect();
        assert!(lines[0] == "3" && lines[1].starts_with("src/error/faults.rs:"), "{text}");
        assert_eq!(lines[2], "a fault was injected: Command");
        for (mut client, connection, _) in clients {
            let mut got = Vec::new();
            match connection {
                None => _ = client.read_to_end(&mut got).unwrap(),
                Some(connection) => {
                    let mut client = rustls::StreamOwned::new(connection, client);
                    client.read_to_end(&mut got).expect("close_notify comes before the FIN");
                }
            }
            assert_eq!(decode(&got), [closed(1011, "internal error")], "round {round}");
        }
        // JavaScript knows none of the old connections, and writes its last for them.
        let (mut client, connection, id) = connect(&mut running);
        running.js.send(id, TEXT, b"welcome");
        running.js.flush();
        let mut got = [0; 9];
        match connection {
            None => client.read_exact(&mut got).unwrap(),
            Some(mut connection) => rustls::Stream::new(&mut connection, &mut client).read_exact(&mut got).unwrap(),
        }
        assert_eq!(decode(&got), [said(TEXT, b"welcome")]);
        let tally = running.thread.shared().tally();
        assert_eq!((tally.connections(), tally.closes(crate::bridge::CloseCause::Failure)), (1, 3));
        drop(client);
        running.thread.join();
    }
}
