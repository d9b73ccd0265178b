//! What one connection is to be sent in one turn, in order, so that it leaves in one system call.
//!
//! Small pieces are copied together, which costs less than handing the kernel many slices; long ones
//! stay where they are. One gather is reused for all connections of a reactor.

use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;

use super::broadcast::Broadcast;
use super::outbox::Outbox;
use crate::protocol::{FrameHead, Opcode};

/// From this length on a payload is not copied. Below it, a copy costs less than a slice does.
const SLICE_BYTES: usize = 2 * 1024;

/// Slices handed to the kernel by one call.
const SLICES: usize = 64;

/// Pieces of output in order.
#[derive(Default)]
pub struct Gather {
    staged: Vec<u8>,
    pieces: Vec<Piece>,
    bytes: usize,
}

enum Piece {
    /// Bytes of `staged`.
    Staged(Range<usize>),
    /// Bytes of this turn's commands.
    Commands(Range<usize>),
    /// A large payload.
    Owned(Vec<u8>),
    /// A large payload that others get, too.
    Shared(Arc<Broadcast>),
}

impl Gather {
    /// Bytes in all.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends to the staged bytes what `write` appends.
    pub fn stage(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.staged.len();
        write(&mut self.staged);
        let end = self.staged.len();
        self.bytes += end - start;
        match self.pieces.last_mut() {
            Some(Piece::Staged(range)) => range.end = end,
            _ => self.pieces.push(Piece::Staged(start..end)),
        }
    }

    /// Appends a control frame.
    pub fn control(&mut self, opcode: Opcode, payload: &[u8]) {
        self.stage(|staged| {
            FrameHead::whole(opcode, payload.len()).append_to(staged);
            staged.extend_from_slice(payload);
        });
    }

    /// Appends a range of `commands`, the buffer of this turn.
    pub fn push(&mut self, commands: &[u8], range: Range<usize>) {
        if range.len() < SLICE_BYTES {
            return self.stage(|staged| staged.extend_from_slice(&commands[range]));
        }
        self.bytes += range.len();
        self.pieces.push(Piece::Commands(range));
    }

    /// The same for what is most often all that a connection gets: it is not copied if nothing is before it.
    pub fn push_whole(&mut self, commands: &[u8], range: Range<usize>) {
        if !self.pieces.is_empty() {
            return self.push(commands, range);
        }
        self.bytes += range.len();
        self.pieces.push(Piece::Commands(range));
    }

    /// Appends a large payload.
    pub fn push_owned(&mut self, payload: Vec<u8>) {
        self.bytes += payload.len();
        self.pieces.push(Piece::Owned(payload));
    }

    /// Appends bytes that others get, too.
    pub fn push_shared(&mut self, payload: Arc<Broadcast>) {
        if payload.len() < SLICE_BYTES {
            return self.stage(|staged| staged.extend_from_slice(&payload));
        }
        self.bytes += payload.len();
        self.pieces.push(Piece::Shared(payload));
    }

    /// Calls `send` with slices of all that is left behind the first `sent` bytes, a system call's worth.
    pub fn with_slices<T>(&self, commands: &[u8], mut sent: usize, send: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
        if let [piece] = self.pieces.as_slice() {
            return send(&[IoSlice::new(&self.resolve(piece, commands)[sent..])]);
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut count = 0;
        for piece in &self.pieces {
            let bytes = self.resolve(piece, commands);
            if sent >= bytes.len() {
                sent -= bytes.len();
                continue;
            }
            if count == SLICES {
                break;
            }
            slices[count] = IoSlice::new(&bytes[sent..]);
            sent = 0;
            count += 1;
        }
        send(&slices[..count])
    }

    /// Moves what is left behind the first `sent` bytes into the outbox, and is empty.
    pub fn move_to(&mut self, outbox: &mut Outbox, commands: &[u8], mut sent: usize) {
        for piece in std::mem::take(&mut self.pieces) {
            let length = self.resolve(&piece, commands).len();
            if sent >= length {
                sent -= length;
                continue;
            }
            match piece {
                Piece::Owned(payload) => outbox.append_owned(payload, sent),
                Piece::Shared(payload) => outbox.append_shared(payload, sent),
                piece => outbox.append(&self.resolve(&piece, commands)[sent..]),
            }
            sent = 0;
        }
        self.clear();
    }

    /// Empties the gather for the next connection. What one burst made large is given back.
    pub fn clear(&mut self) {
        self.staged.clear();
        self.staged.shrink_to(crate::limits::RECYCLED_BYTES);
        self.pieces.clear();
        self.bytes = 0;
    }

    fn resolve<'a>(&'a self, piece: &'a Piece, commands: &'a [u8]) -> &'a [u8] {
        match piece {
            Piece::Staged(range) => &self.staged[range.clone()],
            Piece::Commands(range) => &commands[range.clone()],
            Piece::Owned(payload) => payload,
            Piece::Shared(payload) => payload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::broadcast::Broadcasts;
    use super::*;
    use proptest::prelude::*;

    const PIECES: usize = if cfg!(miri) { 12 } else { 90 };

    proptest! {
        #[test]
        fn keeps_order_from_any_point_on(lengths in prop::collection::vec((0..5u8, 0..SLICE_BYTES * 2), 1..PIECES), cut in any::<prop::sample::Index>()) {
            let commands: Vec<u8> = (0..SLICE_BYTES * 3).map(|at| (at % 251) as u8).collect();
            let mut gather = Gather::default();
            let mut expected = Vec::new();
            for (kind, length) in lengths {
                let range = length / 3..length / 3 + length;
                expected.extend_from_slice(&commands[range.clone()]);
                match kind {
                    0 => gather.push(&commands, range),
                    1 => gather.push_owned(commands[range].to_vec()),
                    2 => gather.push_shared(Broadcasts::default().add(commands[range].to_vec())),
                    3 => gather.push_whole(&commands, range),
                    _ => gather.stage(|staged| staged.extend_from_slice(&commands[range])),
                }
            }
            prop_assert_eq!(gather.bytes(), expected.len());
            let mut sent = cut.index(expected.len() + 1);
            let mut outbox = Outbox::default();
            let joined = gather.with_slices(&commands, sent, |slices| slices.iter().flat_map(|slice| slice.to_vec()).collect::<Vec<u8>>());
            prop_assert!(expected[sent..].starts_with(&joined));
            sent += joined.len();
            gather.move_to(&mut outbox, &commands, sent);
            prop_assert_eq!(outbox.bytes(), expected.len() - sent);
            prop_assert_eq!(gather.bytes(), 0);
        }
    }
}
