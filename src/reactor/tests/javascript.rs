//! Plays the JavaScript thread: drains the mailbox, and pushes commands.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::bridge::command::{self, FLAG_FIN};
use crate::bridge::event::{DESCRIPTOR_WORDS, FLAG_LARGE};
use crate::bridge::{CommandKind, ConnectionId, EventKind};
use crate::limits;
use crate::reactor::Shared;

/// An event as JavaScript sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub connection: ConnectionId,
    pub kind: EventKind,
    pub flags: u8,
    /// Of a Backlog or Drain.
    pub amount: usize,
    pub payload: Vec<u8>,
}

impl Event {
    /// The status code of a Close.
    pub fn code(&self) -> u16 {
        assert_eq!(self.kind, EventKind::Close);
        u16::from_le_bytes([self.payload[0], self.payload[1]])
    }

    /// The reason of a Close.
    pub fn reason(&self) -> &str {
        std::str::from_utf8(&self.payload[2..]).unwrap()
    }
}

pub struct JavaScript {
    shared: Arc<Shared>,
    commands: Vec<u8>,
    descriptors: Vec<u32>,
    slab: Vec<u8>,
    pub applied: u32,
}

impl JavaScript {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            commands: Vec::new(),
            descriptors: vec![0; limits::DRAIN_EVENTS * DESCRIPTOR_WORDS],
            slab: vec![0; limits::DRAIN_PAYLOAD_BYTES],
            applied: 0,
        }
    }

    /// Takes one batch.
    pub fn drain_once(&mut self) -> Vec<Event> {
        let mut large = VecDeque::new();
        let drained = self.shared.crossing.mailbox.drain(&mut self.descriptors, &mut self.slab, 0, &mut large);
        if drained.made_room {
            self.shared.ring();
        }
        let (applied, told): (Vec<_>, Vec<_>) = self.descriptors[..drained.events * DESCRIPTOR_WORDS]
            .chunks_exact(DESCRIPTOR_WORDS)
            .partition(|words| words[1] == EventKind::Applied as u32);
        let events = told.into_iter().map(|words| self.decode(words, &mut large)).collect();
        if let Some(words) = applied.last() {
            self.applied = words[2];
        }
        assert!(large.is_empty(), "each large payload has its event");
        events
    }

    /// Takes all there is.
    pub fn drain(&mut self) -> Vec<Event> {
        let mut all = Vec::new();
        loop {
            let events = self.drain_once();
            if events.is_empty() {
                return all;
            }
            all.extend(events);
        }
    }

    fn decode(&self, words: &[u32], large: &mut VecDeque<Vec<u8>>) -> Event {
        let (kind, flags) = (kind(words[1] as u8), (words[1] >> 8) as u8);
        let connection = ConnectionId { index: words[0], generation: (words[1] >> 16) as u16 };
        let (offset, length) = (words[2] as usize, words[3] as usize);
        let is_large = matches!(kind, EventKind::Message | EventKind::Dropped) && flags & FLAG_LARGE != 0;
        let payload = match kind {
            EventKind::Backlog | EventKind::Drain => Vec::new(),
            _ if is_large => large.pop_front().unwrap(),
            _ if length == 0 => Vec::new(),
            _ => self.slab[offset..offset + length].to_vec(),
        };
        Event { connection, kind, flags: if is_large { flags & !FLAG_LARGE } else { flags }, amount: offset, payload }
    }

    /// Writes a command; [`flush`](Self::flush) hands it over.
    pub fn command(&mut self, kind: CommandKind, connection: ConnectionId, payload: &[u8]) {
        command::encode(&mut self.commands, kind, 0, connection, payload);
    }

    /// Answers a request: flags say how.
    pub fn answer(&mut self, connection: ConnectionId, flags: u8, payload: &[u8]) {
        command::encode(&mut self.commands, CommandKind::Answer, flags, connection, payload);
    }

    /// Writes a command with these flags.
    pub fn with_flags(&mut self, kind: CommandKind, flags: u8, connection: ConnectionId, payload: &[u8]) {
        command::encode(&mut self.commands, kind, flags, connection, payload);
    }

    /// Writes bytes that may be no command.
    pub fn garbage(&mut self, bytes: &[u8]) {
        self.commands.extend_from_slice(bytes);
    }

    pub fn send(&mut self, connection: ConnectionId, opcode: u8, payload: &[u8]) {
        command::encode(&mut self.commands, CommandKind::Send, FLAG_FIN | opcode, connection, payload);
    }

    /// Sends a payload beside the buffer, which flushes.
    pub fn send_large(&mut self, connection: ConnectionId, opcode: u8, payload: Vec<u8>) {
        command::encode(&mut self.commands, CommandKind::SendLarge, FLAG_FIN | opcode, connection, b"");
        self.shared.crossing.inbox.push(&std::mem::take(&mut self.commands), Some(payload));
        self.shared.ring();
    }

    /// Writes a command that ends a message of this opcode.
    pub fn flagged(&mut self, kind: CommandKind, opcode: u8, connection: ConnectionId, payload: &[u8]) {
        command::encode(&mut self.commands, kind, FLAG_FIN | opcode, connection, payload);
    }

    /// The same, with a payload beside the buffer, which flushes.
    pub fn large(&mut self, kind: CommandKind, opcode: u8, connection: ConnectionId, payload: &[u8], large: Vec<u8>) {
        self.flagged(kind, opcode, connection, payload);
        self.shared.crossing.inbox.push(&std::mem::take(&mut self.commands), Some(large));
        self.shared.ring();
    }

    pub fn end(&mut self, connection: ConnectionId, code: u16, reason: &str) {
        self.command(CommandKind::End, connection, &[&code.to_le_bytes(), reason.as_bytes()].concat());
    }

    pub fn flush(&mut self) {
        if !self.commands.is_empty() {
            self.shared.crossing.inbox.push(&std::mem::take(&mut self.commands), None);
            self.shared.ring();
        }
    }
}

fn kind(number: u8) -> EventKind {
    use EventKind::*;
    *[Open, Message, Ping, Pong, Dropped, Backlog, Drain, Close, Failed, Request, Aborted]
        .iter()
        .find(|kind| **kind as u8 == number)
        .unwrap()
}
