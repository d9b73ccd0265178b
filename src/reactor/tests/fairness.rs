//! One loud connection does not silence the others.

use super::frames::{TEXT, frame};
use super::*;
use crate::limits;

#[test]
fn each_turn_serves_everyone_beside_a_flood() {
    let mut rig = Rig::new();
    let route = routed(|route| route.max_payload_bytes = 1 << 20);
    let (loud, _) = rig.open(&route);
    let quiet: Vec<_> = (0..50).map(|_| rig.open(&route)).collect();
    let flood = frame(TEXT, &[b'x'; 1000]).repeat(2 * limits::READ_BUFFER_BYTES / 1000);
    let mut ready = Vec::new();
    loud.says(&flood);
    for round in 0..20u8 {
        // The flood never ends: there is always more than a turn reads.
        loud.says(&flood);
        quiet.iter().for_each(|(peer, _)| peer.says(&frame(TEXT, &[b'a' + round])));
        ready.clear();
        crate::reactor::network::Network::poll(&mut rig.reactor.network, &mut ready, None).unwrap();
        rig.shared.crossing.answer();
        rig.reactor.turn(&ready, rig.now);
        let events = rig.js.drain();
        for (peer, connection) in &quiet {
            let own: Vec<_> = events.iter().filter(|event| event.connection == *connection).collect();
            assert_eq!((own.len(), &*own[0].payload), (1, &[b'a' + round][..]));
            assert_eq!(peer.unread_bytes(), 0);
        }
        assert!(loud.unread_bytes() > 0);
        let turns = usize::from(round) + 1;
        assert!((turns..=2 * turns).contains(&loud.reads()), "one read a turn, or two");
        // It goes on with what it left: by itself, or because the drain that made room rang for it.
        assert!(rig.reactor.rest(rig.now) == Some(Duration::ZERO) || !rig.shared.crossing.sleep());
    }
}

#[test]
fn what_one_turn_leaves_the_next_reads() {
    let mut rig = Rig::new();
    let route = routed(|route| route.max_payload_bytes = 1 << 20);
    let peers: Vec<_> = (0..3).map(|_| rig.open(&route)).collect();
    for (peer, _) in &peers {
        peer.says(&frame(TEXT, &vec![b'x'; limits::READ_BUFFER_BYTES + 100_000]));
        peer.says(&frame(TEXT, b"behind"));
    }
    rig.run();
    let mut taken = 0;
    for _ in 0..6 {
        taken += rig.js.drain().len();
        rig.run();
    }
    assert_eq!(taken, 6);
    for (peer, connection) in &peers {
        assert_eq!(peer.unread_bytes(), 0);
        rig.assert_idle(*connection);
    }
}

#[test]
fn a_flood_is_read_as_javascript_keeps_up_and_others_at_once() {
    let mut rig = Rig::new();
    let route = routed(|_| {});
    let flood = frame(TEXT, b"x").repeat(limits::READ_BYTES);
    let loud: Vec<_> = (0..20).map(|_| rig.open(&route)).collect();
    let (quiet, quiet_connection) = rig.open(&route);
    loud.iter().for_each(|(peer, _)| peer.says(&flood));
    rig.run();
    let mut waiting = rig.shared.crossing.mailbox.waiting().events;
    assert!(waiting < limits::FLOOD_EVENTS + 2 * limits::READ_BYTES / 7 + 20 * 4096 / 7, "{waiting}");
    let total = loud.len() * limits::READ_BYTES;
    let mut taken = 0;
    for round in 0..10_000u32 {
        if taken == total {
            break;
        }
        let reads: usize = loud.iter().map(|(peer, _)| peer.reads()).sum();
        quiet.says(&frame(TEXT, &round.to_le_bytes().map(|byte| byte & 0x7f)));
        rig.run();
        // Nobody but the quiet one is read while enough waits.
        if waiting >= limits::AHEAD_EVENTS {
            assert_eq!(loud.iter().map(|(peer, _)| peer.reads()).sum::<usize>(), reads);
        }
        assert_eq!(quiet.unread_bytes(), 0);
        let events = rig.js.drain_once();
        taken += events.iter().filter(|event| event.connection != quiet_connection).count();
        rig.run();
        waiting = rig.shared.crossing.mailbox.waiting().events;
        if round > 100 {
            assert!(waiting < limits::AHEAD_EVENTS + limits::READ_ON_BYTES, "{waiting}");
        }
    }
    rig.js.drain();
    assert_eq!(taken, total);
    for (_, connection) in &loud {
        rig.assert_idle(*connection);
    }
}

#[test]
fn greedy_connections_have_their_turn_one_after_the_other() {
    let mut rig = Rig::new();
    let route = routed(|_| {});
    let flood = frame(TEXT, b"x").repeat(8 * limits::READ_BYTES);
    let loud: Vec<_> = (0..10).map(|_| rig.open(&route)).collect();
    loud.iter().for_each(|(peer, _)| peer.says(&flood));
    for _ in 0..1_000 {
        rig.run();
        rig.js.drain_once();
    }
    let reads: Vec<_> = loud.iter().map(|(peer, _)| peer.reads()).collect();
    let (least, most) = (reads.iter().min().unwrap(), reads.iter().max().unwrap());
    assert!(*least > 10 && most - least <= 1, "{reads:?}");
}

#[test]
fn a_javascript_that_takes_nothing_is_waited_for_a_second() {
    let mut rig = Rig::new();
    let (peer, connection) = rig.open(&routed(|_| {}));
    peer.says(&frame(TEXT, b"x").repeat(4 * limits::READ_BYTES));
    rig.run();
    let left = peer.unread_bytes();
    assert!(left > 0);
    let rest = rig.reactor.rest(rig.now).unwrap();
    assert!(rest <= Duration::from_millis(limits::AHEAD_MILLISECONDS) && rest > Duration::ZERO, "{rest:?}");
    rig.now += rest / 2;
    rig.run();
    assert_eq!(peer.unread_bytes(), left);
    rig.now += rest;
    rig.run();
    assert_eq!(peer.unread_bytes(), 0);
    assert_eq!(rig.js.drain().len(), 4 * limits::READ_BYTES);
    rig.assert_idle(connection);
}
