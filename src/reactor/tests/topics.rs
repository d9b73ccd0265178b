//! Publish/subscribe over the scripted network: who gets what, in which order, and by how many writes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::frames::{BINARY, CONTINUATION, Frame, TEXT, said};
use super::*;
use crate::bridge::command::FLAG_FIN;
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

/// What is kept of published messages has a bound, however many topics take turns: they are delivered in steps, by more
/// than one write, and all of them in order.
#[test]
fn more_messages_than_are_kept_as_volleys_keep_their_order() {
    const ROUNDS: usize = 5 * limits::VOLLEY_MESSAGES / 4;
    const SPOKEN: usize = ROUNDS / 100;
    let (mut rig, members) = opened(2, |route| route.max_backpressure_bytes = 0);
    for (number, (_, connection)) in members.iter().enumerate() {
        rig.subscribe(*connection, number as u32, number as u32);
    }
    let writes = members[0].0.writes();
    for number in 0..ROUNDS {
        // Two topics that nobody listens to, and now and then one that somebody does.
        rig.publish(NOBODY, 7, b"");
        rig.publish(NOBODY, 8, b"");
        if number % 100 == 0 {
            rig.publish(NOBODY, 0, &(number as u32).to_le_bytes());
        }
    }
    rig.publish_large(NOBODY, 0, b"large".to_vec());
    rig.publish(NOBODY, 1, b"last");
    rig.obey();
    let frames = heard(&members[0].0);
    let numbers: Vec<_> = (0..ROUNDS).step_by(100).map(|number| (number as u32).to_le_bytes().to_vec()).collect();
    let (large, spoken) = frames.split_last().unwrap();
    assert!(spoken.len() > SPOKEN && spoken.iter().map(|frame| &frame.payload).eq(&numbers));
    assert_eq!((large.payload.as_slice(), texts(&members[1].0)), (&b"large"[..], vec!["last".to_owned()]));
    assert_eq!(members[0].0.writes(), writes + 3, "two steps, and the rest");
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

/// Members of the model. The first half takes all at once; the others take nothing until the end, and may have
/// [`LIMIT`] bytes waiting.
const MEMBERS: usize = 6;
const LIMIT: usize = 1000;

#[derive(Clone, Debug)]
enum Step {
    /// Ends the subscription if there is one.
    Subscribe(usize, u32),
    /// [`MEMBERS`] is nobody.
    Publish(usize, u32, usize),
    PublishLarge(usize, u32, usize),
    Send(usize, usize),
    /// Begins a fragmented message, or ends it.
    Fragment(usize),
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..MEMBERS, 0..2u32).prop_map(|(member, topic)| Step::Subscribe(member, topic)),
        20 => (0..=MEMBERS, prop_oneof![9 => Just(0), 1 => Just(1)], prop_oneof![9 => 4..40usize, 1 => 4..6000usize])
            .prop_map(|(sender, topic, length)| Step::Publish(sender, topic, length)),
        1 => (0..=MEMBERS, 0..2u32, 4..100usize).prop_map(|(sender, topic, length)| Step::PublishLarge(sender, topic, length)),
        2 => (0..MEMBERS, 4..60usize).prop_map(|(member, length)| Step::Send(member, length)),
        1 => (0..MEMBERS / 2).prop_map(Step::Fragment),
        2 => Just(Step::Flush),
    ]
}

/// What one connection is to get.
#[derive(Default)]
struct Expected {
    frames: Vec<Frame>,
    is_slow: bool,
    waiting: usize,
    /// Inside a fragmented message: what is published meanwhile.
    held: Option<Vec<Frame>>,
}

impl Expected {
    fn get(&mut self, frame: Frame, is_published: bool) {
        if self.is_slow {
            if self.waiting > LIMIT {
                return;
            }
            self.waiting += frame.payload.len() + if frame.payload.len() < 126 { 2 } else { 4 };
        }
        match &mut self.held {
            Some(held) if is_published => held.push(frame),
            _ => self.frames.push(frame),
        }
    }
}

proptest! {
    /// Against the simplest model: a list of frames for each connection, and a set of subscribers for each topic.
    #[test]
    fn each_connection_gets_what_was_called_in_the_order_of_the_calls(steps in prop::collection::vec(step(), 1..120)) {
        let (mut rig, fast) = opened(MEMBERS / 2, |route| route.max_backpressure_bytes = 0);
        let route = routed(|route| {
            route.id = crate::bridge::RouteId(route.id.0 + 1);
            route.idle_timeout_seconds = 0;
            route.max_backpressure_bytes = LIMIT;
        });
        let slow: Vec<_> = (MEMBERS / 2..MEMBERS).map(|_| rig.open(&route)).collect();
        slow.iter().for_each(|(peer, _)| peer.room(0));
        let members = [fast, slow].concat();
        let mut expected: Vec<_> =
            (0..MEMBERS).map(|member| Expected { is_slow: member >= MEMBERS / 2, ..Expected::default() }).collect();
        let mut subscriptions: BTreeMap<(u32, usize), u32> = BTreeMap::new();
        let (mut free, mut next) = (Vec::new(), 0);
        let connection = |member: usize| members.get(member).map_or(NOBODY, |(_, connection)| *connection);
        for (number, step) in steps.into_iter().enumerate() {
            let message = |length: usize| {
                let mut message = vec![b'-'; length];
                message[..4].copy_from_slice(&(number as u32).to_le_bytes());
                message
            };
            let audience = |expected: &mut Vec<Expected>, topic: u32, sender: usize, frame: &Frame| {
                for (_, member) in subscriptions.keys().filter(|(of, member)| *of == topic && *member != sender) {
                    expected[*member].get(frame.clone(), true);
                }
            };
            match step {
                Step::Subscribe(member, topic) => match subscriptions.remove(&(topic, member)) {
                    Some(subscription) => {
                        rig.unsubscribe(connection(member), subscription);
                        free.push(subscription);
                        if subscriptions.is_empty() {
                            (free, next) = (Vec::new(), 0);
                        }
                    }
                    None => {
                        let subscription = free.pop().unwrap_or(next);
                        next = next.max(subscription + 1);
                        rig.subscribe(connection(member), topic, subscription);
                        subscriptions.insert((topic, member), subscription);
                    }
                },
                Step::Publish(sender, topic, length) => {
                    rig.publish(connection(sender), topic, &message(length));
                    audience(&mut expected, topic, sender, &said(TEXT, &message(length)));
                }
                Step::PublishLarge(sender, topic, length) => {
                    rig.publish_large(connection(sender), topic, message(length));
                    audience(&mut expected, topic, sender, &said(BINARY, &message(length)));
                }
                Step::Send(member, length) if expected[member].held.is_none() => {
                    rig.js.send(connection(member), BINARY, &message(length));
                    expected[member].get(said(BINARY, &message(length)), false);
                }
                Step::Fragment(member) => fragment(&mut rig, connection(member), &mut expected[member]),
                Step::Flush => rig.obey(),
                Step::Send(..) => {}
            }
        }
        for ((_, connection), expected) in members.iter().zip(&mut expected) {
            if expected.held.is_some() {
                fragment(&mut rig, *connection, expected);
            }
        }
        rig.obey();
        for ((peer, _), expected) in members.iter().zip(&expected) {
            peer.room(usize::MAX);
            rig.run();
            rig.js.drain();
            prop_assert_eq!(&heard(peer), &expected.frames);
        }
    }
}

/// Begins a fragmented message, or ends it.
fn fragment(rig: &mut Rig, connection: ConnectionId, expected: &mut Expected) {
    match expected.held.take() {
        None => {
            rig.js.with_flags(CommandKind::Send, TEXT, connection, b"begin");
            expected.frames.push(Frame { fin: false, ..said(TEXT, b"begin") });
            expected.held = Some(Vec::new());
        }
        Some(held) => {
            rig.js.with_flags(CommandKind::Send, FLAG_FIN | CONTINUATION, connection, b"end");
            expected.frames.push(said(CONTINUATION, b"end"));
            expected.frames.extend(held);
        }
    }
}

#[test]
fn messages_of_one_topic_in_a_turn_are_one_write_for_each_subscriber_whoever_published_them() {
    let (mut rig, members) = opened(4, |_| {});
    for (number, (_, connection)) in members.iter().enumerate() {
        rig.subscribe(*connection, 0, number as u32);
    }
    rig.obey();
    let writes: Vec<_> = members.iter().map(|(peer, _)| peer.writes()).collect();
    for number in 0..16u8 {
        rig.publish(members[usize::from(number % 2)].1, 0, &[b'a' + number; 20]);
    }
    rig.obey();
    for (place, (peer, _)) in members.iter().enumerate() {
        assert_eq!(peer.writes(), writes[place] + 1);
        let expected: Vec<_> = (0..16u8)
            .filter(|number| usize::from(number % 2) != place)
            .map(|number| said(TEXT, &[b'a' + number; 20]))
            .collect();
        assert_eq!(heard(peer), expected);
    }
    assert_eq!(rig.shared.tally().messages_out, 2 * 16 + 2 * 8);
}
