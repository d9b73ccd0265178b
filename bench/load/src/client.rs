//! One connection: connecting, upgrading, open, closing. Driven by [`crate::swarm`], which owns the
//! poller and the read buffer. An idle connection holds no buffer: one is born when the kernel
//! does not take a write or a read cuts a head or control frame, and is freed when that is over.

use std::io;

use mio::{Registry, Token};

use crate::failure::Failure;
use crate::frame::{self, BadFrame, FrameReader, Piece};
use crate::handshake;
use crate::payload::MASKING_KEY;
use crate::stream::{Arrival, Room, Stream};

/// Where a connection stands.
enum Phase {
    Connecting,
    /// Asked; the head of the answer as far as it has come.
    Upgrading(Vec<u8>),
    Open,
    /// Our close frame is out; the server's and its FIN are awaited.
    Closing,
    /// The server's close frame, with this status code, is answered; its FIN is awaited.
    Answered(Option<u16>),
}

/// How a connection ended.
#[derive(Debug)]
pub enum End {
    /// We closed it and the server's FIN came.
    Clean,
    /// We closed it, and the server reset it instead of sending a FIN.
    CleanThenReset,
    /// The server ended the TCP connection without a close frame.
    Fin,
    /// The server's close frame came first, with this status code (RFC 6455 §7.4).
    CloseFrame(Option<u16>),
    /// The same, and the server reset the connection instead of sending the FIN that was awaited.
    CloseFrameThenReset(Option<u16>),
    /// A system call failed.
    Io(io::Error),
    /// The server sent a frame that it may not send.
    BadFrame(BadFrame),
    /// The opening handshake failed.
    Refused(Failure),
}

/// What ends the service of a connection: its own end, or the run's.
pub(crate) enum Stop {
    Connection(End),
    Run(Failure),
}

impl From<End> for Stop {
    fn from(end: End) -> Self {
        Self::Connection(end)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Run(failure)
    }
}

/// What the bytes of one read were.
pub enum Heard<'a> {
    /// The opening handshake is done.
    Opened,
    /// A piece of a data frame.
    Data(Piece<'a>),
}

/// A WebSocket connection of the bench.
pub struct Client {
    stream: Stream,
    phase: Phase,
    reader: FrameReader,
    control: Vec<u8>,
    pings: u32,
    awaits_fin: bool,
    failed_write: Option<io::Error>,
}

impl Client {
    /// On a stream that begins to connect. `reader` is a new one.
    pub fn new(stream: Stream, reader: FrameReader) -> Self {
        let (phase, control) = (Phase::Connecting, Vec::new());
        Self { stream, phase, reader, control, pings: 0, awaits_fin: false, failed_write: None }
    }

    /// Whether messages may be written.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Bytes that the kernel has not taken yet.
    pub fn unsent_bytes(&self) -> usize {
        self.stream.unsent_bytes()
    }

    /// Pings of the server that were answered.
    pub fn pings(&self) -> u32 {
        self.pings
    }

    /// Writes whole frames with one system call; what the kernel does not take follows by itself.
    pub fn write(&mut self, frames: &[u8]) {
        if let Err(error) = self.stream.write(frames) {
            self.failed_write = Some(error);
        }
    }

    /// Begins the closing handshake with status 1000 (RFC 6455 §7.1.2).
    pub fn close(&mut self) {
        if self.is_open() {
            self.write_control(frame::CLOSE, &1000u16.to_be_bytes());
            self.phase = Phase::Closing;
        }
    }

    /// From now on the server's close frame is not the end: that is the FIN behind the answer to it.
    pub fn await_fin(&mut self) {
        self.awaits_fin = true;
    }

    /// Ends the connection with a reset, without a close frame.
    pub fn reset(self) -> io::Result<()> {
        self.stream.reset()
    }

    /// Sends a FIN without a close frame, and goes on to read.
    pub fn half_close(&mut self) -> io::Result<()> {
        self.stream.half_close()
    }

    /// The socket can be written: the connection is made, or there is room again.
    pub(crate) fn on_writable(&mut self, request: &[u8]) -> Result<(), End> {
        if let Phase::Connecting = self.phase {
            self.stream.begin().map_err(End::Io)?;
            self.phase = Phase::Upgrading(Vec::new());
            self.write(request);
            return Ok(());
        }
        self.stream.flush().map_err(|error| self.end_of(error))
    }

    /// Reads once. `None` when there is nothing; else what came, and whether there may be more.
    pub(crate) fn read<'a>(&mut self, room: &'a mut Room) -> Result<Option<(&'a [u8], bool)>, End> {
        match self.stream.read(room) {
            Ok(Arrival::Nothing) => Ok(None),
            Ok(Arrival::Bytes { bytes, is_full }) => Ok(Some((bytes, is_full))),
            Ok(Arrival::End) => Err(match self.phase {
                Phase::Closing => End::Clean,
                Phase::Answered(code) => End::CloseFrame(code),
                _ => End::Fin,
            }),
            Err(error) => Err(self.end_of(error)),
        }
    }

    /// Makes sense of what was read. Pings are answered here; data goes to `hear`.
    pub(crate) fn digest(
        &mut self,
        mut input: &[u8],
        mut hear: impl FnMut(&mut Self, Heard<'_>) -> Result<(), Failure>,
    ) -> Result<(), Stop> {
        if let Phase::Upgrading(head) = &mut self.phase {
            let before = head.len();
            head.extend_from_slice(input);
            let Some(end) = handshake::head_bytes(head).map_err(End::Refused)? else {
                return Ok(());
            };
            input = &input[end - before..];
            self.phase = Phase::Open;
            hear(self, Heard::Opened)?;
        }
        while let Some(piece) = self.reader.next(&mut input).map_err(End::BadFrame)? {
            if frame::is_control(piece.opcode) {
                self.on_control(&piece)?;
            } else {
                hear(self, Heard::Data(piece))?;
            }
        }
        Ok(())
    }

    /// Gives up a write that failed, if one did.
    pub(crate) fn take_failed_write(&mut self) -> Result<(), End> {
        match self.failed_write.take() {
            None => Ok(()),
            Some(error) => Err(self.end_of(error)),
        }
    }

    /// Asks the poller to look at the socket again, so that what is left unread gives an event.
    pub(crate) fn look_again(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.stream.look_again(registry, token)
    }

    fn on_control(&mut self, piece: &Piece<'_>) -> Result<(), End> {
        self.control.extend_from_slice(piece.bytes);
        if !piece.is_last() {
            return Ok(());
        }
        let payload = std::mem::take(&mut self.control);
        match piece.opcode {
            frame::PING => {
                self.pings += 1;
                self.write_control(frame::PONG, &payload);
            }
            frame::CLOSE if !matches!(self.phase, Phase::Closing | Phase::Answered(_)) => {
                self.write_control(frame::CLOSE, &payload);
                let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                if !self.awaits_fin {
                    return Err(End::CloseFrame(code));
                }
                self.phase = Phase::Answered(code);
            }
            _ => {}
        }
        Ok(())
    }

    fn write_control(&mut self, opcode: u8, payload: &[u8]) {
        let mut bytes = Vec::with_capacity(payload.len() + 6);
        frame::put_masked(&mut bytes, opcode, payload, MASKING_KEY);
        self.write(&bytes);
    }

    fn end_of(&self, error: io::Error) -> End {
        let is_reset = matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe);
        match self.phase {
            Phase::Closing if is_reset => End::CleanThenReset,
            Phase::Answered(code) if is_reset => End::CloseFrameThenReset(code),
            _ => End::Io(error),
        }
    }
}
