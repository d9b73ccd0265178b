//! permessage-deflate (RFC 7692) between a peer and JavaScript: what is compressed, in which order it
//! goes, and what a connection owns for it.

use http::HeaderMap;
use http::header::SEC_WEBSOCKET_EXTENSIONS;

use super::frames::{BINARY, PING, TEXT, closed, frame, plain, said};
use super::*;
use crate::bridge::command::{self, FLAG_COMPRESS, FLAG_FIN};
use crate::protocol::{Compression, Deflater, Inflater, Inflation, Outbound, Window, negotiate};

const SHARED: u32 = 1;
const DEDICATED: u32 = 248 | 3840;

/// RSV1 and text, for the helpers that take an opcode.
const COMPRESSED_TEXT: u8 = 0x40 | TEXT;

/// A reactor whose clients all offer permessage-deflate to a route with this constant.
fn agreed(constant: u32) -> Rig {
    let mut headers = HeaderMap::new();
    headers.insert(SEC_WEBSOCKET_EXTENSIONS, "permessage-deflate".parse().unwrap());
    let compression = Compression::from_constant(constant).unwrap();
    let mut rig = Rig::new();
    rig.agreement = negotiate(&headers, compression).unwrap().map(|(agreement, _)| agreement);
    rig
}

fn send_compressed(rig: &mut Rig, connection: ConnectionId, payload: &[u8]) {
    let mut command = Vec::new();
    let flags = FLAG_FIN | FLAG_COMPRESS | TEXT;
    command::encode(&mut command, CommandKind::Send, flags, connection, payload);
    rig.js.garbage(&command);
}

/// What the peer has read: the first byte of each frame, and its payload, inflated.
fn inflated(peer: &Peer, window: Option<&mut Window>) -> Vec<(u8, Vec<u8>)> {
    let bytes = peer.take();
    let mut inflater = Inflater::default();
    let mut window = window;
    let mut at = 0;
    let mut out = Vec::new();
    for frame in frames::decode(&bytes) {
        let first = bytes[at];
        at += frame.payload.len() + if frame.payload.len() < 126 { 2 } else { 4 };
        let payload = if first & 0x40 != 0 {
            let window = window.as_deref_mut().map(|window| (window, 15));
            let mut inflation = Inflation { inflater: &mut inflater, window };
            inflation.inflate(&frame.payload, 1 << 20).unwrap().to_vec()
        } else {
            frame.payload
        };
        out.push((first, payload));
    }
    assert_eq!(at, bytes.len());
    out
}

/// Text that shrinks, of its own for each number.
fn news(number: usize) -> Vec<u8> {
    format!("{{\"number\":{number},\"text\":\"{}\"}}", "all the news that is fit to send ".repeat(20)).into_bytes()
}

#[test]
fn a_message_is_inflated_and_one_sent_with_the_flag_is_compressed() {
    let mut rig = agreed(SHARED);
    let (peer, connection) = rig.open(&routed(|_| {}));
    // RFC 7692 §7.2.3.1.
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    peer.says(&[frame(COMPRESSED_TEXT, &hello), frame(BINARY, b"plain")].concat());
    let events = rig.events();
    let payloads: Vec<_> = events.iter().map(|event| (event.flags, event.payload.as_slice())).collect();
    assert_eq!(payloads, [(0, &b"Hello"[..]), (1, b"plain")]);
    rig.assert_idle(connection);
    rig.js.send(connection, TEXT, &news(1));
    send_compressed(&mut rig, connection, &news(2));
    send_compressed(&mut rig, connection, b"too short");
    rig.obey();
    let expected = [(0x81, news(1)), (0xc1, news(2)), (0x81, b"too short".to_vec())];
    assert_eq!(inflated(&peer, None), expected);
    assert_eq!(rig.reactor.contexts.len(), 0, "nothing is kept for a connection");
    let tally = rig.shared.tally();
    assert_eq!((tally.messages_in, tally.messages_out), (2, 3));
}

#[test]
fn the_flag_is_ignored_where_nothing_was_agreed_on() {
    for constant in [0, 256] {
        let mut rig = agreed(constant);
        assert_eq!(rig.agreement.is_some(), constant != 0);
        let (peer, connection) = rig.open(&routed(|_| {}));
        send_compressed(&mut rig, connection, &news(1));
        rig.obey();
        assert_eq!(heard(&peer), [said(TEXT, &news(1))]);
    }
}

#[test]
fn a_large_message_and_a_control_frame_with_the_flag() {
    let mut rig = agreed(SHARED);
    let (peer, connection) = rig.open(&routed(|_| {}));
    let large = news(7).repeat(100);
    let mut command = Vec::new();
    let flags = FLAG_FIN | FLAG_COMPRESS;
    command::encode(&mut command, CommandKind::Send, flags | PING, connection, &news(0)[..100]);
    command::encode(&mut command, CommandKind::SendLarge, flags | BINARY, connection, b"");
    rig.shared.crossing.inbox.push(&command, Some(large.clone()));
    rig.shared.ring();
    rig.run();
    assert_eq!(inflated(&peer, None), [(0x80 | PING, news(0)[..100].to_vec()), (0xc2, large)]);
}

#[test]
fn contexts_are_taken_over_in_both_directions_and_end_with_the_socket() {
    let mut rig = agreed(DEDICATED);
    let (peer, connection) = rig.open(&routed(|_| {}));
    assert_eq!(rig.reactor.contexts.len(), 0, "nothing before the first message");
    let (mut deflater, mut said, mut window) = (Deflater::default(), Window::default(), Window::default());
    let mut sizes = Vec::new();
    for number in 0..3 {
        let outbound = Outbound::Takeover { window_bits: 15 };
        let payload = deflater.deflate(outbound, Some(&mut said), &news(number)).unwrap();
        peer.says(&frame(COMPRESSED_TEXT, payload));
        let events = rig.events();
        assert_eq!(events[0].payload, news(number));
        send_compressed(&mut rig, connection, &events[0].payload);
        // What did not shrink is no part of the context.
        send_compressed(&mut rig, connection, b"x");
        rig.obey();
        let before = rig.shared.tally().bytes_out;
        assert_eq!(inflated(&peer, Some(&mut window)), [(0xc1, news(number)), (0x81, b"x".to_vec())]);
        sizes.push(before);
    }
    assert!(sizes[1] - sizes[0] < sizes[0] / 2, "the second message refers to the first: {sizes:?}");
    assert_eq!(rig.reactor.contexts.len(), 1);
    // Codecs are made again when they are needed; windows stay.
    rig.reactor.give_back_memory();
    send_compressed(&mut rig, connection, &news(0));
    rig.obey();
    assert_eq!(inflated(&peer, Some(&mut window)), [(0xc1, news(0))]);
    rig.js.command(CommandKind::Terminate, connection, b"");
    rig.release(connection);
    rig.assert_vacant();
    // The next connection of the slot begins anew.
    rig.agreement = None;
    let (_, again) = rig.open(&routed(|_| {}));
    assert_eq!(again.index, connection.index);
    assert!(rig.slot(again).agreement.is_none());
}

#[test]
fn a_bomb_and_broken_data_end_the_connection() {
    let cases: [(&[u8], u16, &str); 2] =
        [(&bomb(), 1009, "message too big"), (b"\xff\xff\xff", 1007, "compressed message is not DEFLATE data")];
    for (payload, code, reason) in cases {
        let mut rig = agreed(DEDICATED);
        let (peer, connection) = rig.open(&routed(|_| {}));
        peer.says(&frame(COMPRESSED_TEXT, payload));
        let events = rig.events();
        assert_eq!(kinds(&events), [EventKind::Close]);
        assert_eq!(events[0].code(), 1006);
        rig.release(connection);
        assert_eq!(heard(&peer), [closed(code, reason)]);
        peer.ends();
        rig.run();
        rig.assert_vacant();
    }
}

/// 64 MiB of zeros in a payload that `maxPayloadLength` allows.
fn bomb() -> Vec<u8> {
    let mut deflater = Deflater::default();
    let zeros = vec![0; 12 << 20];
    let payload = deflater.deflate(Outbound::Alone { window_bits: 15 }, None, &zeros).unwrap().to_vec();
    assert!(payload.len() < 16 * 1024, "{}", payload.len());
    payload
}

#[test]
fn what_is_parked_for_a_busy_javascript_is_inflated_later() {
    let mut rig = agreed(SHARED);
    let (peer, _) = rig.open(&routed(|route| route.max_payload_bytes = 1 << 20));
    let megabyte = vec![b'm'; 1 << 20];
    let mut deflater = Deflater::default();
    let payload = deflater.deflate(Outbound::Alone { window_bits: 15 }, None, &megabyte).unwrap();
    let messages = (2 * crate::limits::INTAKE_BYTES) >> 20;
    peer.says(&plain(COMPRESSED_TEXT, payload).repeat(messages));
    rig.run();
    assert!(rig.shared.tally().messages_in < messages as u64);
    let mut came = 0;
    loop {
        let events = rig.js.drain_once();
        rig.run();
        if events.is_empty() {
            break;
        }
        came += events.len();
        assert!(events.iter().all(|event| event.payload == megabyte));
    }
    assert_eq!(came, messages);
}
