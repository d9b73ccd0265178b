//! For the tests of this room: a client's frames, and a receiver that writes down what it is given.

use std::collections::VecDeque;

use tungstenite::protocol::frame::{FrameHeader, coding::OpCode};

use super::{
    Agreement, Assembly, Flow, Inflater, Inflation, MessageKind, Payload, Progress, Receiver, Rules, Window, receive,
};

/// The masking key of RFC 6455 §5.7.
pub(super) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Rules that nothing small breaks.
pub(super) const GENEROUS: Rules = Rules { max_payload_bytes: 1 << 20, max_fragments: 1000 };

/// The bytes of a hex dump; blanks are skipped.
pub(super) fn hex(dump: &str) -> Vec<u8> {
    let digits: Vec<u8> = dump.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex digits"))
        .collect()
}

/// A masked frame, its head written by tungstenite. `first` is the first byte: FIN, RSV and opcode.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let head = FrameHeader {
        is_final: first & 0x80 != 0,
        rsv1: first & 0x40 != 0,
        rsv2: first & 0x20 != 0,
        rsv3: first & 0x10 != 0,
        opcode: OpCode::from(first & 0x0F),
        mask: Some(KEY),
    };
    let mut out = Vec::new();
    head.format(payload.len() as u64, &mut out).expect("a Vec takes everything");
    let start = out.len();
    out.extend_from_slice(payload);
    // By words, or Miri takes minutes for a long one.
    let (words, rest) = out[start..].as_chunks_mut();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(KEY)).to_ne_bytes();
    }
    rest.iter_mut().zip(KEY).for_each(|(byte, key)| *byte ^= key);
    out
}

/// What a receiver was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Message(MessageKind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

/// Writes events down, and pauses by a script.
#[derive(Default)]
pub(super) struct Recorder {
    pub(super) events: Vec<Event>,
    /// How many payloads came as buffers of their own.
    pub(super) owned: usize,
    /// For each event in turn: whether it pauses, and whether messages are refused behind it. At
    /// the script's end, neither.
    pub(super) script: VecDeque<(bool, bool)>,
    /// Whether messages are refused until the next pause is over.
    pub(super) refuses: bool,
}

impl Recorder {
    fn record(&mut self, event: Event) -> Flow {
        self.events.push(event);
        let (pauses, refuses) = self.script.pop_front().unwrap_or((false, false));
        self.refuses |= refuses;
        if pauses { Flow::Pause } else { Flow::Continue }
    }
}

impl Receiver for Recorder {
    fn takes_messages(&self) -> bool {
        !self.refuses
    }

    fn message(&mut self, kind: MessageKind, payload: Payload<'_>) -> Flow {
        self.owned += usize::from(matches!(payload, Payload::Owned(_)));
        self.record(Event::Message(kind, payload.as_ref().to_vec()))
    }

    fn ping(&mut self, payload: &[u8]) -> Flow {
        self.record(Event::Ping(payload.to_vec()))
    }

    fn pong(&mut self, payload: &[u8]) -> Flow {
        self.record(Event::Pong(payload.to_vec()))
    }
}

/// One connection under test.
pub(super) struct Connection {
    pub(super) assembly: Option<Box<Assembly>>,
    pub(super) rules: Rules,
    pub(super) agreement: Option<Agreement>,
    pub(super) inflater: Inflater,
    pub(super) window: Window,
    pub(super) recorder: Recorder,
}

impl Connection {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            assembly: None,
            rules,
            agreement: None,
            inflater: Inflater::default(),
            window: Window::default(),
            recorder: Recorder::default(),
        }
    }

    /// One whose client has agreed on compression.
    pub(super) fn agreed(rules: Rules, agreement: Agreement) -> Self {
        Self { agreement: Some(agreement), ..Self::new(rules) }
    }

    /// One read, given again behind each pause, as a reactor does.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Progress {
        let mut bytes = bytes.to_vec();
        let mut given = 0;
        loop {
            let untouched = bytes.clone();
            let mut inflation = self.agreement.map(|agreement| Inflation {
                inflater: &mut self.inflater,
                window: agreement.inbound_window_bits().map(|window_bits| (&mut self.window, window_bits)),
            });
            let bytes_left = &mut bytes[given..];
            match receive(&mut self.assembly, self.rules, inflation.as_mut(), bytes_left, &mut self.recorder) {
                Progress::Paused { consumed } => {
                    given += consumed;
                    assert_eq!(bytes[given..], untouched[given..], "paused bytes were touched");
                    self.recorder.refuses = false;
                }
                progress => return progress,
            }
        }
    }

    /// All reads, up to the connection's end.
    pub(super) fn reads<'a>(&mut self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Progress {
        for piece in pieces {
            let progress = self.read(piece);
            if progress != Progress::Drained {
                assert!(self.assembly.is_none(), "an ended connection keeps memory");
                return progress;
            }
        }
        Progress::Drained
    }
}
