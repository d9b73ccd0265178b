//! The idle clock: pings, timeouts, and what they do not touch.

use super::frames::{PING, PONG, TEXT, frame, said};
use super::*;
use crate::bridge::{CloseCause, RouteId};

const TIMEOUT: &str = "WebSocket timed out from inactivity";

/// Ticks until the ping, and from the ping to the end; `None` if it does not come within `most`.
fn lives<const SHORT_READ_DRAINS: bool>(
    rig: &mut Rig<SHORT_READ_DRAINS>,
    peer: &Peer,
    most: u32,
) -> (Option<u32>, Option<u32>) {
    let mut pinged = None;
    for tick in 1..=most {
        rig.ticks(1);
        match heard(peer).as_slice() {
            [] => {}
            [frame] if *frame == said(PING, b"") && pinged.is_none() => pinged = Some(tick),
            frames => panic!("{frames:?}"),
        }
        if peer.is_closed() {
            let events = rig.js.drain();
            assert_eq!(kinds(&events), [EventKind::Close]);
            assert_eq!(
                (events[0].flags, events[0].code(), events[0].reason()),
                (CloseCause::Timeout as u8, 1006, TIMEOUT)
            );
            return (pinged, Some(tick));
        }
    }
    (pinged, None)
}

#[test]
fn pings_and_timeouts_at_their_ticks_whatever_the_wrap() {
    for (timeout, pings, at_ping, at_end) in [
        (8, true, Some(2), 3),
        (32, true, Some(5), 9),
        (120, true, Some(27), 31),
        (960, true, Some(237), 241),
        (8, false, None, 3),
        (960, false, None, 241),
    ] {
        let route = routed(|route| {
            route.idle_timeout_seconds = timeout;
            route.send_pings_automatically = pings;
        });
        let mut rig = Rig::new();
        // Keeps the clock going between the others.
        let (_keeper, _) = rig.open(&routed(|route| {
            route.id = RouteId(1);
            route.idle_timeout_seconds = 0;
        }));
        for start in [0, 9, 249 - 9, 3, 251] {
            rig.ticks(start);
            let (peer, connection) = rig.open(&route);
            // The first ping of a connection that says nothing may come earlier.
            peer.says(&frame(PONG, b""));
            rig.run();
            assert_eq!(lives(&mut rig, &peer, 300), (at_ping, Some(at_end)), "{timeout} s, {pings}");
            rig.release(connection);
        }
    }
}

#[test]
fn connections_that_came_together_are_pinged_apart() {
    let mut rig = Rig::new();
    let route = routed(|route| route.idle_timeout_seconds = 120);
    let peers: Vec<Peer> = (0..260).map(|_| rig.open(&route).0).collect();
    let mut pings = Vec::new();
    for _ in 1..=27 {
        rig.ticks(1);
        pings.push(peers.iter().filter(|peer| heard(peer) == [said(PING, b"")]).count());
    }
    assert_eq!(pings.iter().sum::<usize>(), peers.len(), "all within the time, and once: {pings:?}");
    assert_eq!(pings.iter().position(|&count| count > 0), Some(14), "in the second half of it: {pings:?}");
    assert!(pings.iter().all(|&count| count <= 40), "a thirteenth of them each, more or less: {pings:?}");
}

#[test]
fn no_timeout_where_it_is_off() {
    let mut rig = Rig::new();
    let (peer, connection) = rig.open(&routed(|route| route.idle_timeout_seconds = 0));
    assert_eq!(lives(&mut rig, &peer, 600), (None, None));
    rig.assert_idle(connection);
}

#[test]
fn any_byte_begins_the_time_anew() {
    let mut rig = Rig::new();
    let (peer, connection) = rig.open(&routed(|route| route.idle_timeout_seconds = 8));
    // A frame that comes so slowly that each byte is the only one between two ticks.
    for byte in frame(TEXT, b"a slow message") {
        rig.ticks(1);
        peer.says(&[byte]);
        rig.run();
    }
    assert_eq!(kinds(&rig.js.drain()), [EventKind::Message]);
    assert!(heard(&peer).is_empty(), "no ping was due");
    // An answer to the ping counts as well, and the next ping comes again.
    for _ in 0..3 {
        rig.ticks(2);
        assert_eq!(heard(&peer), [said(PING, b"")]);
        peer.says(&frame(PONG, b""));
        rig.run();
    }
    assert!(!rig.slot(connection).pinged);
    rig.assert_idle(connection);
    assert_eq!(lives(&mut rig, &peer, 10), (Some(2), Some(3)));
}

#[test]
fn sending_is_no_sign_of_life_but_a_drain_is() {
    let mut rig = Rig::new();
    let (peer, connection) = rig.open(&routed(|route| route.idle_timeout_seconds = 8));
    for _ in 0..2 {
        rig.js.send(connection, TEXT, b"are you there?");
        rig.obey();
        rig.ticks(1);
    }
    assert_eq!(heard(&peer).pop(), Some(said(PING, b"")));
    peer.room(1);
    rig.js.send(connection, TEXT, b"waits");
    rig.obey();
    peer.take();
    peer.room(usize::MAX);
    rig.run();
    peer.take();
    rig.js.drain();
    assert_eq!(lives(&mut rig, &peer, 10), (Some(2), Some(3)));
}

#[test]
fn a_slow_reader_lives_while_it_reads() {
    let mut rig = Rig::new();
    let (peer, connection) = rig.open(&routed(|route| route.idle_timeout_seconds = 8));
    peer.room(0);
    rig.js.send(connection, TEXT, &[b'x'; 100]);
    rig.obey();
    for _ in 0..10 {
        rig.ticks(2);
        peer.room(10);
        rig.run();
    }
    assert_eq!(rig.phase(connection), Phase::Open);
    assert!(!kinds(&rig.js.drain()).contains(&EventKind::Close));
    rig.ticks(3);
    assert_eq!(kinds(&rig.js.drain()), [EventKind::Close]);
}

#[test]
fn a_jump_of_time_is_one_tick() {
    let mut rig = Rig::new();
    let (peer, connection) = rig.open(&routed(|route| route.idle_timeout_seconds = 8));
    rig.now += Duration::from_secs(3600);
    rig.run();
    assert!(heard(&peer).is_empty());
    rig.now += Duration::from_secs(3600);
    rig.run();
    assert_eq!(heard(&peer), [said(PING, b"")]);
    peer.says(&frame(PONG, b""));
    rig.now += Duration::from_secs(3600);
    rig.run();
    rig.assert_idle(connection);
}

#[test]
fn what_came_during_a_stall_counts_although_the_poller_has_not_told_it() {
    let mut rig = Rig::new();
    let (peer, connection) = rig.open(&routed(|route| route.idle_timeout_seconds = 8));
    rig.ticks(2);
    assert_eq!(heard(&peer), [said(PING, b"")]);
    // The poller tells of so many sockets that this one is not yet among them.
    peer.says(&frame(PONG, b""));
    rig.now += TICK;
    rig.reactor.turn(&[], rig.now);
    rig.run();
    assert!(rig.js.drain().is_empty());
    rig.assert_idle(connection);
    assert_eq!(lives(&mut rig, &peer, 10), (Some(2), Some(3)));
}

#[test]
fn a_last_look_that_is_interrupted_is_taken_again() {
    let mut rig = Rig::new();
    let (peer, _) = rig.open(&routed(|route| route.idle_timeout_seconds = 8));
    rig.ticks(2);
    assert_eq!(heard(&peer), [said(PING, b"")]);
    peer.interrupts(1);
    rig.ticks(1);
    assert!(!peer.is_closed());
    assert_eq!(lives(&mut rig, &peer, 10), (Some(2), Some(3)));
}

#[test]
fn the_clock_stands_still_when_nobody_is_there() {
    let mut rig = Rig::new();
    let route = routed(|route| route.idle_timeout_seconds = 8);
    for _ in 0..3 {
        let (peer, connection) = rig.open(&route);
        assert_eq!(lives(&mut rig, &peer, 10), (Some(2), Some(3)));
        rig.release(connection);
        rig.assert_vacant();
        rig.now += Duration::from_secs(1000);
    }
}

#[test]
fn old_connections_are_asked_to_reconnect_not_all_at_once() {
    let mut rig = Rig::new();
    let route = routed(|route| {
        route.idle_timeout_seconds = 0;
        route.max_lifetime_minutes = 10;
    });
    let peers: Vec<_> = (0..200).map(|_| rig.open(&route)).collect();
    let mut ends = Vec::new();
    for tick in 1..=200u32 {
        rig.ticks(1);
        for event in rig.js.drain() {
            assert_eq!((event.kind, event.flags), (EventKind::Close, CloseCause::Local as u8));
            assert_eq!((event.code(), event.reason()), (1000, "please reconnect"));
            rig.js.command(CommandKind::Release, event.connection, b"");
            ends.push(tick);
        }
        rig.js.flush();
    }
    rig.run();
    assert_eq!(ends.len(), 200);
    assert!(ends.iter().all(|tick| (135..=165).contains(tick)), "150 ticks, give or take 10 %");
    assert!(ends.iter().max().unwrap() - ends.iter().min().unwrap() > 20);
    for (peer, _) in &peers {
        assert_eq!(heard(peer), [frames::closed(1000, "please reconnect")]);
        peer.ends();
    }
    rig.run();
    rig.assert_vacant();
}

#[test]
fn the_longest_lifetime_fits_its_column() {
    let mut rig = Rig::new();
    let route = routed(|route| {
        route.idle_timeout_seconds = 0;
        route.max_lifetime_minutes = 239;
    });
    let (peer, connection) = rig.open(&route);
    let mut ticks = 0;
    while rig.js.drain().is_empty() {
        rig.ticks(1);
        ticks += 1;
        assert!(ticks < 4000);
    }
    assert!(ticks > 239 * 15 * 89 / 100);
    rig.release(connection);
    peer.ends();
    rig.run();
    rig.assert_vacant();
}
