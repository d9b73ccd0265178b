//! Bytes of one connection that the kernel did not take yet, in order.
//!
//! Born by a short write and freed when the last byte is written. Small frames are joined into
//! chunks; a large payload is kept as it came, without a copy, and a published one only once for all.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

use super::broadcast::Broadcast;
use super::network::Socket;

/// Chunks are filled up to this size before another is begun.
const CHUNK_BYTES: usize = 64 * 1024;

/// From this length on, bytes that wait for many connections are not copied for each.
const SHARED_BYTES: usize = 16 * 1024;

/// Chunks handed to the kernel by one call.
const SLICES: usize = 16;

/// Waiting bytes.
#[derive(Default)]
pub struct Outbox {
    chunks: VecDeque<Chunk>,
    /// Bytes of the first chunk that are written already.
    written: usize,
    bytes: usize,
    /// Those of them that others get, too.
    shared_bytes: usize,
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Bytes in all.
    pub bytes: usize,
    /// Those of them that lie in memory once for several connections.
    pub shared_bytes: usize,
}

enum Chunk {
    Own(Vec<u8>),
    /// Waits in other outboxes, too.
    Shared(Arc<Broadcast>),
}

impl std::ops::Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl Outbox {
    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The same, with what is shared.
    pub fn load(&self) -> Load {
        Load { bytes: self.bytes, shared_bytes: self.shared_bytes }
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Appends a copy of `bytes`.
    pub fn append(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        match self.chunks.back_mut() {
            Some(Chunk::Own(last)) if last.len() + bytes.len() <= CHUNK_BYTES => last.extend_from_slice(bytes),
            _ if bytes.is_empty() => {}
            _ => self.chunks.push_back(Chunk::Own(bytes.to_vec())),
        }
    }

    /// Appends `payload` from `start` on, without a copy.
    pub fn append_owned(&mut self, payload: Vec<u8>, start: usize) {
        if payload.len() - start < CHUNK_BYTES {
            return self.append(&payload[start..]);
        }
        self.append_chunk(Chunk::Own(payload), start);
    }

    /// The same for a payload that others get, too.
    pub fn append_shared(&mut self, payload: Arc<Broadcast>, start: usize) {
        if payload.len() < SHARED_BYTES {
            return self.append(&payload[start..]);
        }
        self.append_chunk(Chunk::Shared(payload), start);
    }

    fn append_chunk(&mut self, chunk: Chunk, start: usize) {
        // Only of the first chunk it is kept how much is written already.
        if start == chunk.len() || start > 0 && !self.chunks.is_empty() {
            return self.append(&chunk[start..]);
        }
        self.bytes += chunk.len() - start;
        if let Chunk::Shared(_) = &chunk {
            self.shared_bytes += chunk.len() - start;
        }
        if self.chunks.is_empty() {
            self.written = start;
        }
        self.chunks.push_back(chunk);
    }

    /// Writes until all is written or the socket would block. Returns the bytes written.
    pub fn write_to(&mut self, socket: &mut impl Socket) -> io::Result<usize> {
        let before = self.bytes;
        while self.bytes > 0 {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut count = 0;
            for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
                *slice = IoSlice::new(if count == 0 { &chunk[self.written..] } else { chunk });
                count += 1;
            }
            match socket.send(&slices[..count]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => self.advance(sent),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(before - self.bytes)
    }

    fn advance(&mut self, mut sent: usize) {
        self.bytes -= sent;
        while sent > 0 {
            let rest = self.chunks[0].len() - self.written;
            if let Chunk::Shared(_) = self.chunks[0] {
                self.shared_bytes -= rest.min(sent);
            }
            if sent < rest {
                self.written += sent;
                return;
            }
            sent -= rest;
            self.written = 0;
            self.chunks.pop_front();
        }
    }
}

#[cfg(test)]
impl Outbox {
    /// The chunks, as they lie in memory.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        self.chunks.iter().map(|chunk| &**chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::super::broadcast::Broadcasts;
    use super::*;
    use proptest::prelude::*;

    const PAYLOADS: usize = if cfg!(miri) { 4 } else { 12 };

    /// Takes at most `grants` bytes a call, then would block.
    struct Throttled {
        grants: Vec<usize>,
        taken: Vec<u8>,
    }

    impl Socket for Throttled {
        const SHORT_READ_DRAINS: bool = true;

        fn receive(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }

        fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let grant = self.grants.pop().ok_or(io::ErrorKind::WouldBlock)?;
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            let sent = grant.min(all.len());
            self.taken.extend_from_slice(&all[..sent]);
            Ok(sent)
        }

        fn finish(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn writes_all_bytes_in_order(
            payloads in prop::collection::vec((0..3u8, 0..3usize, 1..CHUNK_BYTES), 1..PAYLOADS),
            grants in prop::collection::vec(1..CHUNK_BYTES * 2, 0..8),
        ) {
            let (mut outbox, broadcasts) = (Outbox::default(), Broadcasts::default());
            let mut socket = Throttled { grants, taken: Vec::new() };
            let mut expected = Vec::new();
            for (number, (kind, scale, length)) in payloads.into_iter().enumerate() {
                let payload: Vec<u8> = (0..length * scale).map(|at| (at * 7 + number) as u8).collect();
                let start = if number % 3 == 0 { payload.len() / 2 } else { 0 };
                expected.extend_from_slice(&payload[start..]);
                match kind {
                    0 => outbox.append(&payload[start..]),
                    1 => outbox.append_owned(payload, start),
                    _ => outbox.append_shared(broadcasts.add(payload), start),
                }
                outbox.write_to(&mut socket).unwrap();
                prop_assert_eq!(outbox.bytes(), expected.len() - socket.taken.len());
                let shared: usize = outbox.chunks.iter().filter(|chunk| matches!(chunk, Chunk::Shared(_))).map(|chunk| chunk.len()).sum();
                let first_is_shared = matches!(outbox.chunks.front(), Some(Chunk::Shared(_)));
                prop_assert_eq!(outbox.load().shared_bytes, shared - if first_is_shared { outbox.written } else { 0 });
            }
            socket.grants = vec![usize::MAX; 64];
            outbox.write_to(&mut socket).unwrap();
            prop_assert!(outbox.load() == Load::default() && outbox.chunks.is_empty());
            prop_assert_eq!(broadcasts.bytes(), 0);
            prop_assert!(socket.taken == expected);
        }
    }
}
