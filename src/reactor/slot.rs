//! One established connection, 40 bytes of it.
//!
//! An idle connection is a slot and nothing else. What only some connections need at some times
//! hangs off it: the protocol's [`Assembly`] while a frame or a message is incomplete, and [`Rare`]
//! while something waits; both die as soon as they are empty. The session of a secure connection is
//! beside it, in a column of the page.

use crate::bridge::RouteId;
use crate::protocol::{Agreement, Assembly, ClosePayload};

use super::AnswerChannel;
use super::outbox::{Load, Outbox};

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No connection.
    Vacant,
    /// A request waits for JavaScript's answer; the gate has the socket.
    Asking,
    /// JavaScript has upgraded the request: it is open there, and what it sends waits for the socket,
    /// which comes from the gate behind the 101.
    Arriving,
    /// Messages pass both ways.
    Open,
    /// JavaScript was sent the close event; what it sends before it takes that event is still
    /// written, and then the farewell. Nothing is read.
    Ending,
    /// Our close frame is written or waits behind other bytes. What comes in is thrown away.
    Lingering,
    /// The socket is closed. JavaScript has not released the connection yet.
    Gone,
}

impl Phase {
    /// Whether the connection is open in JavaScript's eyes, as far as it was told.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Arriving)
    }
}

/// What became of a message that JavaScript sends in fragments (RFC 6455 §5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// None is open.
    Whole,
    /// Its fragments go to the peer: what is published meanwhile is held back.
    Open,
    /// Its first fragment was dropped by the backpressure limit, and the others will be.
    Dropped,
}

/// What is known of bytes that wait in the socket; the poller does not tell of them again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// Nothing: the poller tells of the next.
    None,
    /// There may be some. The next turn looks.
    Some,
    /// There was more than one read took: the connection has its turn with others of its kind.
    Much,
}

/// The engine's state of one connection.
pub struct Slot<S> {
    /// Present from adoption to [`Phase::Gone`]; behind a request, from its arrival on.
    pub socket: Option<S>,
    /// Present while a frame is cut by the end of a read, or a fragmented message is open.
    pub assembly: Option<Box<Assembly>>,
    /// Present while something waits; see [`Slot::rare`] and [`Slot::tidy`].
    pub(super) rare: Option<Box<Rare>>,
    /// Occupied: one more than this turn's place among the connections that have commands, or 0.
    /// Vacant: the next vacant slot.
    pub link: u32,
    /// Counts the connections of this slot.
    pub generation: u16,
    /// Whose settings and handlers apply.
    pub route: RouteId,
    /// Where the connection is in its life.
    pub phase: Phase,
    /// What was agreed on with the client about compression.
    pub agreement: Option<Agreement>,
    /// A ping was sent for want of traffic, and nothing came since.
    pub pinged: bool,
    /// Whether bytes wait in the socket; the connection is on one of the reactor's lists then.
    pub unread: Unread,
    /// A FIN or an error waits to be read behind the bytes, and will not be told again.
    pub ended: bool,
    /// JavaScript has written its last command for this connection.
    pub released: bool,
    /// The socket is closed as soon as all is written: the peer has said its close frame already.
    pub hang_up: bool,
    /// Our FIN is sent.
    pub finished: bool,
    /// The fragmented message that JavaScript sends.
    pub outgoing: Outgoing,
}

/// What only some connections have, at some times.
#[derive(Default)]
pub struct Rare {
    /// Bytes that the kernel did not take. Born by a short write, freed when written.
    pub outbox: Outbox,
    /// Bytes that were read but not decoded, because JavaScript's intake is full.
    pub leftover: Vec<u8>,
    /// The answer to the latest ping, waiting behind the outbox.
    pub pong: Option<Vec<u8>>,
    /// What to say to the peer once JavaScript has taken the close event.
    pub farewell: Option<ClosePayload>,
    /// Bytes in the outbox as JavaScript was last told.
    pub told_bytes: usize,
    /// Frames of messages that were published inside a fragmented one, until that ends.
    pub held: Vec<u8>,
    /// Where the answer goes, in [`Phase::Asking`].
    pub answer: Option<AnswerChannel>,
}

impl<S> Slot<S> {
    /// A slot that was never used; `link` is the next vacant one.
    pub fn vacant(link: u32) -> Self {
        Self {
            socket: None,
            assembly: None,
            rare: None,
            link,
            generation: 0,
            route: RouteId(0),
            phase: Phase::Vacant,
            agreement: None,
            pinged: false,
            unread: Unread::None,
            ended: false,
            released: false,
            hang_up: false,
            finished: false,
            outgoing: Outgoing::Whole,
        }
    }

    /// The rare parts, born now if they are not there.
    pub fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// The rare parts, if there are any.
    pub fn rare_if_any(&mut self) -> Option<&mut Rare> {
        self.rare.as_deref_mut()
    }

    /// Takes the rare parts out, to use them beside the socket; [`Slot::put_rare`] gives them back.
    pub fn take_rare(&mut self) -> Option<Box<Rare>> {
        self.rare.take()
    }

    /// See [`Slot::take_rare`].
    pub fn put_rare(&mut self, rare: Box<Rare>) {
        self.rare = Some(rare);
    }

    /// Bytes that wait to be written.
    pub fn waiting_bytes(&self) -> usize {
        self.rare.as_ref().map_or(0, |rare| rare.outbox.bytes())
    }

    /// The same and what is held back, with what of it is shared.
    pub fn load(&self) -> Load {
        let Some(rare) = &self.rare else { return Load::default() };
        let Load { bytes, shared_bytes } = rare.outbox.load();
        Load { bytes: bytes + rare.held.len(), shared_bytes }
    }

    /// Frees the rare parts if none is in use.
    pub fn tidy(&mut self) {
        let unused = |rare: &Rare| {
            rare.outbox.is_empty()
                && rare.leftover.is_empty()
                && rare.pong.is_none()
                && rare.farewell.is_none()
                && rare.held.is_empty()
                && rare.answer.is_none()
        };
        if self.rare.as_deref().is_some_and(unused) {
            self.rare = None;
        }
    }

    /// Closes the socket and frees all that hung off the slot. Returns the bytes of leftover.
    pub fn empty(&mut self) -> usize {
        self.socket = None;
        self.assembly = None;
        self.rare.take().map_or(0, |rare| rare.leftover.len())
    }
}

#[cfg(all(test, unix, target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn a_slot_has_40_bytes() {
        // As docs/memory.md says; of 64 that the budget allows. mio's socket is a bare descriptor in a release build.
        assert_eq!(size_of::<Slot<std::os::fd::OwnedFd>>(), 40);
    }
}
