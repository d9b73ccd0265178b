//! Command batches from JavaScript: decoding stays inside the buffer and ends, records follow one
//! another without a gap, and what is decoded is what a plain reading of the layout says.
//!
//! Input: the buffer.

use tidewire::bridge::Commands;
use tidewire::bridge::command::{COMMAND_HEAD_BYTES, Malformed};

/// See the module.
///
/// # Panics
///
/// Where a property does not hold.
pub fn check(data: &[u8]) {
    let mut at = 0;
    let mut commands = Commands::new(data);
    // A record takes at least its head, so this many steps suffice.
    for _ in 0..=data.len() / COMMAND_HEAD_BYTES + 1 {
        let Some(decoded) = commands.next() else {
            assert_eq!(at, data.len(), "decoding ended before the buffer did");
            return;
        };
        match (decoded, record(&data[at..])) {
            (Ok(command), Some((kind, length, padded))) => {
                assert_eq!((command.kind as u8, command.length as usize), (kind, length));
                assert_eq!(command.offset as usize, at + COMMAND_HEAD_BYTES);
                assert!(command.offset as usize + length <= data.len(), "a payload outside the buffer");
                assert_eq!(command.flags, data[at + 1]);
                assert_eq!(command.connection.generation, u16::from_le_bytes([data[at + 2], data[at + 3]]));
                let place = [data[at + 4], data[at + 5], data[at + 6], data[at + 7]];
                assert_eq!(command.connection.index, u32::from_le_bytes(place));
                at += COMMAND_HEAD_BYTES + padded;
            }
            (Err(Malformed { offset }), None) => {
                assert_eq!(offset, at);
                assert!(commands.next().is_none(), "decoding goes on behind a malformed record");
                return;
            }
            (decoded, record) => panic!("at {at}: {decoded:?}, not {record:?}"),
        }
    }
    panic!("decoding does not end");
}

/// Kind, length and padded length of the record at the front of `bytes`.
fn record(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    if bytes.len() < 12 || !matches!(bytes[0], 1..=12 | 16 | 17) {
        return None;
    }
    let length = bytes[8..12].iter().rev().fold(0_usize, |length, &byte| length * 256 + usize::from(byte));
    let padded = length.div_ceil(4) * 4;
    (12 + padded <= bytes.len()).then_some((bytes[0], length, padded))
}
