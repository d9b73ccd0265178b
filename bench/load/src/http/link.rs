//! One connection: what is under way on it, and what a read has cut. Driven by [`super::crowd`].

use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::crowd::Question;
use super::response::Expected;
use crate::client::write_some;
use crate::failure::Failure;

/// A connection that is kept alive.
pub(super) struct Link {
    stream: TcpStream,
    is_connected: bool,
    /// What the kernel has not taken yet.
    unsent: Vec<u8>,
    /// The beginning of a response whose rest has not come.
    held: Vec<u8>,
    /// When each request that has no response yet was written, in order.
    written: VecDeque<Instant>,
}

impl Link {
    /// Begins to connect, edge-triggered in both directions for all of its life.
    pub(super) fn connect(
        address: SocketAddr,
        registry: &Registry,
        token: Token,
        in_flight: usize,
    ) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let written = VecDeque::with_capacity(in_flight);
        Ok(Self { stream, is_connected: false, unsent: Vec::new(), held: Vec::new(), written })
    }

    /// Requests without a response.
    pub(super) fn unanswered(&self) -> u64 {
        self.written.len() as u64
    }

    /// The socket can be written. Whether the connection is made by this.
    pub(super) fn on_writable(&mut self) -> io::Result<bool> {
        if !self.is_connected {
            if let Some(error) = self.stream.take_error()? {
                return Err(error);
            }
            self.stream.set_nodelay(true)?;
            self.is_connected = true;
            return Ok(true);
        }
        let written = write_some(&mut self.stream, &self.unsent)?;
        self.unsent.drain(..written);
        Ok(false)
    }

    /// Writes so many requests with one system call; what the kernel does not take follows by itself.
    pub(super) fn ask(&mut self, question: &Question, count: usize, now: Instant) -> io::Result<()> {
        let requests = &question.requests[..count * question.request_bytes];
        self.written.extend(std::iter::repeat_n(now, count));
        let written = if self.unsent.is_empty() { write_some(&mut self.stream, requests)? } else { 0 };
        self.unsent.extend_from_slice(&requests[written..]);
        Ok(())
    }

    /// Reads once. `None` when there is nothing.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server has closed it")),
                Ok(read) => return Ok(Some(read)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
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
