//! Messages that were published to one topic with nothing between them, so that all who get all of
//! them get the same bytes.
//!
//! Their frames are moved together where JavaScript wrote them, once, and one entry of the
//! [`Agenda`](super::agenda::Agenda) stands for all of them: a subscriber costs one look at its slot and one
//! write, not one for each message. Memory, until they are delivered: 28 bytes for each message,
//! and 56 for each volley, of which there are as many as messages where topics take turns; and no more than of
//! [`limits::VOLLEY_MESSAGES`] and of one volley.

use std::ops::Range;

use crate::bridge::Command;
use crate::bridge::command::FLAG_COMPRESS;
use crate::limits;
use crate::topics::TopicId;

/// Bytes of frames in one volley, but for a message that is longer by itself: a part of what is gathered
/// for a connection before it is written, and of the backpressure limit that routes have by default.
const VOLLEY_BYTES: usize = 16 * 1024;

/// Some messages of one topic, in order.
#[derive(Clone, Debug)]
pub struct Volley {
    /// Who gets it.
    pub topic: TopicId,
    /// Where the frames lie in the buffer of commands.
    pub frames: Range<usize>,
    /// Whether one of the messages is to be compressed.
    pub is_compressible: bool,
    /// Which messages.
    pub parts: Range<usize>,
    senders: Range<usize>,
}

/// The volleys of one turn.
#[derive(Default)]
pub struct Volleys {
    open: Option<Volley>,
    sealed: Vec<Volley>,
    parts: Vec<Command>,
    /// The places of those that published, sorted within each sealed volley.
    senders: Vec<u32>,
}

impl Volleys {
    /// Appends a message to the open volley, and its frame to the frames of that. `false`: none is open, or it
    /// is of another topic or full.
    pub fn join(&mut self, topic: TopicId, command: &Command, frame: Range<usize>, commands: &mut [u8]) -> bool {
        let Some(open) = self.open.as_mut() else { return false };
        if open.topic != topic || open.frames.len() + frame.len() > VOLLEY_BYTES {
            return false;
        }
        let end = open.frames.end;
        // A frame's head is shorter than that of its record, so what is moved moves down.
        commands.copy_within(frame.clone(), end);
        open.frames.end += frame.len();
        let offset = command.offset - (frame.start - end) as u32;
        self.append(Command { offset, ..command.clone() });
        true
    }

    /// Opens a volley with its first message. The one before it is sealed.
    pub fn open(&mut self, topic: TopicId, command: Command, frame: Range<usize>) {
        let (parts, senders) = (self.parts.len(), self.senders.len());
        self.open = Some(Volley {
            topic,
            frames: frame,
            is_compressible: false,
            parts: parts..parts,
            senders: senders..senders,
        });
        self.append(command);
    }

    fn append(&mut self, command: Command) {
        let Some(open) = self.open.as_mut() else { return };
        open.is_compressible |= command.flags & FLAG_COMPRESS != 0;
        open.parts.end += 1;
        if open.senders.is_empty() || self.senders.last() != Some(&command.connection.index) {
            open.senders.end += 1;
            self.senders.push(command.connection.index);
        }
        self.parts.push(command);
    }

    /// Ends the open volley, if there is one, and gives its number.
    pub fn seal(&mut self) -> Option<u32> {
        let open = self.open.take()?;
        self.senders[open.senders.clone()].sort_unstable();
        self.sealed.push(open);
        Some(self.sealed.len() as u32 - 1)
    }

    /// The sealed volley of that number.
    pub fn volley(&self, number: u32) -> &Volley {
        &self.sealed[number as usize]
    }

    /// Whether a message of a sealed volley was published by the connection at that place.
    pub fn is_sender(&self, volley: &Volley, index: u32) -> bool {
        match &self.senders[volley.senders.clone()] {
            [sender] => *sender == index,
            senders => senders.binary_search(&index).is_ok(),
        }
    }

    /// A message of a volley.
    pub fn part(&self, part: usize) -> &Command {
        &self.parts[part]
    }

    /// Messages that are kept.
    pub fn messages(&self) -> usize {
        self.parts.len()
    }

    /// Forgets all: the commands so far are carried out. What one burst made large is given back.
    pub fn clear(&mut self) {
        self.open = None;
        self.sealed.clear();
        self.sealed.shrink_to(limits::RECYCLED_BYTES / size_of::<Volley>());
        self.parts.clear();
        self.parts.shrink_to(limits::RECYCLED_BYTES / size_of::<Command>());
        self.senders.clear();
        self.senders.shrink_to(limits::RECYCLED_BYTES / size_of::<u32>());
    }
}
