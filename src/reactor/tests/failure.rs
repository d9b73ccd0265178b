//! What a panic leaves: of the connections, of the numbers, and for those that come later.

use super::client::{TLS12, TLS13};
use super::frames::{BINARY, TEXT, close, closed, fragment, frame, said};
use super::*;
use crate::bridge::command::{ANSWER_UPGRADE, FLAG_FIN};
use crate::bridge::event::failed;
use crate::bridge::{CloseCause, Held, RouteId, Share};
use crate::error::{FaultPoint, Panic};
use crate::reactor::sweep::CLOSING_TICKS;
use crate::reactor::{Departed, Pass, Visit};

const GOODBYE: (u16, &str) = (1011, "internal error");

impl<const SHORT_READ_DRAINS: bool> Rig<SHORT_READ_DRAINS> {
    /// Runs into a panic at this point, and recovers from it, as the thread does.
    fn fails(mut self, point: FaultPoint) -> Self {
        self.shared.crossing.faults.arm(point);
        let panic = Panic::catch(|| self.obey()).expect_err("nothing has passed the point");
        self.asleep = false;
        let Self { reactor, now, .. } = self;
        let mut rig = Self { reactor: reactor.recovered(&panic, now), ..self };
        rig.run();
        rig
    }

    /// The events, of which the last one tells of the failure, and how many connections it says that it has cost.
    fn failure(&mut self) -> (Vec<Event>, u64) {
        let mut events = self.js.drain();
        let failed = events.pop().unwrap();
        assert_eq!(
            (failed.kind, failed.connection, failed.flags),
            (EventKind::Failed, ConnectionId::NONE, failed::REACTOR)
        );
        let text = String::from_utf8(failed.payload).unwrap();
        (events, text.lines().next().unwrap().parse().unwrap())
    }
}

/// Three connections, of which the first is at work when the reactor panics.
fn three() -> (Rig, Vec<(Peer, ConnectionId)>) {
    let mut rig = Rig::new();
    let route = routed(|_| {});
    let open = (0..3).map(|_| rig.open(&route)).collect();
    (rig, open)
}

fn close_all<const SHORT_READ_DRAINS: bool>(rig: &mut Rig<SHORT_READ_DRAINS>, peers: &[(Peer, ConnectionId)]) {
    for (peer, _) in peers {
        peer.says(&close(GOODBYE.0, ""));
        peer.ends();
    }
    rig.run();
    assert!(peers.iter().all(|(peer, _)| peer.is_closed()));
}

#[test]
fn every_peer_is_told_and_every_connection_counted_once() {
    for point in [FaultPoint::Command, FaultPoint::Decoding] {
        let (mut rig, open) = three();
        match point {
            FaultPoint::Command => rig.js.send(open[0].1, TEXT, b"never"),
            _ => open[0].0.says(&frame(TEXT, b"heard")),
        }
        let mut rig = rig.fails(point);
        let (events, cost) = rig.failure();
        let before = if point == FaultPoint::Decoding { vec![EventKind::Message] } else { vec![] };
        assert_eq!((kinds(&events), cost), (before, 3));
        for (peer, _) in &open {
            assert_eq!(heard(peer), [closed(GOODBYE.0, GOODBYE.1)]);
            assert!(peer.is_finished() && !peer.is_closed());
        }
        let tally = rig.shared.tally();
        assert_eq!((tally.opened, tally.connections(), tally.closes(CloseCause::Failure)), (3, 0, 3));
        close_all(&mut rig, &open);
        rig.assert_vacant();
    }
}

#[test]
fn who_arrives_in_the_turn_that_panics_is_told_of_and_closed() {
    let mut rig = Rig::new();
    let (socket, peer) = connection();
    let ticket = connected(&rig.census);
    rig.adoptions.push((plain(socket, Vec::new()), ticket, routed(|_| {})));
    rig.shared.ring();
    let mut rig = rig.fails(FaultPoint::Adoption);
    let (events, cost) = rig.failure();
    assert_eq!((kinds(&events), cost), (vec![EventKind::Open], 1));
    assert_eq!(heard(&peer), [closed(GOODBYE.0, GOODBYE.1)]);
    // Its socket is not watched yet, so nobody hears of its FIN.
    peer.ends();
    rig.ticks(CLOSING_TICKS + 1);
    assert!(peer.is_closed());
    rig.assert_vacant();
}

#[test]
fn commands_for_those_that_are_gone_meet_nobody() {
    let (mut rig, open) = three();
    rig.js.send(open[0].1, TEXT, b"never");
    let mut rig = rig.fails(FaultPoint::Command);
    rig.failure();
    close_all(&mut rig, &open);
    let route = routed(|_| {});
    let later: Vec<_> = (0..3).map(|_| rig.open(&route)).collect();
    for ((_, old), (_, new)) in open.iter().zip(&later) {
        assert!(later.iter().any(|(_, new)| new.index == old.index), "places are used again");
        assert_ne!(old, new);
        rig.js.send(*old, TEXT, b"never");
        rig.js.end(*old, 1000, "");
        rig.js.command(CommandKind::Terminate, *old, b"");
        rig.js.command(CommandKind::Release, *old, b"");
    }
    for (peer, id) in &later {
        rig.js.send(*id, TEXT, b"welcome");
        rig.obey();
        assert_eq!(heard(peer), [said(TEXT, b"welcome")]);
        rig.assert_idle(*id);
    }
}

#[test]
fn topics_begin_anew() {
    let (mut rig, open) = three();
    let words = |topic: u32, id: u32| [topic.to_le_bytes(), id.to_le_bytes()].concat();
    for (number, (_, id)) in open.iter().enumerate() {
        rig.js.command(CommandKind::Subscribe, *id, &words(5, number as u32));
    }
    rig.obey();
    rig.js.send(open[0].1, TEXT, b"never");
    let mut rig = rig.fails(FaultPoint::Command);
    rig.failure();
    close_all(&mut rig, &open);
    // As `lib/` does when it closes them: behind the last one, numbers begin anew.
    for (number, (_, id)) in open.iter().enumerate() {
        rig.js.command(CommandKind::Unsubscribe, *id, &(number as u32).to_le_bytes());
    }
    let (peer, id) = rig.open(&routed(|_| {}));
    let (other, _) = rig.open(&routed(|_| {}));
    rig.js.command(CommandKind::Subscribe, id, &words(5, 0));
    let publication = [&5u32.to_le_bytes()[..], b"news"].concat();
    rig.js.with_flags(CommandKind::Publish, FLAG_FIN | TEXT, ConnectionId::NONE, &publication);
    rig.obey();
    assert_eq!((heard(&peer), heard(&other)), (vec![said(TEXT, b"news")], vec![]));
}

#[test]
fn what_waits_for_a_slow_peer_comes_before_the_goodbye() {
    let (mut rig, open) = three();
    let (slow, id) = &open[2];
    slow.room(10);
    rig.js.send(*id, TEXT, &[b'x'; 300]);
    rig.obey();
    assert_eq!(slow.take().len(), 10);
    rig.js.send(open[0].1, TEXT, b"never");
    let mut rig = rig.fails(FaultPoint::Command);
    assert!(rig.shared.tally().outbox_bytes > 290);
    slow.room(1_000);
    rig.run();
    let rest = slow.take();
    // The frame has a head of four bytes, of which it has got the first ten.
    assert_eq!(rest[..294], [b'x'; 294]);
    assert_eq!(frames::decode(&rest[294..]), [closed(GOODBYE.0, GOODBYE.1)]);
    assert_eq!(rig.shared.tally().outbox_bytes, 0);
    close_all(&mut rig, &open);
    rig.assert_vacant();
}

#[test]
fn a_frame_that_may_be_cut_is_followed_by_nothing() {
    let (mut rig, open) = three();
    let (cut, id) = &open[0];
    cut.write_grain(10);
    rig.js.send(*id, TEXT, &[b'x'; 300]);
    let mut rig = rig.fails(FaultPoint::Writing);
    assert_eq!(rig.failure().1, 3);
    assert!(cut.is_closed());
    assert_eq!(cut.take().len(), 10);
    assert_eq!(heard(&open[1].0), [closed(GOODBYE.0, GOODBYE.1)]);
    close_all(&mut rig, &open[1..]);
    rig.assert_vacant();
}

#[test]
fn who_is_closing_already_closes_as_it_was_to() {
    let (mut rig, open) = three();
    let (leaving, _) = &open[1];
    leaving.says(&close(1000, "bye"));
    leaving.ends();
    rig.run();
    rig.js.end(open[2].1, 4000, "enough");
    rig.js.command(CommandKind::Release, open[2].1, b"");
    rig.obey();
    assert_eq!(heard(&open[2].0), [closed(4000, "enough")]);
    rig.js.send(open[0].1, TEXT, b"never");
    let mut rig = rig.fails(FaultPoint::Command);
    let (events, cost) = rig.failure();
    assert_eq!((kinds(&events), cost), (vec![EventKind::Close], 1));
    assert_eq!(heard(leaving), [closed(1000, "")]);
    assert!(leaving.is_closed());
    assert_eq!(heard(&open[2].0), []);
    let tally = rig.shared.tally();
    let closes = [CloseCause::Peer, CloseCause::Local, CloseCause::Failure].map(|cause| tally.closes(cause));
    assert_eq!(closes, [1, 1, 1]);
    close_all(&mut rig, &[open[0].clone(), open[2].clone()]);
    rig.assert_vacant();
}

#[test]
fn requests_get_no_answer_and_their_sockets_no_place() {
    let (mut rig, open) = three();
    let (answers, answered) = std::sync::mpsc::channel();
    let passes: Vec<Pass> = (0..2)
        .map(|_| {
            let (pass, answers) = (Pass::default(), answers.clone());
            let answer = Box::new(move |answer| drop(answers.send(answer)));
            let (route, head) = (routed(|route| route.id = RouteId(1)), b"GET".to_vec());
            rig.reactor
                .receive(Visit { route, agreement: None, head, peer: None, pass: pass.clone(), answer }, rig.now);
            pass
        })
        .collect();
    rig.shared.ring();
    rig.run();
    // One is upgraded, and its socket is still to come.
    rig.js.answer(passes[1].connection().unwrap(), ANSWER_UPGRADE, b"\n");
    rig.obey();
    assert!(answered.try_recv().is_ok());
    rig.js.drain();
    rig.js.send(open[0].1, TEXT, b"never");
    let mut rig = rig.fails(FaultPoint::Command);
    assert_eq!(rig.failure().1, 4);
    drop(answers);
    assert_eq!(answered.recv().ok(), None, "the channel is dropped");
    for pass in &passes {
        let (socket, peer) = connection();
        rig.reactor.seat(plain(socket, Vec::new()), connected(&rig.census), pass);
        rig.reactor.depart(pass);
        assert!(peer.is_closed());
    }
    close_all(&mut rig, &open);
    rig.assert_vacant();
}

#[test]
fn a_secure_peer_is_told_too() {
    for version in [&TLS12, &TLS13] {
        let mut rig = Rig::new();
        let route = routed(|_| {});
        let (mut quiet, _) = rig.open_secure(&route, version);
        let (mut busy, _) = rig.open_secure(&route, version);
        busy.says(&frame(TEXT, b"heard"));
        let mut rig = rig.fails(FaultPoint::Decoding);
        let (events, cost) = rig.failure();
        assert_eq!((kinds(&events), cost), (vec![EventKind::Message], 2));
        for client in [&mut quiet, &mut busy] {
            assert_eq!(client.hears(), [closed(GOODBYE.0, GOODBYE.1)]);
            let end = client.sealed_end();
            client.peer.says(&end);
            client.peer.ends();
        }
        rig.run();
        assert!(quiet.peer.is_closed() && busy.peer.is_closed());
        rig.assert_vacant();
    }
}

#[test]
fn a_shutdown_goes_on() {
    let (mut rig, open) = three();
    rig.js.command(CommandKind::Shutdown, ConnectionId::NONE, &1001u16.to_le_bytes());
    rig.obey();
    rig.js.send(open[0].1, TEXT, b"the last");
    let mut rig = rig.fails(FaultPoint::Command);
    let (events, cost) = rig.failure();
    assert_eq!((kinds(&events), cost), (vec![EventKind::Close; 3], 0));
    for (peer, _) in &open {
        assert_eq!(heard(peer), [closed(1001, "")]);
    }
    let late = rig.adopt(&routed(|_| {}), b"");
    let events = rig.js.drain();
    assert_eq!(kinds(&events), [EventKind::Open, EventKind::Close]);
    rig.release(events[0].connection);
    assert_eq!(heard(&late), [closed(1001, "")]);
    close_all(&mut rig, &open);
    close_all(&mut rig, &[(late, ConnectionId::NONE)]);
    rig.assert_vacant();
    assert_eq!(rig.shared.tally().departed, Departed { closed: 4, forced: 0 });
}

#[test]
fn the_budget_is_told_of_what_is_left() {
    const BUDGET_BYTES: usize = 1_000_000;
    let mut rig = Rig::with_budget(BUDGET_BYTES);
    let budget = rig.shared.crossing.budget().clone();
    let route = routed(|route| {
        route.max_backpressure_bytes = 0;
        route.max_payload_bytes = BUDGET_BYTES;
    });
    let open: Vec<_> = (0..3).map(|_| rig.open(&route)).collect();
    let (mut client, secure) = rig.open_secure(&route, &TLS13);
    // Half a message, and half a record.
    open[0].0.says(&fragment(BINARY, false, &[0; 100_000]));
    let record = client.sealed(&frame(BINARY, &[b'x'; 10_000]));
    client.peer.says(&record[..9_000]);
    rig.run();
    // Bytes of its own, and bytes that others get, too.
    for (number, (peer, connection)) in open.iter().enumerate() {
        peer.room(0);
        let words = [1u32.to_le_bytes(), (number as u32).to_le_bytes()].concat();
        rig.js.command(CommandKind::Subscribe, *connection, &words);
    }
    rig.js.send(open[1].1, BINARY, &[0; 50_000]);
    let nobody = ConnectionId { index: u32::MAX, generation: 0 };
    rig.js.large(CommandKind::PublishLarge, BINARY, nobody, &1u32.to_le_bytes(), vec![7; 100_000]);
    rig.obey();
    let (before, held) = (rig.shared.tally(), rig.reactor.member.held_bytes());
    assert!((259_000..330_000).contains(&held), "{held}: {before:?}");
    assert!(before.assembly_bytes >= 100_000 && before.session_bytes == 9_000, "{before:?}");
    assert_eq!(before.outbox_shared_bytes, 300_000);
    rig.js.drain();
    rig.js.send(secure, BINARY, b"never");
    let mut rig = rig.fails(FaultPoint::Command);
    assert_eq!(rig.failure().1, 4);
    let tally = rig.shared.tally();
    assert_eq!((tally.assembly_bytes, tally.outbox_shared_bytes), (0, 300_000));
    let waiting = tally.outbox_bytes - tally.outbox_shared_bytes;
    assert!((50_000..51_000).contains(&waiting), "{waiting}");
    let held = rig.reactor.member.held_bytes();
    assert!((150_000..170_000).contains(&held), "{held}");
    // With no more of them nothing is held; its bid is still worth something to others.
    open.iter().for_each(|(peer, _)| peer.room(usize::MAX));
    close_all(&mut rig, &open);
    client.peer.ends();
    rig.ticks(CLOSING_TICKS + 1);
    assert_eq!(rig.reactor.member.held_bytes(), 0);
    rig.assert_vacant();
    let mut share = Share::of(&budget);
    share.hold(Held { inside_bytes: 0, outside_bytes: BUDGET_BYTES });
    rig.run();
    assert!(!budget.level().closes(), "it was the only one, and has said that it has nothing");
}
