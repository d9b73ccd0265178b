//! Messages over TLS there and back, however the network cuts their records.

use proptest::prelude::*;

use super::client::{Client, TLS12, TLS13, VERSIONS, connecting, shake};
use super::frames::{BINARY, PING, PONG, TEXT, fragment, frame, said};
use super::*;
use crate::limits;
use crate::protocol::{Compression, negotiate};
use crate::tls::Scratch;

/// The sender that is no connection.
const NOBODY: ConnectionId = ConnectionId { index: u32::MAX, generation: 0 };

fn opened(options: impl FnOnce(&mut Route)) -> (Rig, Client, ConnectionId) {
    let mut rig = Rig::new();
    let (client, connection) = rig.open_secure(&routed(options), &TLS13);
    (rig, client, connection)
}

fn unlimited(route: &mut Route) {
    route.max_payload_bytes = 1 << 20;
    route.max_backpressure_bytes = 0;
}

/// JavaScript sends back each message that it gets.
fn echo<const SHORT_READ_DRAINS: bool>(rig: &mut Rig<SHORT_READ_DRAINS>) {
    rig.run();
    for event in rig.js.drain() {
        if event.kind == EventKind::Message {
            let opcode = if event.flags == 0 { TEXT } else { BINARY };
            if event.payload.len() > limits::LARGE_MESSAGE_BYTES {
                rig.js.send_large(event.connection, opcode, event.payload);
            } else {
                rig.js.send(event.connection, opcode, &event.payload);
            }
        }
    }
    rig.obey();
}

/// The lengths of the records that bytes are.
fn records(mut bytes: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
        lengths.push(length);
        bytes = &bytes[5 + length..];
    }
    lengths
}

#[test]
fn messages_of_any_size_come_back() {
    const LENGTHS: [usize; 12] = [0, 1, 125, 126, 16_379, 16_380, 16_384, 65_535, 65_536, 65_537, 300_000, 1 << 20];
    for version in VERSIONS {
        let mut rig = Rig::new();
        let (mut client, connection) = rig.open_secure(&routed(unlimited), version);
        for length in LENGTHS {
            let payload: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            client.says(&frame(BINARY, &payload));
            echo(&mut rig);
            assert!(client.hears() == [said(BINARY, &payload)], "{length} bytes");
            rig.assert_idle_secure(connection);
        }
        let tally = rig.shared.tally();
        assert_eq!(
            tally.bytes_out,
            LENGTHS.iter().map(|length| (frame(BINARY, &vec![0; *length]).len() - 4) as u64).sum()
        );
        assert_eq!(tally.bytes_in, tally.bytes_out + 4 * LENGTHS.len() as u64, "plaintext, both");
    }
}

#[test]
fn a_record_may_be_cut_at_any_byte() {
    for version in VERSIONS {
        let mut rig = Rig::new();
        let (mut client, connection) = rig.open_secure(&routed(|_| {}), version);
        for cut in 1.. {
            let record = client.sealed(&frame(TEXT, b"cut"));
            client.peer.says(&record[..cut]);
            if cut == record.len() {
                break;
            }
            assert!(rig.events().is_empty());
            assert_eq!(rig.session(connection).cut(), &record[..cut]);
            client.peer.says(&record[cut..]);
            assert_eq!(kinds(&rig.events()), [EventKind::Message]);
            rig.assert_idle_secure(connection);
        }
        assert_eq!(kinds(&rig.events()), [EventKind::Message]);
        for byte in client.sealed(&frame(TEXT, b"byte by byte")) {
            client.peer.says(&[byte]);
            rig.run();
        }
        assert_eq!(rig.js.drain()[0].payload, b"byte by byte");
        rig.assert_idle_secure(connection);
    }
}

#[derive(Clone, Debug)]
struct Said {
    payload: Vec<u8>,
    fragmented: bool,
    ping: bool,
}

fn messages() -> impl Strategy<Value = Vec<Said>> {
    let length = prop_oneof![0..130usize, 16_000..17_000usize, 65_500..65_600usize, 0..9000usize];
    prop::collection::vec((length, any::<bool>(), any::<bool>()), 1..8).prop_map(|list| {
        let said = |(length, fragmented, ping)| Said {
            payload: (0..length).map(|at| (at % 97) as u8 + 20).collect(),
            fragmented,
            ping,
        };
        list.into_iter().map(said).collect()
    })
}

fn survives<const SHORT_READ_DRAINS: bool>(
    messages: &[Said],
    is_new: bool,
    pieces: &[usize],
    rooms: &[usize],
    grain: usize,
    interrupts: usize,
) {
    let mut rig = Rig::<SHORT_READ_DRAINS>::of_host();
    let (mut client, connection) = rig.open_secure(&routed(unlimited), if is_new { &TLS13 } else { &TLS12 });
    client.peer.write_grain(grain * 50);
    client.peer.read_grain(grain);
    let mut bytes = Vec::new();
    for Said { payload, fragmented, ping } in messages {
        let (first, second) = payload.split_at(if *fragmented { payload.len() / 3 } else { payload.len() });
        bytes.extend(client.sealed(&fragment(TEXT, !fragmented, first)));
        if *ping {
            bytes.extend(client.sealed(&frame(PING, b"inside")));
        }
        if *fragmented {
            bytes.extend(client.sealed(&fragment(0, true, second)));
        }
    }
    let mut got = Vec::new();
    let (mut at, mut turn) = (0, 0);
    while at < bytes.len() {
        client.peer.room(rooms[turn % rooms.len()]);
        client.peer.interrupts(if turn % 3 == 0 { interrupts } else { 0 });
        let piece = (pieces[turn % pieces.len()]).max(bytes.len() / 200).min(bytes.len() - at);
        client.peer.says(&bytes[at..at + piece]);
        at += piece;
        turn += 1;
        echo(&mut rig);
        got.extend(client.opens().unwrap());
    }
    client.peer.room(usize::MAX);
    echo(&mut rig);
    got.extend(client.opens().unwrap());
    let (pongs, data): (Vec<Frame>, Vec<Frame>) =
        frames::decode(&got).into_iter().partition(|frame| frame.opcode == PONG);
    let expected: Vec<Frame> = messages.iter().map(|message| said(TEXT, &message.payload)).collect();
    assert!(data == expected);
    // While bytes wait the latest ping alone is answered.
    let pings = messages.iter().filter(|message| message.ping).count();
    assert!(pongs.len() <= pings && pongs.is_empty() == (pings == 0));
    rig.assert_idle_secure(connection);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_split_of_reads_and_writes_gives_the_same_messages(
        messages in messages(),
        is_new in any::<bool>(),
        pieces in prop::collection::vec(1..4000usize, 1..6),
        rooms in prop::collection::vec(prop_oneof![Just(0), 1..5000usize, Just(usize::MAX)], 1..6),
        grain in 1..3000usize,
        interrupts in 0..3usize,
    ) {
        survives::<true>(&messages, is_new, &pieces, &rooms, grain, interrupts);
        survives::<false>(&messages, is_new, &pieces, &rooms, grain, interrupts);
    }
}

#[test]
fn a_turns_messages_leave_in_one_record() {
    let (mut rig, client, connection) = opened(|_| {});
    for number in 0..50u8 {
        rig.js.send(connection, TEXT, &[b'a' + number % 26]);
    }
    rig.obey();
    let written = client.peer.take();
    assert_eq!((records(&written).len(), client.peer.writes()), (1, 1));
    // More than a record holds: as few records as there must be, four in a write.
    rig.js.send_large(connection, BINARY, vec![1; 10 * 16 * 1024 - 10]);
    rig.obey();
    assert_eq!(client.peer.writes(), 1 + 3);
    assert_eq!(records(&client.peer.take()).len(), 10);
}

#[test]
fn what_is_published_goes_to_secure_and_plain_subscribers() {
    let mut rig = Rig::new();
    let route = routed(unlimited);
    let (plain, plain_connection) = rig.open(&route);
    let mut secure: Vec<_> = VERSIONS.iter().map(|version| rig.open_secure(&route, version)).collect();
    let topic = 5_u32.to_le_bytes();
    let subscribers = [plain_connection, secure[0].1, secure[1].1];
    for (number, connection) in subscribers.into_iter().enumerate() {
        let payload = [topic, (number as u32).to_le_bytes()].concat();
        rig.js.command(CommandKind::Subscribe, connection, &payload);
    }
    // The last one is slow: the large payload waits where it lies for the others, too.
    secure[1].0.peer.room(1000);
    let large: Vec<u8> = (0..300_000).map(|at| (at % 251) as u8).collect();
    rig.js.flagged(CommandKind::Publish, TEXT, NOBODY, &[&topic[..], b"small"].concat());
    rig.js.large(CommandKind::PublishLarge, BINARY, NOBODY, &topic, large.clone());
    rig.js.flagged(CommandKind::Publish, TEXT, NOBODY, &[&topic[..], &[b'x'; 5000]].concat());
    rig.obey();
    let expected = [said(TEXT, b"small"), said(BINARY, &large), said(TEXT, &[b'x'; 5000])];
    assert!(heard(&plain) == expected);
    assert!(secure[0].0.hears() == expected);
    let mut got = secure[1].0.opens().unwrap();
    for _ in 0..100 {
        secure[1].0.peer.room(7000);
        rig.run();
        got.extend(secure[1].0.opens().unwrap());
    }
    assert!(frames::decode(&got) == expected);
    rig.js.drain();
    secure.iter().for_each(|(_, connection)| rig.assert_idle_secure(*connection));
}

#[test]
fn compressed_messages_are_sealed_as_others_are() {
    let mut headers = http::HeaderMap::new();
    headers.insert(http::header::SEC_WEBSOCKET_EXTENSIONS, "permessage-deflate".parse().unwrap());
    let mut rig = Rig::new();
    let compression = Compression::from_constant(1).unwrap();
    rig.agreement = negotiate(&headers, compression).unwrap().map(|(agreement, _)| agreement);
    let (mut client, connection) = rig.open_secure(&routed(|_| {}), &TLS13);
    // RFC 7692 §7.2.3.1.
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    client.says(&frame(0x40 | TEXT, &hello));
    assert_eq!(rig.events()[0].payload, b"Hello");
    let flags = crate::bridge::command::FLAG_FIN | crate::bridge::command::FLAG_COMPRESS | TEXT;
    rig.js.with_flags(CommandKind::Send, flags, connection, &[b'a'; 5000]);
    rig.obey();
    let bytes = client.opens().unwrap();
    assert!(bytes[0] == 0xc1 && bytes.len() < 200, "RSV1, and short");
}

#[test]
fn what_the_gate_has_read_comes_first_and_what_it_has_cut_goes_on() {
    let (mut session, mut connection) = shake(connecting(&TLS13, |_| {}));
    std::io::Write::write_all(&mut connection.writer(), &frame(TEXT, b"one")).unwrap();
    std::io::Write::write_all(&mut connection.writer(), &frame(TEXT, b"two")).unwrap();
    let mut bytes = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut bytes).unwrap();
    }
    let (mut scratch, mut wire) = (Scratch::default(), client::Memory::default());
    let length = bytes.len() - 5;
    let (first, second) = bytes.split_at_mut(length);
    session.take(&mut wire, first, &mut scratch).unwrap();
    assert!(!session.cut().is_empty());

    let mut rig = Rig::new();
    let mut client = rig.adopt_session(&routed(|_| {}), session, connection, &scratch.plaintext);
    client.peer.says(second);
    client.says(&frame(TEXT, b"three"));
    let events = rig.events();
    let payloads: Vec<_> = events[1..].iter().map(|event| &event.payload[..]).collect();
    assert_eq!(payloads, [&b"one"[..], b"two", b"three"]);
    rig.assert_idle_secure(events[0].connection);
}

#[test]
fn a_page_has_a_column_of_sessions_once_one_is_placed_there_and_an_idle_session_no_buffer() {
    let mut rig = Rig::new();
    let route = routed(unlimited);
    let (_, plain) = rig.open(&route);
    let bytes = rig.reactor.slab.bytes();
    let (mut client, connection) = rig.open_secure(&route, &TLS13);
    assert_eq!(rig.reactor.slab.bytes(), bytes + crate::reactor::slab::PAGE_SLOTS * size_of::<usize>());
    assert!(rig.reactor.slab.session(plain.index).is_none());
    client.says(&frame(BINARY, &[7; 100_000]));
    echo(&mut rig);
    assert_eq!(client.hears().len(), 1);
    rig.assert_idle_secure(connection);
    assert!(rig.reactor.scratch.capacity_bytes() > 100_000);
    rig.reactor.give_back_memory();
    assert_eq!(rig.reactor.scratch.capacity_bytes(), 0);
    rig.js.command(CommandKind::Terminate, connection, b"");
    rig.obey();
    assert!(rig.reactor.slab.session(connection.index).is_none(), "freed with its socket");
    rig.release(connection);
    let (_, again) = rig.open(&route);
    assert_eq!(again.index, connection.index);
    assert!(rig.reactor.slab.session(again.index).is_none());
}
