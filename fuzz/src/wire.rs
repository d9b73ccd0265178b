//! A client's side of the wire, and a connection of the engine that writes down what it is given.
//!
//! The targets build streams with [`frame`] and cut them with [`pieces`]. [`oracle`] is
//! tungstenite's server on the same bytes. Memory follows the input.

use std::io::{self, Read, Write};

use tidewire::protocol::{
    Assembly, Flow, Inflater, Inflation, MessageKind, Payload, Progress, Receiver, Rules, Window, receive,
};
use tungstenite::protocol::frame::{FrameHeader, coding::OpCode};
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message, error::ProtocolError};

/// What a receiver was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole message.
    Message(MessageKind, Vec<u8>),
    /// A ping's payload.
    Ping(Vec<u8>),
    /// A pong's payload.
    Pong(Vec<u8>),
}

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Not at all: more bytes would be taken.
    Open,
    /// By the peer's close frame.
    Closed(Option<(u16, String)>),
    /// By a failure, with the status code that the peer is told.
    Failed(u16),
}

impl From<Progress> for Ending {
    fn from(progress: Progress) -> Self {
        match progress {
            Progress::Drained | Progress::Paused { .. } => Self::Open,
            Progress::Close { code, reason } => Self::Closed(code.map(|code| (code, reason.into()))),
            Progress::Violation(violation) => Self::Failed(violation.status_code()),
        }
    }
}

/// Writes events down. Checks what every event must keep to.
#[derive(Debug, Default)]
pub struct Recorder {
    /// All events so far.
    pub events: Vec<Event>,
    /// Whether each event pauses the connection.
    pub pauses: bool,
}

impl Recorder {
    fn note(&mut self, event: Event) -> Flow {
        self.events.push(event);
        if self.pauses { Flow::Pause } else { Flow::Continue }
    }
}

impl Receiver for Recorder {
    fn message(&mut self, kind: MessageKind, payload: Payload<'_>) -> Flow {
        if kind == MessageKind::Text {
            assert!(std::str::from_utf8(payload.as_ref()).is_ok(), "a text that is not UTF-8 was delivered");
        }
        if let Payload::Owned(bytes) = &payload {
            assert!(bytes.capacity() <= 2 * bytes.len(), "{} bytes hold {}", bytes.capacity(), bytes.len());
        }
        self.note(Event::Message(kind, payload.as_ref().to_vec()))
    }

    fn ping(&mut self, payload: &[u8]) -> Flow {
        assert!(payload.len() <= 125, "a ping of {} bytes", payload.len());
        self.note(Event::Ping(payload.to_vec()))
    }

    fn pong(&mut self, payload: &[u8]) -> Flow {
        assert!(payload.len() <= 125, "a pong of {} bytes", payload.len());
        self.note(Event::Pong(payload.to_vec()))
    }
}

/// Whether a client has agreed on compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreed {
    /// It has not.
    Nothing,
    /// It compresses each message by itself.
    Alone,
    /// It takes its context over, in a window of so many bits.
    Takeover(u8),
}

/// One connection of the engine.
pub struct Connection {
    /// What was delivered.
    pub recorder: Recorder,
    assembly: Option<Box<Assembly>>,
    rules: Rules,
    agreed: Agreed,
    inflater: Inflater,
    window: Window,
}

impl Connection {
    /// One at its beginning.
    pub fn new(rules: Rules, agreed: Agreed) -> Self {
        Self {
            recorder: Recorder::default(),
            assembly: None,
            rules,
            agreed,
            inflater: Inflater::default(),
            window: Window::default(),
        }
    }

    /// Whether the connection owns memory for its input.
    pub fn owns_memory(&self) -> bool {
        self.assembly.is_some()
    }

    /// All reads, up to the connection's end. What a pause left is given again, untouched.
    pub fn reads<'a>(&mut self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Progress {
        for piece in pieces {
            let mut bytes = piece.to_vec();
            let mut given = 0;
            loop {
                let mut inflation = match self.agreed {
                    Agreed::Nothing => None,
                    Agreed::Alone => Some(Inflation { inflater: &mut self.inflater, window: None }),
                    Agreed::Takeover(window_bits) => {
                        Some(Inflation { inflater: &mut self.inflater, window: Some((&mut self.window, window_bits)) })
                    }
                };
                let left = &mut bytes[given..];
                match receive(&mut self.assembly, self.rules, inflation.as_mut(), left, &mut self.recorder) {
                    Progress::Paused { consumed } => {
                        assert!(consumed > 0, "a pause behind nothing");
                        given += consumed;
                        assert_eq!(bytes[given..], piece[given..], "bytes behind a pause were touched");
                    }
                    Progress::Drained => break,
                    end => {
                        assert!(self.assembly.is_none(), "an ended connection keeps memory");
                        return end;
                    }
                }
            }
        }
        Progress::Drained
    }
}

/// A frame with this first byte (FIN, RSV, opcode), masked if there is a key.
pub fn frame(first: u8, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let head = FrameHeader {
        is_final: first & 0x80 != 0,
        rsv1: first & 0x40 != 0,
        rsv2: first & 0x20 != 0,
        rsv3: first & 0x10 != 0,
        opcode: OpCode::from(first & 0x0F),
        mask: key,
    };
    let mut out = Vec::with_capacity(payload.len() + 14);
    head.format(payload.len() as u64, &mut out).expect("a Vec takes everything");
    let key = key.unwrap_or_default();
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

/// `bytes` in pieces of the given lengths, in turn, over and over; a length of 0 counts as 1.
pub fn pieces<'a>(mut bytes: &'a [u8], lengths: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    lengths.iter().cycle().map_while(move |&length| {
        let (piece, rest) = bytes.split_at(length.max(1).min(bytes.len()));
        bytes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// What tungstenite's server makes of a stream, and how it ended.
///
/// # Panics
///
/// On an error that no stream of bytes can cause.
pub fn oracle(bytes: &[u8], max_payload_bytes: usize) -> (Vec<Event>, Ending) {
    struct Wire<'a>(&'a [u8]);
    impl Read for Wire<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }
    impl Write for Wire<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let limit = Some(max_payload_bytes);
    // Its default read buffer is 128 KiB, zeroed for each stream: most of the time of a small one.
    let config = WebSocketConfig::default().read_buffer_size(4096).max_frame_size(limit).max_message_size(limit);
    let mut socket = WebSocket::from_raw_socket(Wire(bytes), Role::Server, Some(config));
    let mut events = Vec::new();
    loop {
        events.push(match socket.read() {
            Ok(Message::Text(text)) => Event::Message(MessageKind::Text, text.as_bytes().to_vec()),
            Ok(Message::Binary(bytes)) => Event::Message(MessageKind::Binary, bytes.to_vec()),
            Ok(Message::Ping(payload)) => Event::Ping(payload.to_vec()),
            Ok(Message::Pong(payload)) => Event::Pong(payload.to_vec()),
            Ok(Message::Close(frame)) => {
                let frame = frame.map(|frame| (u16::from(frame.code), frame.reason.to_string()));
                return (events, Ending::Closed(frame));
            }
            Ok(Message::Frame(_)) => unreachable!("reading gives no raw frames"),
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => return (events, Ending::Open),
            Err(Error::Capacity(_)) => return (events, Ending::Failed(1009)),
            Err(Error::Utf8(_)) => return (events, Ending::Failed(1007)),
            Err(Error::Protocol(_)) => return (events, Ending::Failed(1002)),
            Err(error) => panic!("unforeseen: {error}"),
        });
    }
}
