//! Who sends much waits for JavaScript, and is not forgotten.

use super::frames::{BINARY, TEXT, close, frame};
use super::*;

/// A connection that has more than one read took, and a JavaScript thread that has enough to do.
fn greedy(rig: &mut Rig) -> (Peer, ConnectionId) {
    let (peer, connection) = rig.open(&routed(|_| {}));
    peer.says(&frame(TEXT, b"x").repeat(limits::READ_BYTES));
    rig.run();
    assert_eq!(rig.slot(connection).unread, Unread::Much);
    assert!(rig.reactor.rest(rig.now).unwrap() > Duration::ZERO);
    (peer, connection)
}

#[test]
fn room_that_is_made_while_the_intake_fills_wakes_who_waits() {
    let mut rig = Rig::new();
    let (_, connection) = greedy(&mut rig);
    // JavaScript takes all there is and tells so; others fill the intake; it takes that before the turn ends.
    rig.js.drain();
    let ballast = Payload::Owned(vec![0; limits::INTAKE_BYTES]);
    rig.reactor.intake.message(connection, MessageKind::Binary, ballast);
    rig.reactor.read_greedy(rig.now);
    rig.reactor.intake.post();
    rig.js.drain();
    rig.reactor.intake.look_again();
    assert!(!rig.reactor.intake.is_full());
    assert_eq!(rig.reactor.rest(rig.now), Some(Duration::ZERO));
}

#[test]
fn where_others_keep_javascript_busy_a_greedy_one_gets_a_little() {
    let mut rig = Rig::new();
    let (other, other_connection) = rig.open(&routed(|_| {}));
    let (peer, connection) = greedy(&mut rig);
    let mut reads = 0;
    for round in 0..200 {
        for _ in 0..2 * limits::DRAIN_EVENTS {
            rig.reactor.intake.message(other_connection, MessageKind::Text, Payload::Borrowed(b"from others"));
        }
        other.says(&frame(BINARY, b"at once"));
        let unread = peer.unread_bytes();
        rig.run();
        assert_eq!(other.unread_bytes(), 0);
        rig.js.drain_once();
        rig.now += Duration::from_millis(limits::AHEAD_MILLISECONDS / 20);
        // Whatever wakes the reactor, and however often.
        for _ in 0..3 {
            rig.shared.ring();
            rig.run();
        }
        let read = unread - peer.unread_bytes();
        // And what is missing of a frame that the read before has cut.
        assert!(read < limits::READ_ON_BYTES + 7, "once for what JavaScript takes");
        assert!(read == 0 || round >= 18, "not before its time");
        reads += usize::from(read > 0);
    }
    assert!(reads > 10, "{reads}");
    drained(&mut rig);
    rig.assert_idle(connection);
}

#[test]
fn a_greedy_one_that_is_closing_is_heard_at_once() {
    for is_reset in [false, true] {
        let mut rig = Rig::new();
        let (peer, connection) = greedy(&mut rig);
        let left = peer.unread_bytes();
        rig.js.end(connection, 1000, "");
        rig.obey();
        assert!(peer.is_finished() && left > 0 && peer.unread_bytes() == 0);
        peer.says(&close(1000, ""));
        match is_reset {
            true => peer.resets(),
            false => peer.ends(),
        }
        rig.run();
        assert!(peer.is_closed());
        rig.release(connection);
        drained(&mut rig);
        rig.assert_vacant();
    }
}
