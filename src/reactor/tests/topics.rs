//! Publish/subscribe over the scripted network: who gets what, in which order, and by how many writes.

use super::frames::{BINARY, TEXT, said};
use super::*;
use crate::limits;

/// The sender that is no connection.
const NOBODY: ConnectionId = ConnectionId { index: u32::MAX, generation: 0 };

/// Some connections of one route.
fn opened(count: usize, options: impl Fn(&mut Route)) -> (Rig, Vec<(Peer, ConnectionId)>) {
    let mut rig = Rig::new();
    let route = routed(|route| {
        route.idle_timeout_seconds = 0;
        options(route);
    });
    let members = (0..count).map(|_| rig.open(&route)).collect();
    (rig, members)
}

fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

impl Rig {
    fn subscribe(&mut self, connection: ConnectionId, topic: u32, number: u32) {
        self.js.command(CommandKind::Subscribe, connection, &words(&[topic, number]));
    }

    fn unsubscribe(&mut self, connection: ConnectionId, number: u32) {
        self.js.command(CommandKind::Unsubscribe, connection, &words(&[number]));
    }

    fn publish(&mut self, sender: ConnectionId, topic: u32, message: &[u8]) {
        self.js.flagged(CommandKind::Publish, TEXT, sender, &[&words(&[topic]), message].concat());
    }

    fn publish_large(&mut self, sender: ConnectionId, topic: u32, message: Vec<u8>) {
        self.js.large(CommandKind::PublishLarge, BINARY, sender, &words(&[topic]), message);
    }
}

fn texts(peer: &Peer) -> Vec<String> {
    heard(peer).into_iter().map(|frame| String::from_utf8(frame.payload).unwrap()).collect()
}

#[test]
fn a_message_goes_to_the_subscribers_of_its_topic_and_not_to_its_sender() {
    let (mut rig, members) = opened(4, |_| {});
    for (number, (_, connection)) in members.iter().take(3).enumerate() {
        rig.subscribe(*connection, 5, number as u32);
    }
    rig.subscribe(members[3].1, 6, 3);
    rig.publish(NOBODY, 5, b"all");
    rig.publish(members[1].1, 5, b"but one");
    rig.publish(members[3].1, 5, b"from outside");
    rig.publish(NOBODY, 99, b"nobody");
    assert!(rig.events().is_empty());
    assert_eq!(texts(&members[0].0), ["all", "but one", "from outside"]);
    assert_eq!(texts(&members[1].0), ["all", "from outside"]);
    assert_eq!(texts(&members[2].0), ["all", "but one", "from outside"]);
    assert!(texts(&members[3].0).is_empty());
    assert_eq!(rig.shared.tally().messages_out, 8);
}

#[test]
fn publish_and_send_keep_their_order_and_leave_in_one_write() {
    let (mut rig, members) = opened(2, |_| {});
    let (peer, connection) = &members[0];
    rig.publish(NOBODY, 0, b"too early");
    rig.subscribe(*connection, 0, 0);
    rig.subscribe(members[1].1, 0, 1);
    rig.js.send(*connection, TEXT, b"1");
    rig.publish(NOBODY, 0, b"2");
    rig.js.send(*connection, TEXT, b"3");
    rig.publish(NOBODY, 0, b"4");
    rig.unsubscribe(*connection, 0);
    rig.publish(NOBODY, 0, b"too late");
    rig.js.send(*connection, TEXT, b"5");
    let writes = peer.writes();
    rig.obey();
    assert_eq!(texts(peer), ["1", "2", "3", "4", "5"]);
    assert_eq!(peer.writes(), writes + 1);
    assert_eq!(texts(&members[1].0), ["2", "4", "too late"]);
}

#[test]
fn messages_of_every_length_arrive_as_they_are() {
    let (mut rig, members) = opened(2, |route| route.max_backpressure_bytes = 0);
    for (number, (_, connection)) in members.iter().enumerate() {
        rig.subscribe(*connection, 0, number as u32);
    }
    let lengths = [0, 1, 3, 4, 125, 126, 127, 2047, 2048, 4000, 65_535, 65_536, 100_000];
    for length in lengths {
        let message: Vec<u8> = (0..length).map(|at| (at % 26) as u8 + b'a').collect();
        rig.publish(NOBODY, 0, &message);
        rig.publish_large(NOBODY, 0, message);
    }
    rig.obey();
    for (peer, _) in &members {
        let frames = heard(peer);
        assert_eq!(frames.len(), 2 * lengths.len());
        for (pair, length) in frames.chunks(2).zip(lengths) {
            let message: Vec<u8> = (0..length).map(|at| (at % 26) as u8 + b'a').collect();
            assert!(pair == [said(TEXT, &message), said(BINARY, &message)], "{length}");
        }
    }
}

#[test]
fn a_slow_subscriber_loses_messages_and_holds_nobody_up() {
    let (mut rig, members) = opened(3, |route| {
        route.max_backpressure_bytes = 1000;
        route.wants_dropped = true;
    });
    for (number, (_, connection)) in members.iter().enumerate() {
        rig.subscribe(*connection, 0, number as u32);
    }
    let (slow, connection) = &members[1];
    slow.room(0);
    for _ in 0..20 {
        rig.publish(NOBODY, 0, &[b'x'; 98]);
    }
    rig.publish_large(NOBODY, 0, vec![b'y'; 70_000]);
    let events = rig.events();
    assert_eq!(heard(&members[0].0).len(), 21);
    assert_eq!(heard(&members[2].0).len(), 21);
    let dropped: Vec<_> = events.iter().filter(|event| event.kind == EventKind::Dropped).collect();
    assert_eq!(dropped.len(), 10, "eleven frames of 100 bytes are let in");
    assert!(dropped.iter().all(|event| event.connection == *connection));
    assert_eq!(dropped[0].payload, [b'x'; 98]);
    assert_eq!(dropped[9].payload, vec![b'y'; 70_000]);
    assert_eq!(rig.shared.tally().dropped, 10);
    assert_eq!(rig.slot(*connection).waiting_bytes(), 1100);

    rig.publish(NOBODY, 0, b"dropped, too");
    assert_eq!(kinds(&rig.events()), [EventKind::Dropped], "what waits was told already");
    slow.room(usize::MAX);
    assert_eq!(kinds(&rig.events()), [EventKind::Drain]);
    assert_eq!(heard(slow).len(), 11);
    rig.assert_idle(*connection);
}

#[test]
fn a_subscriber_over_its_limit_is_closed_where_the_route_says_so() {
    let (mut rig, members) = opened(2, |route| {
        route.max_backpressure_bytes = 100;
        route.close_on_backpressure_limit = true;
    });
    for (number, (_, connection)) in members.iter().enumerate() {
        rig.subscribe(*connection, 0, number as u32);
    }
    members[0].0.room(0);
    for _ in 0..3 {
        rig.publish(NOBODY, 0, &[b'x'; 200]);
    }
    assert_eq!(kinds(&rig.events()), [EventKind::Close]);
    assert!(members[0].0.is_closed() && !members[1].0.is_closed());
    assert_eq!(heard(&members[1].0).len(), 3);
}

#[test]
fn a_large_message_waits_once_for_all() {
    let (mut rig, members) = opened(3, |_| {});
    for (number, (peer, connection)) in members.iter().enumerate() {
        rig.subscribe(*connection, 0, number as u32);
        peer.room(10);
    }
    rig.publish_large(NOBODY, 0, vec![7; 300_000]);
    rig.publish_large(NOBODY, 0, vec![8; 300_000]);
    rig.obey();
    let place = |rig: &mut Rig, connection: ConnectionId| {
        let slot = rig.slot(connection);
        slot.rare().outbox.chunks().find(|chunk| chunk.len() == 300_000).map(<[u8]>::as_ptr)
    };
    let first = place(&mut rig, members[0].1);
    assert!(first.is_some());
    assert!(members.iter().all(|(_, connection)| place(&mut rig, *connection) == first));
    for (peer, connection) in &members {
        peer.room(usize::MAX);
        rig.run();
        assert_eq!(heard(peer), [said(BINARY, &vec![7; 300_000])], "the second one was over the limit");
        rig.js.drain();
        rig.assert_idle(*connection);
    }
}

#[test]
fn more_deliveries_than_the_agenda_holds_keep_their_order() {
    const MEMBERS: usize = 300;
    let (mut rig, members) = opened(MEMBERS, |_| {});
    for (number, (_, connection)) in members.iter().enumerate() {
        rig.subscribe(*connection, 0, number as u32);
    }
    let messages = 2 * limits::AGENDA_LINKS / MEMBERS + 7;
    for number in 0..messages {
        rig.publish(NOBODY, 0, &(number as u32).to_le_bytes());
        rig.js.send(members[number % MEMBERS].1, BINARY, b"between");
    }
    rig.obey();
    for (place, (peer, _)) in members.iter().enumerate() {
        let mut number = 0;
        for frame in heard(peer) {
            if frame.opcode == BINARY {
                assert_eq!(number % MEMBERS, (place + 1) % MEMBERS);
            } else {
                assert_eq!(frame.payload, (number as u32).to_le_bytes());
                number += 1;
            }
        }
        assert_eq!(number, messages);
    }
}

#[test]
fn who_closes_gets_nothing_more_and_who_comes_into_its_slot_neither() {
    let (mut rig, members) = opened(2, |_| {});
    let (peer, connection) = &members[0];
    rig.subscribe(*connection, 0, 0);
    rig.subscribe(members[1].1, 0, 1);
    rig.js.end(*connection, 1000, "");
    rig.publish(NOBODY, 0, b"behind the close frame");
    rig.obey();
    assert_eq!(kinds_of(&heard(peer)), [frames::CLOSE]);
    peer.ends();
    rig.run();
    // `lib/` unsubscribes before it releases; were it not so, the generation would still tell.
    rig.release(*connection);
    let route = routed(|_| {});
    let (heir, again) = rig.open(&route);
    assert_eq!(again.index, connection.index);
    rig.publish(NOBODY, 0, b"for the other one");
    rig.obey();
    assert!(heard(&heir).is_empty());
    assert_eq!(texts(&members[1].0), ["behind the close frame", "for the other one"]);
}

#[test]
fn what_is_no_command_of_topics_is_taken() {
    let (mut rig, members) = opened(1, |_| {});
    let (peer, connection) = &members[0];
    for kind in [CommandKind::Subscribe, CommandKind::Unsubscribe, CommandKind::Publish, CommandKind::PublishLarge] {
        for payload in [&b""[..], b"\x01", b"\x01\0\0\0", b"\xff\xff\xff\xff\xff\xff\xff\xff"] {
            rig.js.command(kind, *connection, payload);
            rig.js.command(kind, NOBODY, payload);
        }
    }
    rig.js.send(*connection, TEXT, b"still here");
    rig.obey();
    assert_eq!(texts(peer), ["still here"]);
}

fn kinds_of(frames: &[frames::Frame]) -> Vec<u8> {
    frames.iter().map(|frame| frame.opcode).collect()
}
