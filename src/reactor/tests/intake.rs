//! What waits while JavaScript is busy: a bounded amount, all of it, in order.

use super::frames::{BINARY, PING, PONG, TEXT, close, closed, frame, plain, said};
use super::*;
use crate::limits;

/// Events of one turn above the bound, and what batches take themselves.
const SLACK_BYTES: usize = 2 * limits::READ_BUFFER_BYTES;

fn opened(options: impl FnOnce(&mut Route)) -> (Rig, Peer, ConnectionId) {
    let mut rig = Rig::new();
    let route = routed(options);
    let (peer, connection) = rig.open(&route);
    (rig, peer, connection)
}

#[test]
fn a_flood_stops_at_the_bound_and_arrives_whole_when_there_is_room() {
    const MESSAGE_BYTES: usize = 16_000;
    const MESSAGES: u32 = 900;
    let mut rig = Rig::new();
    let route = routed(|route| route.idle_timeout_seconds = 8);
    let peers: Vec<_> = (0..8).map(|_| rig.open(&route)).collect();
    let (quiet, quiet_connection) = rig.open(&route);
    let mut payload = vec![0; MESSAGE_BYTES];
    for number in 0..MESSAGES {
        payload[..4].copy_from_slice(&number.to_le_bytes());
        let message = plain(BINARY, &payload);
        peers.iter().for_each(|(peer, _)| peer.says(&message));
        if number % 50 == 0 {
            rig.run();
        }
    }
    rig.stand_still();
    let waiting = rig.shared.crossing.mailbox.starve().bytes;
    assert!((limits::INTAKE_BYTES..limits::INTAKE_BYTES + SLACK_BYTES).contains(&waiting), "{waiting}");
    assert!(rig.reactor.parked_bytes <= limits::PARKED_BYTES + limits::READ_BUFFER_BYTES);
    let left: usize = peers.iter().map(|(peer, _)| peer.unread_bytes()).sum();
    assert!(left > 8 * 900 * MESSAGE_BYTES - limits::INTAKE_BYTES - limits::PARKED_BYTES - SLACK_BYTES);

    // JavaScript sleeps for long: nobody is dropped for that, and pings are answered.
    for _ in 0..20 {
        rig.ticks(1);
        quiet.says(&frame(PING, b"?"));
        rig.run();
        assert!(heard(&quiet).contains(&said(PONG, b"?")));
    }
    assert_eq!(rig.shared.crossing.mailbox.starve().bytes, waiting);

    let mut next = vec![0u32; peers.len() + 1];
    for _ in 0..10_000 {
        let events = rig.js.drain_once();
        if events.is_empty() {
            break;
        }
        for event in events {
            assert_eq!((event.kind, event.payload.len()), (EventKind::Message, MESSAGE_BYTES));
            let place = &mut next[event.connection.index as usize];
            assert_eq!(event.payload[..4], place.to_le_bytes());
            *place += 1;
        }
        rig.run();
    }
    assert_eq!(next, [[MESSAGES; 8].as_slice(), &[0]].concat());
    for (_, connection) in &peers {
        rig.assert_idle(*connection);
    }
    rig.assert_idle(quiet_connection);
    assert_eq!(rig.reactor.parked_bytes, 0);
}

#[test]
fn what_is_parked_and_what_comes_behind_it_stays_in_order() {
    let (mut rig, peer, connection) = opened(|_| {});
    full(&mut rig, connection);
    peer.says(&[frame(PING, b"1"), frame(TEXT, b"first"), frame(PING, b"2")].concat());
    rig.run();
    assert_eq!(heard(&peer), [said(PONG, b"1")]);
    assert!(rig.reactor.parked_bytes > 0);
    peer.says(&frame(TEXT, b"second"));
    peer.ends();
    rig.run();
    assert!(peer.unread_bytes() > 0);
    let events = drained(&mut rig);
    assert_eq!(kinds(&events), [EventKind::Message, EventKind::Message, EventKind::Close]);
    assert_eq!((&*events[0].payload, &*events[1].payload), (&b"first"[..], &b"second"[..]));
    assert_eq!(heard(&peer), [said(PONG, b"2")]);
    rig.release(connection);
    rig.assert_vacant();
}

#[test]
fn a_connection_that_was_parked_keeps_nothing() {
    let (mut rig, peer, connection) = opened(|_| {});
    full(&mut rig, connection);
    peer.says(&frame(TEXT, b"parked"));
    rig.run();
    assert!(rig.slot(connection).rare.is_some());
    assert_eq!(drained(&mut rig).len(), 1);
    rig.assert_idle(connection);
}

#[test]
fn nor_does_one_that_closes_meanwhile() {
    let (mut rig, peer, connection) = opened(|_| {});
    full(&mut rig, connection);
    peer.says(&frame(TEXT, b"parked"));
    rig.run();
    rig.js.end(connection, 1000, "");
    rig.obey();
    assert!(drained(&mut rig).is_empty());
    assert_eq!(rig.phase(connection), Phase::Lingering);
    assert!(rig.slot(connection).rare.is_none());
}

#[test]
fn a_message_that_is_cut_waits_in_the_kernel() {
    let (mut rig, peer, connection) = opened(|_| {});
    let message = frame(TEXT, &[b'x'; 10_000]);
    peer.says(&message[..5000]);
    rig.run();
    full(&mut rig, connection);
    peer.says(&message[5000..]);
    rig.run();
    assert_eq!(peer.unread_bytes(), message.len() - 5000);
    assert_eq!(drained(&mut rig)[0].payload, [b'x'; 10_000]);
    rig.assert_idle(connection);
}

#[test]
fn a_close_frame_is_taken_although_the_intake_is_full() {
    let (mut rig, peer, connection) = opened(|_| {});
    full(&mut rig, connection);
    peer.says(&close(1001, "away"));
    rig.run();
    assert_eq!(rig.phase(connection), Phase::Ending);
    rig.ticks(3);
    assert_eq!(heard(&peer).last(), Some(&closed(1001, "")));
    assert!(peer.is_closed());
    assert_eq!(kinds(&drained(&mut rig)), [EventKind::Close]);
    rig.release(connection);
    rig.assert_vacant();
}

#[test]
fn the_idle_clock_stands_still_while_we_do_not_read() {
    let (mut rig, peer, connection) = opened(|route| route.idle_timeout_seconds = 8);
    full(&mut rig, connection);
    peer.says(&frame(TEXT, b"waits"));
    rig.run();
    peer.says(&frame(PONG, b"waits in the kernel"));
    rig.ticks(100);
    assert!(!peer.is_closed());
    assert!(heard(&peer).len() > 20, "pings go on");
    assert_eq!(kinds(&drained(&mut rig)), [EventKind::Message]);
    rig.ticks(2);
    assert_eq!(heard(&peer), [said(PING, b"")]);
    rig.ticks(1);
    assert!(peer.is_closed());
}

#[test]
fn the_ends_of_parked_connections_give_their_bytes_back() {
    let mut rig = Rig::new();
    let route = routed(|_| {});
    let opened: Vec<_> = (0..6).map(|_| rig.open(&route)).collect();
    full(&mut rig, opened[0].1);
    for (peer, _) in &opened {
        peer.says(&frame(TEXT, &[b'x'; 2000]));
    }
    rig.run();
    let each = frame(TEXT, &[b'x'; 2000]).len();
    assert_eq!(rig.reactor.parked_bytes, 6 * each);
    rig.js.command(CommandKind::Terminate, opened[0].1, b"");
    rig.js.end(opened[1].1, 1000, "");
    opened[2].0.write_error(std::io::ErrorKind::BrokenPipe);
    rig.js.send(opened[2].1, TEXT, b"fails");
    rig.obey();
    assert_eq!(rig.reactor.parked_bytes, 4 * each);
    rig.ticks(2);
    assert_eq!(rig.reactor.parked_bytes, 3 * each, "the second was closed when its time was up");
    let events = drained(&mut rig);
    assert_eq!(events.iter().filter(|event| event.kind == EventKind::Message).count(), 3);
    assert_eq!(rig.reactor.parked_bytes, 0);
    for (_, connection) in &opened {
        rig.js.command(CommandKind::Terminate, *connection, b"");
        rig.js.command(CommandKind::Release, *connection, b"");
    }
    rig.obey();
    rig.assert_vacant();
}

#[test]
fn parked_bytes_have_a_bound() {
    let mut rig = Rig::new();
    let route = routed(|_| {});
    let opened: Vec<_> = (0..limits::PARKED_BYTES / 4096 + 100).map(|_| rig.open(&route)).collect();
    full(&mut rig, opened[0].1);
    let message = plain(TEXT, &[b'x'; 8000]);
    opened.iter().for_each(|(peer, _)| peer.says(&message));
    rig.run();
    let parked = rig.reactor.parked_bytes;
    assert!((limits::PARKED_BYTES - 4096..=limits::PARKED_BYTES).contains(&parked));
    assert!(opened.iter().filter(|(peer, _)| peer.unread_bytes() == message.len()).count() >= 100);
    assert_eq!(drained(&mut rig).len(), opened.len());
    assert_eq!(rig.reactor.parked_bytes, 0);
}

#[test]
fn a_little_room_leaves_the_others_parked_as_they_are() {
    let mut rig = Rig::new();
    let route = routed(|_| {});
    let opened: Vec<_> = (0..50).map(|_| rig.open(&route)).collect();
    full(&mut rig, opened[0].1);
    let messages = [plain(TEXT, &[b'x'; 2000]), plain(TEXT, &[b'y'; 2000])].concat();
    opened.iter().for_each(|(peer, _)| peer.says(&messages[..4000]));
    rig.run();
    let mut places =
        || -> Vec<_> { opened.iter().map(|(_, connection)| rig.slot(*connection).rare().leftover.as_ptr()).collect() };
    let before = places();
    // Room for one message: the intake is full again before the second connection's turn.
    rig.js.drain();
    let ballast = Payload::Owned(vec![0; limits::INTAKE_BYTES - 2000]);
    rig.reactor.intake.message(opened[0].1, MessageKind::Binary, ballast);
    rig.reactor.intake.post();
    rig.reactor.read_on();
    assert!(rig.reactor.intake.is_full());
    let after: Vec<_> = opened.iter().map(|(_, connection)| rig.slot(*connection).rare().leftover.as_ptr()).collect();
    assert!(before[3..] == after[3..], "bytes that cannot be decoded are not copied again");
    opened.iter().for_each(|(peer, _)| peer.says(&messages[4000..]));
    rig.shared.ring();
    rig.run();
    assert_eq!(drained(&mut rig).iter().filter(|event| event.payload.len() == 2000).count(), 100);
}

#[test]
fn pings_for_a_handler_do_not_grow_a_full_intake() {
    let (mut rig, peer, connection) = opened(|route| {
        route.wants_ping = true;
        route.idle_timeout_seconds = 0;
    });
    full(&mut rig, connection);
    let before = rig.shared.crossing.mailbox.starve().bytes;
    const PINGS: u32 = 80_000;
    for number in 0..PINGS {
        peer.says(&frame(PING, &number.to_le_bytes()));
        rig.run();
    }
    let grown = rig.shared.crossing.mailbox.starve().bytes - before;
    assert!(grown <= limits::PARKED_BYTES / 2, "{grown}");
    assert!(rig.reactor.parked_bytes <= limits::PARKED_BYTES);
    assert!(heard(&peer).len() > 10_000, "they are answered for long");
    // None is lost, and each has come once.
    let events = drained(&mut rig);
    let told: Vec<u32> = events.iter().map(|event| u32::from_le_bytes(event.payload[..].try_into().unwrap())).collect();
    assert!(told.into_iter().eq(0..PINGS));
    rig.assert_idle(connection);
}

#[test]
fn many_small_batches_count_as_what_they_take() {
    let (mut rig, peer, _) = opened(|_| {});
    let mut before = rig.shared.crossing.mailbox.starve().bytes;
    for _ in 0..100 {
        peer.says(&frame(TEXT, b"x"));
        rig.run();
        let now = rig.shared.crossing.mailbox.starve().bytes;
        assert!(now - before > size_of::<crate::bridge::Batch>(), "a batch of one is more than its event");
        before = now;
    }
}
