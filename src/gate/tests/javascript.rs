//! The other end of the gate's lane, played by a test: takes events, and writes commands.

use std::collections::VecDeque;
use std::time::Instant;

use super::*;
use crate::bridge::command::{ANSWER_RESPONSE, encode};
use crate::bridge::event::{DESCRIPTOR_WORDS, FLAG_LARGE, FLAG_LAST};
use crate::bridge::{CommandKind, ConnectionId, EventKind};

/// An event, decoded.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) place: ConnectionId,
    pub(super) amount: u32,
    pub(super) payload: Vec<u8>,
}

/// The other end of the gate's lane.
pub(super) struct Javascript<'s> {
    site: &'s Site,
    pub(super) events: VecDeque<Event>,
}

impl<'s> Javascript<'s> {
    pub(super) fn of(site: &'s Site) -> Self {
        Self { site, events: VecDeque::new() }
    }

    pub(super) fn next(&mut self) -> Event {
        let began = Instant::now();
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            assert!(began.elapsed() < PATIENCE, "no event came");
            self.drain();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(super) fn drain(&mut self) {
        let mut descriptors = vec![0; limits::DRAIN_EVENTS * DESCRIPTOR_WORDS];
        let mut slab = vec![0; limits::DRAIN_PAYLOAD_BYTES];
        let mut large = VecDeque::new();
        let crossing = self.site.gate.crossing();
        let drained = crossing.mailbox.drain(&mut descriptors, &mut slab, 0, &mut large);
        if drained.made_room {
            crossing.ring();
        }
        for word in descriptors.chunks_exact(DESCRIPTOR_WORDS).take(drained.events) {
            let [generation, flags, kind] = [word[1] >> 16, word[1] >> 8 & 0xff, word[1] & 0xff];
            let flags = flags as u8;
            let payload = match kind == EventKind::Content as u32 && flags & FLAG_LARGE != 0 {
                true => large.pop_front().unwrap(),
                false if word[3] == 0 => Vec::new(),
                false => slab[word[2] as usize..][..word[3] as usize].to_vec(),
            };
            let place = ConnectionId { index: word[0], generation: generation as u16 };
            self.events.push_back(Event { kind: kind as u8, flags, place, amount: word[2], payload });
        }
    }

    /// The next event, which is of this kind.
    pub(super) fn expect(&mut self, kind: EventKind) -> Event {
        let event = self.next();
        assert_eq!(event.kind, kind as u8, "{event:?}");
        event
    }

    /// The next request: its place, route, and head.
    pub(super) fn request(&mut self) -> (ConnectionId, u16, String) {
        let event = self.expect(EventKind::Request);
        let route = u16::from_le_bytes([event.payload[0], event.payload[1]]);
        (event.place, route, String::from_utf8(event.payload[8..].to_vec()).unwrap())
    }

    /// The content of a request up to its end, as far as it is granted.
    pub(super) fn content(&mut self, place: ConnectionId) -> Vec<u8> {
        let mut content = Vec::new();
        loop {
            let event = self.expect(EventKind::Content);
            assert_eq!(event.place, place);
            content.extend_from_slice(&event.payload);
            if event.flags & FLAG_LAST != 0 {
                return content;
            }
        }
    }

    pub(super) fn tell(&self, commands: &[(CommandKind, u8, ConnectionId, &[u8])]) {
        let mut buffer = Vec::new();
        for (kind, flags, place, payload) in commands {
            encode(&mut buffer, *kind, *flags, *place, payload);
        }
        self.site.gate.crossing().inbox.push(&buffer, None);
        self.site.gate.crossing().ring();
    }

    pub(super) fn grant(&self, place: ConnectionId, bytes: u32) {
        self.tell(&[(CommandKind::Grant, 0, place, &bytes.to_le_bytes())]);
    }

    pub(super) fn respond(&self, place: ConnectionId, response: &str) {
        self.tell(&[
            (CommandKind::Answer, ANSWER_RESPONSE, place, response.as_bytes()),
            (CommandKind::Release, 0, place, b""),
        ]);
    }
}
