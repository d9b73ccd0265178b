//! One connection: what is under way on it, and what a read has cut. Driven by [`super::crowd`].

use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use super::crowd::Question;
use super::response::Expected;
use crate::failure::Failure;
use crate::stream::{Arrival, Room, Stream};

/// A connection that is kept alive.
pub(super) struct Link {
    stream: Stream,
    is_connected: bool,
    /// The beginning of a response whose rest has not come.
    held: Vec<u8>,
    /// When each request that has no response yet was written, in order.
    written: VecDeque<Instant>,
}

impl Link {
    /// On a stream that begins to connect.
    pub(super) fn new(stream: Stream, in_flight: usize) -> Self {
        Self { stream, is_connected: false, held: Vec::new(), written: VecDeque::with_capacity(in_flight) }
    }

    /// Requests without a response.
    pub(super) fn unanswered(&self) -> u64 {
        self.written.len() as u64
    }

    /// The socket can be written. Whether the connection is made by this.
    pub(super) fn on_writable(&mut self) -> io::Result<bool> {
        if self.is_connected {
            self.stream.flush()?;
            return Ok(false);
        }
        self.stream.begin()?;
        self.is_connected = true;
        Ok(true)
    }

    /// Writes so many requests with one system call; what the kernel does not take follows by itself.
    pub(super) fn ask(&mut self, question: &Question, count: usize, now: Instant) -> io::Result<()> {
        self.written.extend(std::iter::repeat_n(now, count));
        self.stream.write(&question.requests[..count * question.request_bytes])
    }

    /// Reads once. `None` when there is nothing; else what came, and whether there may be more.
    pub(super) fn read<'a>(&mut self, room: &'a mut Room) -> io::Result<Option<(&'a [u8], bool)>> {
        match self.stream.read(room)? {
            Arrival::Nothing => Ok(None),
            Arrival::Bytes { bytes, is_full } => Ok(Some((bytes, is_full))),
            Arrival::End => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server has closed it")),
        }
    }

    /// Takes the responses in what was read, and tells when the request of each was written. How many those were.
    pub(super) fn digest(
        &mut self,
        input: &[u8],
        expected: &Expected,
        mut answer: impl FnMut(Instant),
    ) -> Result<usize, Failure> {
        let mut held = std::mem::take(&mut self.held);
        let mut rest = input;
        if !held.is_empty() {
            held.extend_from_slice(input);
            rest = &held;
        }
        let mut answers = 0;
        while let Some(bytes) = expected.response_bytes(rest)? {
            let written = self.written.pop_front();
            answer(written.ok_or_else(|| Failure::new("the server sent a response that nobody asked for"))?);
            rest = &rest[bytes..];
            answers += 1;
        }
        self.held = rest.to_vec();
        Ok(answers)
    }
}
