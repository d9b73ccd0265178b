//! The ends of secure connections: both closing handshakes, cut ones, faults, and what a session does in between.

use rustls::crypto::cipher::{MessageEncrypter, OutboundChunks, OutboundPlainMessage};
use rustls::crypto::ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 as CHACHA20;
use rustls::{AlertDescription, ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion, SupportedCipherSuite};

use super::client::{Client, TLS12, TLS13, VERSIONS, connecting, shake};
use super::frames::{CLOSE, TEXT, close, closed, frame, said};
use super::*;
use crate::bridge::CloseCause;
use crate::bridge::command::{ANSWER_UPGRADE, FLAG_SHUTDOWN};
use crate::reactor::shutdown::Departed;
use crate::reactor::sweep::CLOSING_TICKS;

/// The sender that is no connection.
const NOBODY: ConnectionId = ConnectionId { index: u32::MAX, generation: 0 };

fn opened() -> (Rig, Client, ConnectionId) {
    let mut rig = Rig::new();
    let (client, connection) = rig.open_secure(&routed(|_| {}), &TLS13);
    (rig, client, connection)
}

/// The one event, which is a Close.
fn sole_close(events: &[Event]) -> (u8, u16, &str) {
    assert_eq!(kinds(events), [EventKind::Close]);
    (events[0].flags, events[0].code(), events[0].reason())
}

const FIN: (u8, u16, &str) = (CloseCause::Fin as u8, 1006, "Received TCP FIN before WebSocket close frame");

#[test]
fn the_peers_close_is_answered_with_a_close_frame_and_close_notify() {
    for version in VERSIONS {
        let mut rig = Rig::new();
        let (mut client, connection) = rig.open_secure(&routed(|_| {}), version);
        client.says(&close(4001, "enough"));
        assert_eq!(sole_close(&rig.events()), (CloseCause::Peer as u8, 4001, "enough"));
        rig.js.send(connection, TEXT, b"written before it knew");
        rig.release(connection);
        assert_eq!(client.hears(), [said(TEXT, b"written before it knew"), closed(4001, "")]);
        assert!(client.is_told_the_end() && client.peer.is_finished() && client.peer.is_closed());
        rig.assert_vacant();
    }
}

#[test]
fn a_close_notify_that_came_with_the_close_frame_does_not_reset_the_connection() {
    for in_one_read in [true, false] {
        let (mut rig, mut client, connection) = opened();
        client.says(&close(1000, ""));
        if !in_one_read {
            rig.run();
        }
        let end = client.sealed_end();
        client.peer.says(&end);
        client.peer.ends();
        assert_eq!(sole_close(&rig.events()), (CloseCause::Peer as u8, 1000, ""));
        rig.release(connection);
        assert_eq!(client.hears(), [closed(1000, "")]);
        assert!(client.is_told_the_end() && client.peer.is_closed());
        assert_eq!(client.peer.unread_bytes(), 0, "a close over unread bytes is a reset");
        rig.assert_vacant();
    }
}

#[test]
fn our_close_is_a_close_frame_then_close_notify_then_fin() {
    for version in VERSIONS {
        let mut rig = Rig::new();
        let (mut client, connection) = rig.open_secure(&routed(|_| {}), version);
        rig.js.send(connection, TEXT, b"last words");
        rig.js.end(connection, 4999, "reason");
        rig.release(connection);
        assert_eq!(client.hears(), [said(TEXT, b"last words"), closed(4999, "reason")]);
        assert!(client.is_told_the_end() && client.peer.is_finished() && !client.peer.is_closed());
        client.says(&close(4999, ""));
        let end = client.sealed_end();
        client.peer.says(&end);
        rig.run();
        assert!(!client.peer.is_closed(), "the peer's FIN ends it");
        client.peer.ends();
        assert!(rig.events().is_empty());
        assert!(client.peer.is_closed());
        rig.assert_vacant();
    }
}

#[test]
fn a_termination_says_nothing() {
    let (mut rig, mut client, connection) = opened();
    rig.js.send(connection, TEXT, b"sent");
    rig.js.command(CommandKind::Terminate, connection, b"");
    rig.release(connection);
    assert_eq!(client.hears(), [said(TEXT, b"sent")]);
    assert!(!client.is_told_the_end() && client.peer.is_closed());
    rig.assert_vacant();
}

#[test]
fn a_fin_without_close_notify_is_a_fin_wherever_it_cuts() {
    let (_, mut client, _) = opened();
    let length = client.sealed(&frame(TEXT, b"cut")).len();
    for cut in [0, 1, 5, length - 1, length] {
        let (mut rig, mut client, connection) = opened();
        let record = client.sealed(&frame(TEXT, b"cut"));
        client.peer.says(&record[..cut]);
        client.peer.ends();
        let mut events = rig.events();
        if cut == length {
            assert_eq!(events.remove(0).payload, b"cut");
        }
        assert_eq!(sole_close(&events), FIN);
        assert!(client.hears().is_empty() && client.is_told_the_end() && client.peer.is_closed());
        rig.release(connection);
        rig.assert_vacant();
    }
}

#[test]
fn a_close_notify_is_as_a_fin_behind_what_came_with_it() {
    for ends in [true, false] {
        let (mut rig, mut client, connection) = opened();
        rig.js.send(connection, TEXT, b"on its way");
        rig.obey();
        client.says(&frame(TEXT, b"and off"));
        let end = client.sealed_end();
        client.peer.says(&end);
        if ends {
            client.peer.ends();
        }
        let events = rig.events();
        assert_eq!(events[0].payload, b"and off");
        assert_eq!(sole_close(&events[1..]), FIN);
        assert_eq!(client.hears(), [said(TEXT, b"on its way")]);
        assert!(client.is_told_the_end() && client.peer.is_closed());
        rig.release(connection);
        rig.assert_vacant();
    }
}

#[test]
fn a_reset_is_a_reset() {
    let (mut rig, mut client, connection) = opened();
    client.says(&frame(TEXT, b"before"));
    client.peer.resets();
    let events = rig.events();
    assert_eq!(kinds(&events), [EventKind::Message, EventKind::Close]);
    assert_eq!(events[1].flags, CloseCause::Reset as u8);
    rig.release(connection);
    rig.assert_vacant();
}

#[test]
fn garbage_is_told_behind_the_messages_before_it_and_answered_with_an_alert() {
    let garbage = |client: &mut Client| client.sealed(b"altered").into_iter().map(|byte| byte ^ 1).collect::<Vec<_>>();
    let altered = |client: &mut Client| {
        let mut record = client.sealed(&frame(TEXT, b"altered"));
        *record.last_mut().unwrap() ^= 1;
        record
    };
    type Garbage<'a> = (&'a dyn Fn(&mut Client) -> Vec<u8>, &'a str);
    let cases: [Garbage<'_>; 3] = [
        (&altered, "a record does not decrypt"),
        (&garbage, "the peer has broken a rule of TLS"),
        (&|_| vec![23, 3, 3, 0xff, 0xff, 0], "the peer has broken a rule of TLS"),
    ];
    for (garbage, reason) in cases {
        for in_one_read in [true, false] {
            let (mut rig, mut client, connection) = opened();
            let mut bytes = client.sealed(&frame(TEXT, b"good"));
            bytes.extend(garbage(&mut client));
            if in_one_read {
                client.peer.says(&bytes);
            } else {
                bytes.into_iter().for_each(|byte| {
                    client.peer.says(&[byte]);
                    rig.run();
                });
            }
            let events = rig.events();
            assert_eq!(events[0].payload, b"good");
            assert_eq!(sole_close(&events[1..]), (CloseCause::Protocol as u8, 1006, reason));
            assert!(matches!(client.opens(), Err(Error::AlertReceived(_))), "the alert has come");
            assert!(client.peer.is_finished() && !client.peer.is_closed());
            // It is read on, so that the alert is not lost; and JavaScript may say what it wants.
            rig.js.send(connection, TEXT, b"to nobody");
            rig.js.end(connection, 1000, "");
            client.peer.says(&[0; 5000]);
            rig.release(connection);
            assert_eq!(client.peer.unread_bytes(), 0);
            client.peer.ends();
            assert!(rig.events().is_empty());
            assert!(client.peer.is_closed() && client.peer.take().is_empty());
            rig.assert_vacant();
        }
    }
}

#[test]
fn a_peer_that_stays_behind_an_alert_is_closed_when_time_is_up() {
    let (mut rig, client, connection) = opened();
    client.peer.room(0);
    rig.js.send(connection, TEXT, &[b'x'; 300]);
    rig.obey();
    client.peer.says(&[0; 100]);
    assert_eq!(kinds(&rig.events()), [EventKind::Backlog, EventKind::Close]);
    assert_eq!(rig.slot(connection).waiting_bytes(), 0, "it cannot be sealed any more");
    assert_eq!(rig.shared.tally().outbox_bytes, 0);
    rig.ticks(CLOSING_TICKS - 1);
    assert!(!client.peer.is_closed());
    rig.ticks(1);
    assert!(client.peer.is_closed());
    rig.release(connection);
    rig.assert_vacant();
}

#[test]
fn an_alert_of_the_peers_is_its_end() {
    let (mut rig, mut client, _) = opened();
    // What does not decrypt at the client: it says so.
    rig.js.drain();
    let mut nonsense = &[
        23, 3, 3, 0, 30, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
        27, 28, 29, 30,
    ][..];
    client.connection.read_tls(&mut nonsense).unwrap();
    client.connection.process_new_packets().unwrap_err();
    let mut alert = Vec::new();
    client.connection.write_tls(&mut alert).unwrap();
    client.peer.says(&alert);
    let events = rig.events();
    assert_eq!(sole_close(&events), (CloseCause::Protocol as u8, 1006, "the peer has sent a fatal alert"));
}

#[test]
fn keys_are_updated_when_the_client_asks() {
    let (mut rig, mut client, connection) = opened();
    for number in 0..5u8 {
        client.connection.refresh_traffic_keys().unwrap();
        // The update goes with the message, or alone.
        if number % 2 == 0 {
            let update = client.sealed(b"");
            client.peer.says(&update);
            rig.run();
        }
        client.says(&frame(TEXT, &[b'a' + number]));
        let events = rig.events();
        assert_eq!(events[0].payload, [b'a' + number]);
        rig.js.send(connection, TEXT, &events[0].payload);
        rig.obey();
        assert_eq!(client.hears(), [said(TEXT, &[b'a' + number])]);
        rig.assert_idle_secure(connection);
    }
    // In the middle of what waits for a slow peer, too.
    client.peer.room(0);
    rig.js.send(connection, TEXT, &[b'x'; 3000]);
    rig.obey();
    client.connection.refresh_traffic_keys().unwrap();
    client.says(&frame(TEXT, b"asked"));
    rig.run();
    rig.js.send(connection, TEXT, b"answered");
    rig.obey();
    client.peer.room(usize::MAX);
    rig.run();
    assert_eq!(client.hears(), [said(TEXT, &[b'x'; 3000]), said(TEXT, b"answered")]);
}

/// A client of TLS 1.2 whose records are made by hand: rustls's own has no renegotiation to attempt.
struct ByHand {
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
    peer: Peer,
}

impl ByHand {
    fn open(rig: &mut Rig) -> (Self, ConnectionId) {
        let client = connecting(&TLS12, |config| {
            let provider = rustls::crypto::ring::default_provider();
            let provider = rustls::crypto::CryptoProvider { cipher_suites: vec![CHACHA20], ..provider };
            *config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
                .with_protocol_versions(&[&TLS12])
                .unwrap()
                .with_root_certificates(client::roots())
                .with_no_client_auth();
            config.enable_secret_extraction = true;
        });
        let (session, connection) = shake(client);
        let secrets = connection.dangerous_extract_secrets().unwrap();
        let (sequence, ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets.tx else { panic!() };
        let SupportedCipherSuite::Tls12(suite) = CHACHA20 else { panic!() };
        let encrypter = suite.aead_alg.encrypter(key, iv.as_ref(), &[]);
        let (socket, peer) = super::connection();
        rig.hand_over(Transport { socket, session: Some(session), early: Vec::new() }, &routed(|_| {}));
        let connection = rig.js.drain()[0].connection;
        (Self { encrypter, sequence, peer }, connection)
    }

    fn says(&mut self, typ: ContentType, payload: &[u8]) {
        let message =
            OutboundPlainMessage { typ, version: ProtocolVersion::TLSv1_2, payload: OutboundChunks::Single(payload) };
        let record = self.encrypter.encrypt(message, self.sequence).unwrap().encode();
        self.sequence += 1;
        self.peer.says(&record);
    }

    fn renegotiates(&mut self) {
        // A ClientHello of TLS 1.2 with one cipher suite and no extensions (RFC 5246 §7.4.1.2).
        let hello = [&[1, 0, 0, 41, 3, 3][..], &[7; 32], &[0, 0, 2, 0xcc, 0xa9, 1, 0]].concat();
        self.says(ContentType::Handshake, &hello);
    }
}

#[test]
fn a_renegotiation_is_declined_once_and_then_a_fault() {
    let mut rig = Rig::new();
    let (mut client, connection) = ByHand::open(&mut rig);
    client.peer.room(0);
    client.renegotiates();
    assert!(rig.events().is_empty());
    // The answer waits, and no plaintext does: it goes out all the same.
    assert!(rig.session(connection).is_unsent() && rig.slot(connection).waiting_bytes() == 0);
    client.peer.room(usize::MAX);
    rig.run();
    assert!(!client.peer.take().is_empty());
    rig.assert_idle_secure(connection);
    client.says(ContentType::ApplicationData, &frame(TEXT, b"goes on"));
    assert_eq!(rig.events()[0].payload, b"goes on");

    client.renegotiates();
    let events = rig.events();
    assert_eq!(sole_close(&events), (CloseCause::Protocol as u8, 1006, "the peer has broken a rule of TLS"));
    assert!(client.peer.is_finished());
    client.peer.ends();
    rig.release(connection);
    rig.assert_vacant();
}

#[test]
fn a_session_that_ended_at_the_gate_ends_here() {
    for (has_failed, asks) in [(true, false), (false, false), (true, true), (false, true)] {
        let (mut session, mut tls) = shake(connecting(&TLS13, |_| {}));
        let mut bytes = Vec::new();
        tls.send_close_notify();
        tls.write_tls(&mut bytes).unwrap();
        if has_failed {
            bytes[10] ^= 1;
        }
        let outcome = session.take(&mut client::Memory::default(), &mut bytes, &mut crate::tls::Scratch::default());
        assert_eq!(outcome.is_err(), has_failed);
        let (mut rig, route, early) = (Rig::new(), routed(|_| {}), frame(TEXT, b"early"));
        let peer = if asks {
            let (asked, connection) = super::asking::ask(&mut rig, &route);
            rig.js.answer(connection, ANSWER_UPGRADE, b"\n");
            rig.obey();
            let (socket, peer) = super::connection();
            let ticket = connected(&rig.census);
            rig.reactor.seat(Transport { socket, session: Some(session), early }, ticket, &asked.pass());
            rig.shared.ring();
            peer
        } else {
            rig.adopt_session(&route, session, tls, &early).peer
        };
        let events = rig.events();
        let events = &events[usize::from(!asks)..];
        assert_eq!(kinds(events), [EventKind::Message, EventKind::Close]);
        let cause = if has_failed { CloseCause::Protocol } else { CloseCause::Fin };
        assert_eq!(events[1].flags, cause as u8);
        peer.ends();
        rig.release(events[0].connection);
        rig.assert_vacant();
    }
}

#[test]
fn a_secure_socket_comes_for_a_request_and_says_what_waited() {
    let mut rig = Rig::new();
    let (asked, connection) = super::asking::ask(&mut rig, &routed(|_| {}));
    rig.js.answer(connection, ANSWER_UPGRADE, b"\n");
    rig.js.send(connection, TEXT, b"waited");
    rig.js.end(connection, 1000, "");
    rig.release(connection);
    let (session, tls) = shake(connecting(&TLS13, |_| {}));
    let (socket, peer) = super::connection();
    let ticket = connected(&rig.census);
    rig.reactor.seat(Transport { socket, session: Some(session), early: Vec::new() }, ticket, &asked.pass());
    rig.shared.ring();
    rig.run();
    let mut client = Client { connection: tls, peer };
    assert_eq!(client.hears(), [said(TEXT, b"waited"), closed(1000, "")]);
    assert!(client.is_told_the_end() && client.peer.is_finished());
    client.peer.ends();
    rig.run();
    rig.assert_vacant();
}

#[test]
fn records_without_a_message_count_as_heard() {
    let mut rig = Rig::new();
    let route = routed(|route| {
        route.idle_timeout_seconds = 8;
        route.send_pings_automatically = false;
    });
    let (mut client, _) = rig.open_secure(&route, &TLS13);
    let record = client.sealed(&frame(TEXT, &[b'x'; 100]));
    for byte in &record[..50] {
        client.peer.says(&[*byte]);
        rig.ticks(2);
    }
    assert!(rig.js.drain().is_empty() && !client.peer.is_closed());
    rig.ticks(3);
    assert_eq!(rig.js.drain()[0].flags, CloseCause::Timeout as u8);
}

#[test]
fn a_shutdown_closes_secure_connections_and_counts_those_that_failed_as_forced() {
    let (mut rig, mut client, connection) = opened();
    let (failing, other) = rig.open_secure(&routed(|_| {}), &TLS12);
    let (stuck, third) = rig.open_secure(&routed(|_| {}), &TLS12);
    rig.js.command(CommandKind::Shutdown, NOBODY, &[&1012_u16.to_le_bytes()[..], b"soon back"].concat());
    failing.peer.says(&[0; 100]);
    rig.obey();
    assert_eq!(rig.js.drain().len(), 3);
    [connection, other, third].into_iter().for_each(|connection| rig.release(connection));
    assert_eq!(client.hears(), [closed(1012, "soon back")]);
    assert!(client.is_told_the_end());
    client.says(&frame(CLOSE, b""));
    client.peer.ends();
    failing.peer.ends();
    rig.run();
    assert_eq!(rig.shared.tally().departed, Departed { closed: 1, forced: 1 });
    rig.js.with_flags(CommandKind::TerminateAll, FLAG_SHUTDOWN, NOBODY, b"");
    rig.obey();
    assert!(stuck.peer.is_closed());
    assert_eq!(rig.shared.tally().departed, Departed { closed: 1, forced: 2 });
    rig.assert_vacant();
}

#[test]
fn the_alert_says_what_was_wrong() {
    let (mut rig, mut client, _) = opened();
    let mut record = client.sealed(b"altered");
    record[20] ^= 1;
    client.peer.says(&record);
    rig.run();
    assert_eq!(client.opens(), Err(Error::AlertReceived(AlertDescription::BadRecordMac)));
}
