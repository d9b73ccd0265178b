//! Many connections end at once, and the others are served.

use super::frames::{TEXT, close, frame};
use super::*;
use crate::bridge::CloseCause;
use crate::limits::{AHEAD_MILLISECONDS, EXITS, EXITS_PAUSE_MICROSECONDS, EXITS_TIMES};
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
    for expected in [(2 + EXITS_TIMES) * EXITS, HERD] {
        assert!(rig.goes_on());
        rig.turn_behind();
        assert_eq!(closed(), expected);
    }
    assert!(!rig.goes_on());
    assert_eq!(drained(&mut rig).len(), HERD - EXITS);
}

/// What a turn takes, where the clock goes on in it.
const TURN: Duration = Duration::from_micros(200);

#[test]
fn others_have_as_much_time_as_ends_and_a_herd_alone_has_all() {
    let mut rig = Rig::new();
    let route = routed(|_| {});
    let herd: Vec<_> = (0..HERD).map(|_| rig.open(&route)).collect();
    let (live, live_connection) = rig.open(&route);
    let closed = || herd.iter().filter(|(peer, _)| peer.is_closed()).count();
    let (first, later) = herd.split_at(4 * EXITS);
    first.iter().for_each(|(peer, _)| peer.resets());
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
    assert!(rig.goes_on());
    assert_eq!((rig.turn().len(), closed()), (EXITS, 2 * EXITS));
    rig.now += TURN;
    assert_eq!(rig.reactor.rest(rig.now), Some(TURN));
    rig.now += TURN;
    assert!(rig.goes_on());
    // Further ends are nobody who has to be waited for.
    later.iter().for_each(|(peer, _)| peer.resets());
    for looks in 3..=5 {
        assert_eq!((rig.turn().len(), closed()), (EXITS, looks * EXITS));
        rig.now += TURN;
        assert!(rig.goes_on(), "look {looks}");
    }
}

#[test]
fn a_long_turn_makes_no_long_pause_and_a_late_look_takes_more() {
    const PAUSE: Duration = Duration::from_micros(EXITS_PAUSE_MICROSECONDS);
    let mut rig = Rig::new();
    let route = routed(|_| {});
    let herd: Vec<_> = (0..HERD).map(|_| rig.open(&route)).collect();
    let (live, _) = rig.open(&route);
    herd.iter().for_each(|(peer, _)| peer.resets());
    live.says(&frame(TEXT, b"meanwhile"));
    assert_eq!(rig.turn().len(), 1 + EXITS);
    rig.now += 2 * PAUSE;
    assert_eq!(rig.reactor.rest(rig.now), Some(PAUSE));
    rig.now += PAUSE;
    assert_eq!(rig.turn().len(), 4 * EXITS);
    rig.now += Duration::from_secs(60);
    assert_eq!(rig.turn().len(), HERD - 5 * EXITS, "5 times, and one more");
}

#[test]
fn ends_of_those_that_have_gone_meanwhile_take_no_place() {
    let mut rig = Rig::new();
    let route = routed(|_| {});
    let herd: Vec<_> = (0..HERD).map(|_| rig.open(&route)).collect();
    herd.iter().for_each(|(peer, _)| peer.resets());
    assert_eq!(rig.turn().len(), EXITS);
    for (_, connection) in &herd[EXITS..HERD - EXITS] {
        rig.js.command(CommandKind::Terminate, *connection, b"");
        rig.js.command(CommandKind::Release, *connection, b"");
    }
    rig.js.flush();
    let told: Vec<_> = rig.turn().iter().map(|event| event.connection).collect();
    let left: Vec<_> = herd[HERD - EXITS..].iter().map(|(_, connection)| *connection).collect();
    assert_eq!(told, left);
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
