//! The events of one reactor on their way to JavaScript, and the bound on how many may wait there.
//!
//! Events gather in an open batch; it is posted at the end of a turn, or in the middle of one when a
//! drain's worth is there. JavaScript is rung once for each post at most.

use std::sync::Arc;

use super::Tally;
use super::shared::Shared;
use crate::bridge::{Batch, CloseCause, ConnectionId, EventKind, Level, Waiting, event};
use crate::limits;
use crate::protocol::{MessageKind, Payload};

/// Memory of a control frame's event at most, alone in its batch.
const CONTROL_EVENT_BYTES: usize = 512;

/// The open batch of one reactor.
pub struct Intake {
    /// The reactor's numbers. They are kept here because they are published before each batch.
    pub tally: Tally,
    published: Tally,
    shared: Arc<Shared>,
    open: Batch,
    /// What waited when that was last looked at.
    waiting: Waiting,
    /// The App's memory budget, when that was last looked at.
    level: Level,
    /// Memory of what came although the intake was full, in events of control frames and elsewhere.
    excess_bytes: usize,
    /// The newest flush carried out, while JavaScript is not told of it.
    applied: Option<u32>,
}

impl Intake {
    /// With nothing in it.
    pub fn new(shared: Arc<Shared>) -> Self {
        let (tally, published) = (Tally::default(), Tally::default());
        Self {
            tally,
            published,
            shared,
            open: Batch::default(),
            waiting: Waiting::default(),
            level: Level::default(),
            excess_bytes: 0,
            applied: None,
        }
    }

    /// What is left of one whose reactor has panicked: the events that JavaScript is still to get, and the numbers.
    pub fn salvaged(self) -> Self {
        let Self { tally, shared, open, .. } = self;
        Self { tally, open, ..Self::new(shared) }
    }

    /// Whether so much waits for JavaScript, or in all buffers of the App, that no more messages may be taken from
    /// the wire.
    pub fn is_full(&self) -> bool {
        self.level.stops_reading() || self.is_backed_up()
    }

    /// The App's memory budget, as it was last looked at.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Looks at the App's memory budget.
    pub fn look_at_budget(&mut self) {
        self.level = self.shared.crossing.budget().level();
    }

    /// Whether so much of this reactor waits for JavaScript that no more may follow.
    pub fn is_backed_up(&self) -> bool {
        self.waiting.bytes + self.open.bytes() >= limits::INTAKE_BYTES
    }

    /// Whether so many events wait that a read may bring but a few more.
    pub fn is_flooded(&self) -> bool {
        self.waiting.events + self.open.events() >= limits::FLOOD_EVENTS
    }

    /// Whether enough waits for JavaScript, in the open batch and before it.
    pub fn is_ahead(&self) -> bool {
        let Waiting { events, bytes, .. } = self.waiting;
        let (events, bytes) = (events + self.open.events(), bytes + self.open.bytes());
        Waiting { events, bytes, ..self.waiting }.is_ahead()
    }

    /// Looks again how much waits, and asks to be woken when it is little. Tells how often JavaScript has taken some.
    pub fn hold(&mut self) -> u64 {
        self.waiting = self.shared.crossing.mailbox.hold();
        self.waiting.drains
    }

    /// Looks again how much waits; asks, if it is still too much, to be woken when there is room. The budget wakes by
    /// itself.
    pub fn look_again(&mut self) {
        self.look_at_budget();
        if self.is_backed_up() {
            self.waiting = self.shared.crossing.mailbox.starve();
        }
        if !self.is_full() {
            self.excess_bytes = 0;
        }
    }

    /// Memory of what came although the intake was full, at most.
    pub fn excess_bytes(&self) -> usize {
        self.excess_bytes
    }

    /// So much was read although the intake was full, and is kept elsewhere.
    pub fn exceed(&mut self, bytes: usize) {
        self.excess_bytes += bytes;
    }

    /// The commands of flush `number` are being carried out. JavaScript is told before the next event,
    /// and not woken for this alone: what it counts as buffered is right at each event.
    pub fn set_applied(&mut self, number: u32) {
        self.applied = Some(number);
    }

    /// A whole message.
    pub fn message(&mut self, connection: ConnectionId, kind: MessageKind, payload: Payload<'_>) {
        self.tally.messages_in += 1;
        self.data(connection, EventKind::Message, kind, payload);
    }

    /// A message of JavaScript's was dropped.
    pub fn dropped(&mut self, connection: ConnectionId, kind: MessageKind, payload: Payload<'_>) {
        self.data(connection, EventKind::Dropped, kind, payload);
    }

    /// An event with a small payload.
    pub fn tell(&mut self, connection: ConnectionId, kind: EventKind, flags: u8, parts: [&[u8]; 2]) {
        self.make_room(parts[0].len() + parts[1].len());
        self.open.push(connection, kind, flags, parts);
    }

    /// A ping or pong, which is told even to a full intake: its peer wants an answer. The caller
    /// sees to it that [`Intake::excess_bytes`] has a bound.
    pub fn control(&mut self, connection: ConnectionId, kind: EventKind, payload: &[u8]) {
        if self.is_full() {
            self.excess_bytes += CONTROL_EVENT_BYTES;
        }
        self.tell(connection, kind, 0, [payload, b""]);
    }

    /// An event with an amount.
    pub fn tell_amount(&mut self, connection: ConnectionId, kind: EventKind, amount: usize) {
        self.make_room(0);
        self.open.push_amount(connection, kind, amount);
    }

    /// The last event of a connection.
    pub fn close(&mut self, connection: ConnectionId, cause: CloseCause, code: u16, reason: &[u8]) {
        self.tally.close(cause);
        self.tell(connection, EventKind::Close, cause as u8, [&code.to_le_bytes(), reason]);
    }

    /// Hands over what is there, and rings for it.
    pub fn post(&mut self) {
        if self.open.is_empty() {
            return;
        }
        self.tally.batches += 1;
        let events = self.open.events() as u64;
        self.tally.events += events;
        self.tally.largest_batch = self.tally.largest_batch.max(events);
        self.publish();
        self.waiting = self.shared.crossing.mailbox.post(&mut self.open);
        self.look_at_budget();
        self.shared.crossing.ring_javascript();
    }

    /// Memory of the open batch.
    pub fn open_bytes(&self) -> usize {
        self.open.bytes()
    }

    /// Lets go of buffers that are empty.
    pub fn let_go(&mut self) {
        if self.open.is_empty() {
            self.open = Batch::default();
        }
    }

    /// Shows the reactor's numbers to other threads, if they have changed.
    pub fn publish(&mut self) {
        if self.tally != self.published {
            self.published = self.tally;
            self.shared.publish(&self.tally);
        }
    }

    fn data(&mut self, connection: ConnectionId, event: EventKind, kind: MessageKind, payload: Payload<'_>) {
        let flags = match kind {
            MessageKind::Text => 0,
            MessageKind::Binary => event::FLAG_BINARY,
        };
        match payload {
            Payload::Owned(payload) if payload.len() > limits::LARGE_MESSAGE_BYTES => {
                self.make_room(0);
                self.open.push_large(connection, event, flags, payload);
            }
            Payload::Borrowed(payload) if payload.len() > limits::LARGE_MESSAGE_BYTES => {
                self.make_room(0);
                self.open.push_large(connection, event, flags, payload.to_vec());
            }
            Payload::Owned(payload) => self.tell(connection, event, flags, [&payload, b""]),
            Payload::Borrowed(payload) => self.tell(connection, event, flags, [payload, b""]),
        }
    }

    /// Makes room for one event.
    fn make_room(&mut self, payload_bytes: usize) {
        if let Some(flush) = self.applied.take() {
            if !self.open.has_room(0) {
                self.post();
            }
            self.open.push_applied(flush);
        }
        if !self.open.has_room(payload_bytes) {
            self.post();
        }
    }
}
