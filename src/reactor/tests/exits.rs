//! Many connections end at once, and the others are served.

use super::frames::{TEXT, close, frame};
use super::*;
use crate::bridge::CloseCause;
use crate::limits::{AHEAD_MILLISECONDS, EXITS};
use crate::reactor::network::Network;

/// Ends at once: more than some turns look at.
const HERD: usize = 10 * EXITS + 1;

impl Rig {
    /// One turn, and what it has told.
    fn turn(&mut self) -> Vec<Event> {
        self.turn_behind();
        self.js.drain()
    }

    /// One turn while JavaScript is busy.
    fn turn_behind(&mut self) {
        let mut ready = Vec::new();
        self.reactor.network.poll(&mut ready, None).unwrap();
        self.shared.crossing.answer();
        self.reactor.collect();
        self.reactor.turn(&ready, self.now);
    }

    /// Whether the reactor's next turn comes at once.
    fn goes_on(&mut self) -> bool {
        self.reactor.rest(self.now) == Some(Duration::ZERO)
    }
}

#[test]
fn a_message_is_behind_a_bounded_number_of_ends_and_all_ends_are_told() {
    let mut rig = Rig::new();
    let route = routed(|_| {});
    // The poller tells of those that came first, first.
    let herd: Vec<_> = (0..HERD).map(|_| rig.open(&route)).collect();
    let (live, live_connection) = rig.open(&route);
    herd.iter().for_each(|(peer, _)| peer.resets());
    let mut ended = Vec::new();
    for turn in 0..HERD.div_ceil(EXITS) {
        live.says(&frame(TEXT, b"meanwhile"));
        let events = rig.turn();
        let [first, ends @ ..] = &events[..] else { panic!("turn {turn}") };
        assert_eq!((first.kind, first.connection), (EventKind::Message, live_connection));
        assert!(ends.iter().all(|event| event.kind == EventKind::Close));
        assert!((1..=EXITS).contains(&ends.len()), "turn {turn}: {}", ends.len());
        ended.extend(ends.iter().map(|event| event.connection));
        let is_left = ended.len() < HERD;
        assert_eq!(rig.goes_on(), is_left, "turn {turn}");
    }
    // Each once, first come, first served.
    assert_eq!(ended, herd.iter().map(|(_, connection)| *connection).collect::<Vec<_>>());
    assert!(herd.iter().all(|(peer, _)| peer.is_closed()));
    for connection in ended {
        rig.js.command(CommandKind::Release, connection, b"");
    }
    rig.obey();
    rig.assert_idle(live_connection);
    assert_eq!(rig.shared.tally().closes(CloseCause::Reset), HERD as u64);
}

#[test]
fn ends_wait_for_javascript_and_messages_do_not() {
    let mut rig = Rig::new();
    let route = routed(|_| {});
    let herd: Vec<_> = (0..HERD).map(|_| rig.open(&route)).collect();
    let (live, live_connection) = rig.open(&route);
    let closed = || herd.iter().filter(|(peer, _)| peer.is_closed()).count();
    herd.iter().for_each(|(peer, _)| peer.resets());
    rig.turn_behind();
    assert_eq!((closed(), rig.goes_on()), (EXITS, false));
    live.says(&frame(TEXT, b"meanwhile"));
    rig.turn_behind();
    assert_eq!((closed(), rig.goes_on()), (EXITS, false));
    assert_eq!(rig.js.drain().last().map(|event| event.connection), Some(live_connection));
    assert!(!rig.shared.crossing.sleep() && rig.goes_on(), "who takes them wakes the reactor");
    rig.turn_behind();
    assert_eq!((closed(), rig.goes_on()), (2 * EXITS, false));
    // Who takes nothing is waited for once.
    rig.now += Duration::from_millis(AHEAD_MILLISECONDS);
    for turns in 3..=HERD.div_ceil(EXITS) {
        assert!(rig.goes_on());
        rig.turn_behind();
        assert_eq!(closed(), HERD.min(turns * EXITS));
    }
    assert!(!rig.goes_on());
    assert_eq!(drained(&mut rig).len(), HERD - EXITS);
}

#[test]
fn others_have_as_much_time_as_ends_and_a_herd_alone_has_all() {
    const TURN: Duration = Duration::from_micros(200);
    let mut rig = Rig::new();
    let route = routed(|_| {});
    let herd: Vec<_> = (0..HERD).map(|_| rig.open(&route)).collect();
    let (live, live_connection) = rig.open(&route);
    let closed = || herd.iter().filter(|(peer, _)| peer.is_closed()).count();
    herd.iter().for_each(|(peer, _)| peer.resets());
    live.says(&frame(TEXT, b"one"));
    assert_eq!(rig.turn().len(), 1 + EXITS);
    rig.now += TURN;
    assert_eq!(rig.reactor.rest(rig.now), Some(TURN));
    live.says(&frame(TEXT, b"two"));
    rig.now += TURN / 2;
    let [event] = &rig.turn()[..] else { panic!("the message alone") };
    assert_eq!((event.kind, event.connection, closed()), (EventKind::Message, live_connection, EXITS));
    assert_eq!(rig.reactor.rest(rig.now), Some(TURN / 2), "the pause is no longer for it");
    rig.now += TURN / 2;
    // What came between two looks counts for the second.
    for looks in 2..=4 {
        assert!(rig.goes_on());
        assert_eq!(rig.turn().len(), EXITS);
        assert_eq!(closed(), looks * EXITS);
        rig.now += TURN;
        if looks == 2 {
            assert_eq!(rig.reactor.rest(rig.now), Some(TURN));
            rig.now += TURN;
        }
    }
}

#[test]
fn what_was_said_before_an_end_comes_before_it() {
    let mut rig = Rig::new();
    let route = routed(|_| {});
    let herd: Vec<_> = (0..HERD).map(|_| rig.open(&route)).collect();
    for (number, (peer, _)) in herd.iter().enumerate() {
        peer.says(&frame(TEXT, b"one"));
        peer.says(&frame(TEXT, b"two"));
        match number % 3 {
            0 => peer.resets(),
            1 => peer.ends(),
            _ => {
                peer.says(&close(1000, ""));
                peer.ends();
            }
        }
    }
    rig.run();
    let events = drained(&mut rig);
    for (number, (_, connection)) in herd.iter().enumerate() {
        let own: Vec<_> = events.iter().filter(|event| event.connection == *connection).collect();
        let [one, two, end] = &own[..] else { panic!("{number}: {own:?}") };
        assert_eq!((&*one.payload, &*two.payload, end.kind), (&b"one"[..], &b"two"[..], EventKind::Close));
        rig.js.command(CommandKind::Release, *connection, b"");
    }
    rig.obey();
    rig.assert_vacant();
}

#[test]
fn an_end_that_waits_is_none_of_the_next_in_its_place() {
    let mut rig = Rig::new();
    let route = routed(|_| {});
    let herd: Vec<_> = (0..=EXITS).map(|_| rig.open(&route)).collect();
    herd.iter().for_each(|(peer, _)| peer.resets());
    let (_, last) = herd[EXITS];
    assert!(rig.turn().iter().all(|event| event.connection != last));
    // JavaScript closes it before its turn has come, and another takes its place at once.
    rig.js.command(CommandKind::Terminate, last, b"");
    rig.js.command(CommandKind::Release, last, b"");
    rig.js.flush();
    rig.reactor.collect();
    rig.reactor.obey();
    let (next, connection) = rig.open(&route);
    assert_eq!((connection.index, connection == last), (last.index, false));
    next.says(&frame(TEXT, b"alive"));
    assert_eq!(kinds(&rig.events()), [EventKind::Message]);
    rig.assert_idle(connection);
}
