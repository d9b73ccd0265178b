//! The byte layout of events: what a reactor tells JavaScript.
//!
//! An event is a descriptor of four 32-bit words and, mostly, some bytes of payload:
//!
//! | word | contents |
//! |---|---|
//! | 0 | place of the connection's slot |
//! | 1 | generation << 16, flags << 8, [`EventKind`] |
//! | 2 | where the payload begins in the batch; for [`EventKind::Backlog`] and [`EventKind::Drain`] the bytes that wait, for [`EventKind::Applied`] and [`EventKind::Taken`] a number |
//! | 3 | length of the payload |
//!
//! `lib/events.js` decodes the same layout; a test holds the two files against each other.

use std::collections::VecDeque;

use super::ConnectionId;
use crate::limits;

/// Words of one descriptor.
pub const DESCRIPTOR_WORDS: usize = 4;

/// What happened. The numbers are part of the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EventKind {
    /// A connection was established. Payload: route, port (two bytes each, little-endian), address
    /// (0, 4 or 16 bytes). Flags: the address's [`family`].
    Open = 1,
    /// A whole message. Flags: [`FLAG_BINARY`], [`FLAG_LARGE`].
    Message = 2,
    /// A ping, if a handler asked for them. Payload: its application data.
    Ping = 3,
    /// A pong, likewise.
    Pong = 4,
    /// A message of JavaScript's was dropped by the backpressure limit. Flags and payload: the message's.
    Dropped = 5,
    /// More bytes wait to be written than JavaScript knows.
    Backlog = 6,
    /// Bytes that waited were written: all, or half of those last told.
    Drain = 7,
    /// The connection is over; nothing follows for it. Payload: status code (two bytes,
    /// little-endian), reason. Flags: [`CloseCause`].
    Close = 8,
    /// The commands of a flush are carried out; what became of them is told next. Names no connection;
    /// the number of the flush stands in the place of an amount.
    Applied = 9,
    /// A thread of the engine has panicked. Names no connection. Flags: one of the numbers of [`failed`]. Payload: text,
    /// as [`failed::text`] makes it.
    Failed = 10,
    /// A request waits for JavaScript's answer; its connection has a place already. Flags and payload: as
    /// of [`EventKind::Open`], and behind the address the request's head as text (`src/http/text.rs`).
    Request = 16,
    /// The peer is gone before its request was answered. Nothing follows for the connection.
    Aborted = 17,
    /// Content of a request, as far as it was granted. From the gate alone, as all below. Flags:
    /// [`FLAG_LAST`], [`FLAG_LARGE`].
    Content = 18,
    /// Of the response's content so many bytes are taken since its beginning, modulo 2^32, and little
    /// waits. The number stands in the place of an amount.
    Taken = 19,
    /// A connection came, if a filter asked for them. Names no request. Flags and payload: as of
    /// [`EventKind::Open`], with a route that means nothing.
    Connected = 20,
    /// It is over, or a WebSocket's, likewise.
    Disconnected = 21,
    /// A client asks for a server that has no certificate here (RFC 6066 §3). Payload: the name.
    ServerName = 22,
}

/// [`EventKind::Message`], [`EventKind::Dropped`]: the message is binary, not text.
pub const FLAG_BINARY: u8 = 1;
/// [`EventKind::Content`]: nothing follows.
pub const FLAG_LAST: u8 = 1;
/// The payload is not in the batch; JavaScript takes it by a call of its own, in order.
pub const FLAG_LARGE: u8 = 2;

/// How the address of [`EventKind::Open`] and [`EventKind::Request`] is to be read.
pub mod family {
    /// The peer has no address.
    pub const NONE: u8 = 0;
    /// Four bytes, on an IPv4 listener.
    pub const V4: u8 = 1;
    /// Four bytes of an IPv4 peer on a dual-stack listener, which uWebSockets.js shows as 16.
    pub const V4_MAPPED: u8 = 2;
    /// Sixteen bytes.
    pub const V6: u8 = 3;
}

/// What [`EventKind::Failed`] tells of.
pub mod failed {
    use crate::error::Panic;

    /// The reactor whose event it is: of its connections, those that JavaScript was told of before are no more.
    pub const REACTOR: u8 = 0;
    /// The gate: its requests are no more. It comes on its own lane, without text, and on a reactor's, with it.
    pub const GATE: u8 = 1;
    /// One connection at the gate.
    pub const CONNECTION: u8 = 2;

    /// The payload: how many established connections it has cost, where it was, and what was said, in three lines of
    /// which the last may be several.
    pub fn text(connections: u64, panic: &Panic) -> String {
        format!("{connections}\n{}\n{}", panic.place, panic.message)
    }
}

/// What ended a connection. The numbers are part of the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CloseCause {
    /// The peer's close frame.
    Peer = 1,
    /// This side: the application, or `maxLifetime`.
    Local = 2,
    /// The peer's FIN without a close frame.
    Fin = 3,
    /// A reset, or another error of the socket.
    Reset = 4,
    /// `idleTimeout`.
    Timeout = 5,
    /// A violation of RFC 6455 or of a limit.
    Protocol = 6,
    /// `closeOnBackpressureLimit`.
    Backpressure = 7,
    /// `app.shutdown()`.
    Shutdown = 8,
    /// A panic of the engine.
    Failure = 9,
    /// The App's memory budget was at its end, and nobody had more waiting.
    Memory = 10,
}

impl CloseCause {
    /// Every cause, in the order of their numbers, which begin with 1.
    pub const ALL: [Self; 10] = [
        Self::Peer,
        Self::Local,
        Self::Fin,
        Self::Reset,
        Self::Timeout,
        Self::Protocol,
        Self::Backpressure,
        Self::Shutdown,
        Self::Failure,
        Self::Memory,
    ];
}

/// Events in the order in which they happened, at most a drain's worth of them.
#[derive(Default)]
pub struct Batch {
    pub(super) descriptors: Vec<u32>,
    pub(super) payload: Vec<u8>,
    pub(super) large: VecDeque<Vec<u8>>,
    pub(super) large_bytes: usize,
}

impl Batch {
    /// Whether another event with so much payload still fits into one drain.
    pub fn has_room(&self, payload_bytes: usize) -> bool {
        self.descriptors.len() < limits::DRAIN_EVENTS * DESCRIPTOR_WORDS
            && self.payload.len() + payload_bytes <= limits::DRAIN_PAYLOAD_BYTES
            && self.large_bytes <= limits::DRAIN_LARGE_BYTES
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.descriptors.is_empty()
    }

    /// Number of events.
    pub fn events(&self) -> usize {
        self.descriptors.len() / DESCRIPTOR_WORDS
    }

    /// Memory that the events take, with that of the batch itself: many batches of one small event
    /// would take ten times what their events say.
    pub fn bytes(&self) -> usize {
        // Twice, because the queue in which a batch waits grows by doubling.
        size_of::<Self>() + self.kept_bytes() + self.large.capacity() * size_of::<Vec<u8>>() + self.large_bytes
    }

    /// Memory of an empty batch; never 0.
    pub(super) fn kept_bytes(&self) -> usize {
        size_of::<Self>() + self.descriptors.capacity() * size_of::<u32>() + self.payload.capacity()
    }

    /// Appends an event whose payload is the concatenation of `parts`.
    pub fn push(&mut self, connection: ConnectionId, kind: EventKind, flags: u8, parts: [&[u8]; 2]) {
        let offset = self.payload.len();
        self.payload.extend_from_slice(parts[0]);
        self.payload.extend_from_slice(parts[1]);
        self.describe(connection, kind, flags, offset, self.payload.len() - offset);
    }

    /// Appends an event that carries a number instead of a payload; beyond 32 bits it saturates.
    pub fn push_amount(&mut self, connection: ConnectionId, kind: EventKind, amount: usize) {
        self.describe(connection, kind, 0, amount, 0);
    }

    /// Appends that a flush is carried out.
    pub fn push_applied(&mut self, flush: u32) {
        self.descriptors.extend_from_slice(&[0, EventKind::Applied as u32, flush, 0]);
    }

    /// Appends an event whose payload crosses on its own.
    pub fn push_large(&mut self, connection: ConnectionId, kind: EventKind, flags: u8, payload: Vec<u8>) {
        self.large_bytes += payload.capacity();
        self.describe(connection, kind, flags | FLAG_LARGE, 0, payload.len());
        self.large.push_back(payload);
    }

    fn describe(&mut self, connection: ConnectionId, kind: EventKind, flags: u8, offset: usize, length: usize) {
        let tag = u32::from(connection.generation) << 16 | u32::from(flags) << 8 | kind as u32;
        let word = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        self.descriptors.extend_from_slice(&[connection.index, tag, word(offset), word(length)]);
    }

    /// Empties the batch for another use. What one burst made large is given back.
    pub(super) fn recycle(&mut self) {
        self.descriptors.clear();
        self.payload.clear();
        self.payload.shrink_to(limits::RECYCLED_BYTES);
        self.descriptors.shrink_to(limits::RECYCLED_BYTES / size_of::<u32>());
        self.large = VecDeque::new();
        self.large_bytes = 0;
    }
}
