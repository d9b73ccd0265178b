//! Messages there and back, however the network cuts them.

use proptest::prelude::*;

use super::frames::{BINARY, CONTINUATION, PING, PONG, TEXT, fragment, frame, said};
use super::*;

/// JavaScript sends back each message that it gets.
fn echo<const SHORT_READ_DRAINS: bool>(rig: &mut Rig<SHORT_READ_DRAINS>, peer: &Peer, got: &mut Vec<u8>) {
    rig.run();
    for event in rig.js.drain() {
        if event.kind == EventKind::Message {
            rig.js.send(event.connection, if event.flags == 0 { TEXT } else { BINARY }, &event.payload);
        }
    }
    rig.obey();
    got.extend(peer.take());
}

#[derive(Clone, Debug)]
struct Said {
    text: bool,
    payload: Vec<u8>,
    cut: Option<usize>,
    ping: bool,
}

fn messages() -> impl Strategy<Value = Vec<Said>> {
    let length = prop_oneof![0..130usize, 65_500..65_600usize, 0..9000usize];
    prop::collection::vec((any::<bool>(), length, any::<bool>(), any::<bool>()), 1..8).prop_map(|list| {
        let said = |(text, length, fragmented, ping): (bool, usize, bool, bool)| Said {
            text,
            payload: (0..length).map(|at| (at % 97) as u8 + 20).collect(),
            cut: fragmented.then_some(length / 3),
            ping,
        };
        list.into_iter().map(said).collect()
    })
}

fn stream(messages: &[Said]) -> Vec<u8> {
    let mut out = Vec::new();
    for Said { text, payload, cut, ping } in messages {
        let opcode = if *text { TEXT } else { BINARY };
        match cut {
            None => out.extend(frame(opcode, payload)),
            Some(cut) => {
                out.extend(fragment(opcode, false, &payload[..*cut]));
                if *ping {
                    out.extend(frame(PING, b"inside"));
                }
                out.extend(fragment(CONTINUATION, true, &payload[*cut..]));
            }
        }
    }
    out
}

fn survives<const SHORT_READ_DRAINS: bool>(
    messages: &[Said],
    pieces: &[usize],
    rooms: &[usize],
    grain: usize,
    interrupts: usize,
) {
    let route = routed(|route| {
        route.max_payload_bytes = 1 << 20;
        route.max_backpressure_bytes = 0;
    });
    let mut rig = Rig::<SHORT_READ_DRAINS>::of_host();
    let (peer, connection) = rig.open(&route);
    peer.write_grain(grain * 50);
    peer.read_grain(grain);
    let bytes = stream(messages);
    let mut got = Vec::new();
    let (mut at, mut turn) = (0, 0);
    while at < bytes.len() {
        peer.room(rooms[turn % rooms.len()]);
        peer.interrupts(if turn % 3 == 0 { interrupts } else { 0 });
        let piece = (pieces[turn % pieces.len()]).max(bytes.len() / 200).min(bytes.len() - at);
        peer.says(&bytes[at..at + piece]);
        at += piece;
        turn += 1;
        echo(&mut rig, &peer, &mut got);
    }
    peer.room(usize::MAX);
    echo(&mut rig, &peer, &mut got);
    let frames = frames::decode(&got);
    let (pongs, data): (Vec<Frame>, Vec<Frame>) = frames.into_iter().partition(|frame| frame.opcode == PONG);
    let expected: Vec<Frame> =
        messages.iter().map(|message| said(if message.text { TEXT } else { BINARY }, &message.payload)).collect();
    assert!(data == expected);
    // While bytes wait the latest ping alone is answered.
    let pings = messages.iter().filter(|message| message.ping && message.cut.is_some()).count();
    assert!(pongs.len() <= pings && pongs.is_empty() == (pings == 0));
    assert!(pongs.iter().all(|pong| pong.payload == b"inside"));
    rig.assert_idle(connection);
    peer.says(&frames::close(1000, "bye"));
    let events = rig.events();
    assert_eq!(kinds(&events), [EventKind::Close]);
    rig.release(connection);
    assert_eq!(heard(&peer), [frames::closed(1000, "")]);
    assert!(peer.is_closed());
    rig.assert_vacant();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_split_of_reads_and_writes_gives_the_same_messages(
        messages in messages(),
        pieces in prop::collection::vec(1..4000usize, 1..6),
        rooms in prop::collection::vec(prop_oneof![Just(0), 1..5000usize, Just(usize::MAX)], 1..6),
        grain in 1..3000usize,
        interrupts in 0..3usize,
    ) {
        survives::<true>(&messages, &pieces, &rooms, grain, interrupts);
        survives::<false>(&messages, &pieces, &rooms, grain, interrupts);
    }
}

#[test]
fn byte_by_byte_in_and_out() {
    let messages = [
        Said { text: true, payload: b"hello".to_vec(), cut: Some(2), ping: true },
        Said { text: false, payload: vec![7; 150], cut: None, ping: false },
    ];
    let mut rig = Rig::new();
    let (peer, connection) = rig.open(&routed(|_| {}));
    peer.room(0);
    let mut got = Vec::new();
    for byte in stream(&messages) {
        peer.says(&[byte]);
        echo(&mut rig, &peer, &mut got);
    }
    for _ in 0..200 {
        peer.room(1);
        echo(&mut rig, &peer, &mut got);
    }
    let data: Vec<Frame> = frames::decode(&got).into_iter().filter(|frame| frame.opcode != PONG).collect();
    assert_eq!(data, [said(TEXT, b"hello"), said(BINARY, &[7; 150])]);
    rig.assert_idle(connection);
}

#[test]
fn a_turns_messages_leave_in_one_write() {
    for limit in [0, 64 * 1024] {
        let mut rig = Rig::new();
        let (peer, connection) = rig.open(&routed(|route| route.max_backpressure_bytes = limit));
        for number in 0..50u8 {
            rig.js.send(connection, TEXT, &[b'a' + number % 26]);
        }
        rig.obey();
        assert_eq!(heard(&peer).len(), 50);
        assert_eq!(peer.writes(), 1, "with a limit of {limit}");
    }
}

#[test]
fn bytes_behind_the_handshake_are_the_first() {
    let mut rig = Rig::new();
    let early = frame(TEXT, b"early");
    let peer = rig.adopt(&routed(|_| {}), &early[..7]);
    peer.says(&early[7..]);
    peer.says(&frame(TEXT, b"later"));
    let events = rig.events();
    assert_eq!(kinds(&events), [EventKind::Open, EventKind::Message, EventKind::Message]);
    assert_eq!((&*events[1].payload, &*events[2].payload), (&b"early"[..], &b"later"[..]));
}
