//! What a reactor counts, and when others see it.

use super::frames::{BINARY, PING, PONG, TEXT, close, fragment, frame};
use super::*;
use crate::bridge::CloseCause;
use crate::reactor::Tally;

/// The causes of which there was one, and nothing else.
fn causes(tally: &Tally) -> Vec<CloseCause> {
    CloseCause::ALL.into_iter().filter(|cause| tally.closes(*cause) == 1).collect()
}

#[test]
fn what_comes_and_goes_is_counted_with_its_bytes() {
    let mut rig = Rig::new();
    let early = frame(TEXT, b"early");
    let peer = rig.adopt(&routed(|_| {}), &early);
    let connection = rig.js.drain()[0].connection;
    let said =
        [frame(TEXT, b"one"), fragment(BINARY, false, b"t"), fragment(0, true, b"wo"), frame(PING, b"")].concat();
    peer.says(&said);
    peer.says(&frame(PONG, b"p"));
    rig.run();
    rig.js.send(connection, TEXT, b"answer");
    rig.js.send(connection, PING, b"");
    rig.obey();
    let tally = rig.shared.tally();
    assert_eq!((tally.opened, tally.connections()), (1, 1));
    assert_eq!((tally.messages_in, tally.messages_out), (3, 1));
    assert_eq!((tally.pings_in, tally.pings_out, tally.pongs_in), (1, 1, 1));
    assert_eq!(tally.bytes_in, (early.len() + said.len() + frame(PONG, b"p").len()) as u64);
    assert_eq!(tally.bytes_out, peer.take().len() as u64);
    assert_eq!(tally.dropped, 0);
}

#[test]
fn what_javascript_can_take_is_counted_already() {
    let mut rig = Rig::new();
    let (peer, _) = rig.open(&routed(|_| {}));
    // More than a batch holds: some are posted in the middle of the turn.
    peer.says(&frame(TEXT, b"x").repeat(2 * crate::limits::DRAIN_EVENTS + 1));
    rig.run();
    let waiting = rig.shared.crossing.mailbox.waiting();
    let before = rig.shared.tally();
    assert_eq!((waiting.events, before.messages_in), (2 * crate::limits::DRAIN_EVENTS + 1, waiting.events as u64));
    assert_eq!((before.batches, before.events), (4, before.messages_in + 1));
    rig.js.drain();
    let left = rig.shared.crossing.mailbox.waiting();
    assert_eq!((left.batches, left.events, left.bytes), (0, 0, 0));
    assert_eq!(rig.shared.tally(), before);
}

#[test]
fn each_end_has_its_cause_once() {
    type End = fn(&mut Rig, &Peer, ConnectionId);
    let ends: [(CloseCause, End); 9] = [
        (CloseCause::Peer, |rig, peer, _| {
            peer.says(&close(1000, ""));
            rig.run();
        }),
        (CloseCause::Local, |rig, _, connection| rig.js.command(CommandKind::End, connection, b"")),
        (CloseCause::Local, |rig, _, connection| rig.js.command(CommandKind::Terminate, connection, b"")),
        (CloseCause::Local, |rig, _, connection| rig.js.command(CommandKind::TerminateAll, connection, b"")),
        (CloseCause::Fin, |_, peer, _| peer.ends()),
        (CloseCause::Reset, |_, peer, _| peer.resets()),
        // The application's end and the network's meet: the first that is seen counts.
        (CloseCause::Reset, |rig, peer, connection| {
            peer.write_error(std::io::ErrorKind::BrokenPipe);
            rig.js.send(connection, TEXT, b"lost");
            rig.js.command(CommandKind::Terminate, connection, b"");
        }),
        (CloseCause::Timeout, |rig, _, _| rig.ticks(3)),
        (CloseCause::Protocol, |_, peer, _| peer.says(&[0xff, 0xff])),
    ];
    for (cause, end) in ends {
        let mut rig = Rig::new();
        let (peer, connection) = rig.open(&routed(|route| route.idle_timeout_seconds = 8));
        end(&mut rig, &peer, connection);
        rig.obey();
        let tally = rig.shared.tally();
        assert_eq!((causes(&tally), tally.connections()), (vec![cause], 0), "{cause:?}");
        rig.js.drain();
        rig.release(connection);
        rig.ticks(crate::reactor::sweep::CLOSING_TICKS);
        assert_eq!(causes(&rig.shared.tally()), [cause]);
    }
}

#[test]
fn what_waits_for_a_slow_peer_is_counted_until_it_is_written_or_dropped_with_it() {
    for is_read in [true, false] {
        let mut rig = Rig::new();
        let (peer, connection) = rig.open(&routed(|route| route.max_backpressure_bytes = 1000));
        peer.room(30);
        (0..20).for_each(|_| rig.js.send(connection, TEXT, &[b'x'; 196]));
        rig.obey();
        let tally = rig.shared.tally();
        assert_eq!((tally.outbox_bytes, tally.bytes_out), (rig.slot(connection).waiting_bytes() as u64, 30));
        assert_eq!((tally.messages_out + tally.dropped, tally.outbox_bytes + 30), (20, 200 * tally.messages_out));
        assert!(tally.dropped > 0);
        if is_read {
            peer.room(100);
            rig.run();
            assert_eq!(rig.shared.tally().outbox_bytes, tally.outbox_bytes - 100);
            peer.room(usize::MAX);
            rig.run();
            assert_eq!(rig.shared.tally().bytes_out, 200 * tally.messages_out);
        } else {
            rig.js.command(CommandKind::Terminate, connection, b"");
            rig.obey();
            assert_eq!(rig.shared.tally().bytes_out, 30);
        }
        assert_eq!(rig.shared.tally().outbox_bytes, 0);
    }
}

#[test]
fn pings_of_the_idle_clock_count_as_sent() {
    let mut rig = Rig::new();
    let (peer, _) = rig.open(&routed(|route| route.idle_timeout_seconds = 16));
    while heard(&peer).is_empty() {
        rig.ticks(1);
    }
    assert_eq!(rig.shared.tally().pings_out, 1);
}
