//! The memory budget of an App: what stops at which part of it, who is closed at its end, and what comes back.

use super::client::TLS13;
use super::frames::{BINARY, CONTINUATION, PING, PONG, TEXT, closed, fragment, frame, said};
use super::*;
use crate::bridge::{CloseCause, Crossing, Held, Member, Ruling, Share};
use crate::limits::{BUDGET_STEP, BUDGET_STOPPED_SECONDS, TICK_SECONDS};

const BUDGET_BYTES: usize = 1_000_000;

/// Peers that read nothing, for which so many bytes wait.
fn slow(rig: &mut Rig, route: &Arc<Route>, bytes: &[usize]) -> Vec<(Peer, ConnectionId)> {
    let opened: Vec<_> = bytes.iter().map(|_| rig.open(route)).collect();
    for ((peer, connection), bytes) in opened.iter().zip(bytes) {
        peer.room(0);
        rig.js.send(*connection, BINARY, &vec![0; *bytes]);
    }
    rig.obey();
    opened
}

fn generous() -> Arc<Route> {
    routed(|route| {
        route.max_backpressure_bytes = 0;
        route.max_payload_bytes = 10 * BUDGET_BYTES;
        route.idle_timeout_seconds = 0;
    })
}

/// Bytes that wait elsewhere in the App.
fn elsewhere(rig: &Rig, held: Held) -> Share {
    let mut share = Share::of(rig.shared.crossing.budget());
    share.hold(held);
    share
}

fn outside(bytes: usize) -> Held {
    Held { inside_bytes: 0, outside_bytes: bytes }
}

fn inside(bytes: usize) -> Held {
    Held { inside_bytes: bytes, outside_bytes: 0 }
}

/// The ends among the events: place, code.
fn ends(events: &[Event]) -> Vec<(ConnectionId, u16)> {
    let closes = events.iter().filter(|event| event.kind == EventKind::Close);
    closes
        .inspect(|event| assert_eq!(event.flags, CloseCause::Memory as u8))
        .map(|e| (e.connection, e.code()))
        .collect()
}

#[test]
fn at_95_percent_reading_stops_and_pings_are_answered_and_the_idle_clock_stands_still() {
    let mut rig = Rig::with_budget(BUDGET_BYTES);
    let route = routed(|route| route.idle_timeout_seconds = 8);
    let (peer, connection) = rig.open(&route);
    let other = elsewhere(&rig, inside(955_000));
    peer.says(&[frame(PING, b"1"), frame(TEXT, b"first")].concat());
    rig.run();
    assert_eq!(heard(&peer), [said(PONG, b"1")]);
    assert!(rig.js.drain().is_empty());
    // What was parked keeps what follows in the kernel.
    peer.says(&frame(TEXT, b"second"));
    rig.ticks(50);
    assert!(peer.unread_bytes() > 0 && !peer.is_closed());
    // The bell of another thread's relief wakes this one.
    drop(other);
    rig.run();
    assert_eq!(kinds(&rig.js.drain()), [EventKind::Message, EventKind::Message]);
    rig.assert_idle(connection);
    assert_eq!(rig.shared.crossing.budget().reached().reading, 1);
}

#[test]
fn at_98_percent_nothing_is_read_that_would_be_parked() {
    let mut rig = Rig::with_budget(BUDGET_BYTES);
    let (peer, connection) = rig.open(&generous());
    let mut other = elsewhere(&rig, inside(985_000));
    assert!(rig.shared.crossing.budget().level().stops_accepting());
    peer.says(&frame(PING, b"1"));
    rig.run();
    assert!(peer.unread_bytes() > 0 && heard(&peer).is_empty());
    other.hold(inside(920_000));
    peer.says(&frame(PING, b"2"));
    rig.run();
    assert_eq!(heard(&peer), [said(PONG, b"1"), said(PONG, b"2")], "reading is stopped still, but for this");
    assert!(rig.shared.crossing.budget().level().stops_reading());
    drop(other);
    rig.run();
    rig.assert_idle(connection);
}

#[test]
fn at_the_end_those_with_the_most_waiting_are_closed_until_there_is_room() {
    let mut rig = Rig::with_budget(BUDGET_BYTES);
    let route = generous();
    let (healthy, healthy_connection) = rig.open(&route);
    let opened = slow(&mut rig, &route, &[100_000, 180_000, 90_000, 150_000, 110_000, 160_000, 120_000]);
    assert!(rig.js.drain().iter().all(|event| event.kind == EventKind::Backlog));
    // The drop that is too much is of one that is not the heaviest.
    rig.js.send(opened[2].1, BINARY, &[0; 120_000]);
    let events = rig.events();
    assert_eq!(ends(&events), [(opened[2].1, 1013), (opened[1].1, 1013)]);
    assert!(opened.iter().enumerate().all(|(at, (peer, _))| peer.is_closed() == [1, 2].contains(&at)));
    healthy.says(&frame(TEXT, b"goes on"));
    assert_eq!(kinds(&rig.events()), [EventKind::Message]);
    rig.assert_idle(healthy_connection);
    let tally = rig.shared.tally();
    assert_eq!((tally.shed, tally.closes(CloseCause::Memory)), (2, 2));
    assert_eq!(rig.shared.crossing.budget().reached().closing, 1);
    for (peer, _) in &opened {
        peer.room(usize::MAX);
    }
    rig.run();
    for (_, connection) in opened {
        rig.js.command(CommandKind::Terminate, connection, b"");
        rig.js.command(CommandKind::Release, connection, b"");
    }
    rig.js.command(CommandKind::Terminate, healthy_connection, b"");
    rig.release(healthy_connection);
    rig.assert_vacant();
}

#[test]
fn messages_of_which_a_part_came_are_given_up_with_a_close_frame() {
    let mut rig = Rig::with_budget(BUDGET_BYTES);
    let route = generous();
    let opened: Vec<_> = (0..20).map(|_| rig.open(&route)).collect();
    for (at, (peer, _)) in opened.iter().enumerate() {
        peer.says(&fragment(BINARY, false, &vec![0; 8_000 + 500 * at]));
        rig.run();
    }
    assert!(rig.shared.tally().assembly_bytes >= 500_000);
    // The last one is the heaviest, and grows until there is no more.
    let (peer, worst) = opened.last().unwrap();
    for _ in 0..10 {
        peer.says(&fragment(CONTINUATION, false, &[0; 60_000]));
        rig.run();
    }
    assert_eq!(ends(&rig.js.drain()), [(*worst, 1013)]);
    rig.js.command(CommandKind::Release, *worst, b"");
    rig.obey();
    assert_eq!(heard(peer), [closed(1013, "the server is short of memory")]);
    let (first, connection) = &opened[0];
    first.says(&fragment(CONTINUATION, true, b"."));
    let events = rig.events();
    assert_eq!((kinds(&events), events[0].payload.len()), (vec![EventKind::Message], 8_001));
    rig.assert_idle(*connection);
    for (_, connection) in &opened {
        rig.js.command(CommandKind::Terminate, *connection, b"");
        rig.js.command(CommandKind::Release, *connection, b"");
    }
    rig.ticks(4);
    rig.obey();
    assert_eq!(rig.shared.tally().assembly_bytes, 0);
    rig.ticks(4);
    rig.assert_vacant();
}

#[test]
fn who_neither_reads_nor_may_be_read_does_not_stop_all_others_for_ever() {
    let mut rig = Rig::with_budget(BUDGET_BYTES);
    let route = generous();
    let opened = slow(&mut rig, &route, &[300_000, 330_000, 330_000]);
    rig.js.drain();
    let (healthy, _) = rig.open(&route);
    healthy.says(&frame(TEXT, b"waits"));
    rig.run();
    assert!(rig.js.drain().is_empty());
    rig.ticks(3);
    let events = rig.js.drain();
    assert_eq!(ends(&events).len(), 1, "{events:?}");
    assert!(!opened[0].0.is_closed());
    rig.run();
    assert!(kinds(&rig.js.drain()).contains(&EventKind::Message) || kinds(&events).contains(&EventKind::Message));
}

/// Peers that read a little at each tick make progress that never comes to anything for the others.
#[test]
fn who_reads_by_drips_does_not_stop_all_others_for_long() {
    const DRIP_BYTES: usize = 1_000;
    let mut rig = Rig::with_budget(BUDGET_BYTES);
    let route = generous();
    let opened = slow(&mut rig, &route, &[300_000, 330_000, 330_000]);
    rig.js.drain();
    let (healthy, connection) = rig.open(&route);
    healthy.says(&frame(TEXT, b"waits"));
    let ticks = BUDGET_STOPPED_SECONDS / TICK_SECONDS;
    for tick in 0..=ticks {
        assert!(rig.js.drain().iter().all(|event| event.kind == EventKind::Backlog), "tick {tick}");
        let held = rig.reactor.member.held_bytes();
        opened.iter().for_each(|(peer, _)| peer.room(DRIP_BYTES));
        rig.run();
        assert!(rig.reactor.member.held_bytes() < held, "tick {tick}: they read");
        assert!(rig.shared.crossing.budget().level().stops_reading());
        rig.ticks(1);
    }
    let events = rig.js.drain();
    assert_eq!(ends(&events).len(), 1, "{events:?}");
    assert!(!opened[0].0.is_closed(), "it has the least");
    assert!(kinds(&events).contains(&EventKind::Message), "{events:?}");
    rig.assert_idle(connection);
}

#[test]
fn what_waits_for_javascript_closes_nobody() {
    let mut rig = Rig::with_budget(BUDGET_BYTES);
    let route = generous();
    let peers: Vec<_> = (0..8).map(|_| rig.open(&route)).collect();
    for _ in 0..40 {
        peers.iter().for_each(|(peer, _)| peer.says(&frame(BINARY, &[0; 10_000])));
        rig.run();
    }
    rig.stand_still();
    let waiting = rig.shared.crossing.mailbox.waiting().bytes;
    assert!((900_000..1_600_000).contains(&waiting), "{waiting}");
    rig.ticks(20);
    assert!(peers.iter().all(|(peer, _)| !peer.is_closed()));
    let mut messages = 0;
    for _ in 0..1_000 {
        let events = rig.js.drain_once();
        messages += events.iter().filter(|event| event.kind == EventKind::Message).count();
        rig.run();
        if messages == 320 {
            break;
        }
    }
    assert_eq!(messages, 320);
    assert_eq!(rig.shared.tally().shed, 0);
}

#[test]
fn what_is_published_to_many_slow_ones_counts_once() {
    let mut rig = Rig::with_budget(BUDGET_BYTES);
    let route = generous();
    let opened: Vec<_> = (0..40).map(|_| rig.open(&route)).collect();
    for (number, (peer, connection)) in opened.iter().enumerate() {
        peer.room(0);
        let words = [1u32.to_le_bytes(), (number as u32).to_le_bytes()].concat();
        rig.js.command(CommandKind::Subscribe, *connection, &words);
    }
    let nobody = ConnectionId { index: u32::MAX, generation: 0 };
    rig.js.large(CommandKind::PublishLarge, BINARY, nobody, &1u32.to_le_bytes(), vec![7; 100_000]);
    rig.obey();
    let tally = rig.shared.tally();
    assert_eq!(tally.outbox_bytes, 40 * 100_010);
    assert!((100_000..120_000).contains(&tally.outbox_memory_bytes), "{}", tally.outbox_memory_bytes);
    assert_eq!(tally.shed, 0);
    opened.iter().for_each(|(peer, _)| peer.room(usize::MAX));
    rig.run();
    assert_eq!((rig.shared.tally().outbox_bytes, rig.shared.tally().outbox_memory_bytes), (0, 0));
}

#[test]
fn records_of_tls_count_until_they_are_whole_or_written() {
    let mut rig = Rig::with_budget(BUDGET_BYTES);
    let (mut client, connection) = rig.open_secure(&generous(), &TLS13);
    let record = client.sealed(&frame(TEXT, &[b'x'; 10_000]));
    client.peer.says(&record[..9_000]);
    rig.run();
    assert_eq!(rig.shared.tally().session_bytes, 9_000);
    client.peer.says(&record[9_000..]);
    rig.run();
    assert_eq!(rig.shared.tally().session_bytes, 0);
    client.peer.room(0);
    rig.js.send(connection, BINARY, &[0; 50_000]);
    rig.obey();
    let tally = rig.shared.tally();
    assert!(tally.session_bytes > 50_000, "{}", tally.session_bytes);
    client.peer.room(usize::MAX);
    rig.run();
    assert_eq!(rig.shared.tally().session_bytes, 0);
}

#[test]
fn many_are_closed_in_steps_and_none_too_many() {
    let mut rig = Rig::with_budget(BUDGET_BYTES);
    let route = generous();
    let opened: Vec<_> = (0..3 * BUDGET_STEP).map(|_| rig.open(&route)).collect();
    for (peer, _) in &opened {
        peer.says(&fragment(BINARY, false, &[0; 400]));
    }
    rig.run();
    let held = rig.shared.tally().assembly_bytes as usize;
    assert!(held < 950_000, "{held}");
    // Somebody else takes half of it at once.
    let share = elsewhere(&rig, inside(500_000));
    rig.run();
    let left = rig.shared.tally().assembly_bytes as usize + 500_000;
    assert!((735_000..750_000).contains(&left), "{left}");
    let closed = ends(&rig.js.drain()).len();
    assert!((BUDGET_STEP..3 * BUDGET_STEP).contains(&closed), "{closed}");
    assert_eq!(rig.shared.tally().shed, closed as u64);
    drop(share);
}

#[test]
fn the_heaviest_of_two_reactors_goes_first() {
    let mut rig = Rig::with_budget(BUDGET_BYTES);
    let budget = rig.shared.crossing.budget().clone();
    let shared = Arc::new(Shared::new(rig.census.clone(), Box::new(|| {}), hooks(&budget)));
    let other = crate::bridge::Member::join(&budget, &shared.crossing);
    let opened = slow(&mut rig, &generous(), &[100_000, 200_000]);
    let mut share = elsewhere(&rig, outside(750_000));
    rig.run();
    assert!(rig.js.drain().iter().all(|event| event.kind == EventKind::Backlog), "the other has not bid");
    assert_eq!(other.bid(300_000), crate::bridge::Ruling::Close);
    share.hold(outside(640_000));
    assert_eq!(other.bid(150_000), crate::bridge::Ruling::Wait);
    rig.run();
    assert_eq!(ends(&rig.js.drain()), [(opened[1].1, 1013)]);
    assert!(!budget.level().closes());
}

/// All that waits is at the gate, for peers that take it ever so slowly: nothing more is accepted, so it does not come
/// to the end of the budget either.
#[test]
fn a_reactor_without_connections_sees_that_the_budget_is_stuck() {
    let mut rig = Rig::with_budget(BUDGET_BYTES);
    rig.run();
    let budget = rig.shared.crossing.budget().clone();
    let gate = Arc::new(Crossing::new(&budget, Box::new(|| {}), Box::new(|| {})));
    let gate = Member::join(&budget, &gate);
    assert!(rig.asleep && rig.reactor.rest(rig.now).is_none());
    let mut share = elsewhere(&rig, outside(985_000));
    assert!(budget.level().stops_accepting() && !budget.level().closes());
    // ORDERING: one thread.
    assert!(rig.woken.load(Ordering::Relaxed), "it has to look at the time");
    rig.run();
    assert!(rig.reactor.rest(rig.now).is_some_and(|rest| rest <= TICK));
    rig.ticks(1);
    assert!(!budget.level().closes(), "it may become less by itself");
    rig.ticks(1);
    assert!(budget.level().closes());
    assert_eq!(gate.bid(30_000), Ruling::Close);
    share.hold(outside(500_000));
    rig.run();
    assert!(rig.asleep && rig.reactor.rest(rig.now).is_none(), "and then it sleeps again");
}
