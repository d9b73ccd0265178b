//! Publish/subscribe in a reactor: one message, many connections.
//!
//! A subscription holds from its place in JavaScript's commands on, and a published message becomes an
//! entry of each subscriber's at its own place, alone or in a [`Volley`](super::volley::Volley): so publish and send
//! keep their order for each connection, and all that one gets in a turn leaves in one write. The frame is
//! made once, where the message lies. Runs on the reactor's thread, called by [`obey`](super::obey).

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::agenda::Entry;
use super::broadcast::Broadcast;
use super::network::Network;
use super::obey::{opcode, range, room};
use super::slot::{Outgoing, Phase};
use super::turn::Reactor;
use super::volley::Volleys;
use crate::bridge::command::{COMMAND_HEAD_BYTES, FLAG_COMPRESS, FLAG_FIN};
use crate::bridge::{Command, CommandKind, Orders};
use crate::limits;
use crate::protocol::{Agreement, FrameHead, Outbound};
use crate::topics::{SubscriptionId, TopicId};

/// Bytes of a number in a payload.
const WORD_BYTES: usize = 4;

/// Longest head of a frame (RFC 6455 §5.2), unmasked. It is written over the head of the command.
const FRAME_HEAD_BYTES: usize = 10;
const _: () = assert!(FRAME_HEAD_BYTES <= COMMAND_HEAD_BYTES + WORD_BYTES);

/// What the messages that were published in a turn have become, for all who get them.
#[derive(Default)]
pub struct Published {
    /// Payloads of [`CommandKind::PublishLarge`], in order.
    large: Vec<Arc<Broadcast>>,
    /// Whole frames of messages that were compressed by themselves. `None`: it would not get smaller.
    compressed: HashMap<Version, Option<Arc<Broadcast>>>,
    /// All others.
    volleys: Volleys,
}

/// A message of this turn, by where it lies, and the window that it is compressed with.
type Version = (bool, u32, u8);

impl Published {
    /// The payload of a [`CommandKind::PublishLarge`].
    pub fn large(&self, command: &Command) -> &[u8] {
        &self.large[command.offset as usize]
    }

    /// Forgets all: the commands so far are carried out.
    pub fn clear(&mut self) {
        self.large = Vec::new();
        self.compressed = HashMap::new();
        self.volleys.clear();
    }
}

impl<N: Network> Reactor<N> {
    /// Begins or ends a subscription.
    pub(super) fn enlist(&mut self, command: &Command, orders: &Orders) {
        match (command.kind, word(orders, command, 0), word(orders, command, 1)) {
            (CommandKind::Subscribe, Some(topic), Some(id)) => {
                self.topics.subscribe(SubscriptionId(id), TopicId(topic), command.connection);
            }
            (CommandKind::Unsubscribe, Some(id), _) => self.topics.unsubscribe(SubscriptionId(id)),
            _ => {}
        }
    }

    /// Makes a published message a part of a volley.
    pub(super) fn publish(&mut self, mut command: Command, orders: &mut Orders) {
        let Some(topic) = word(orders, &command, 0).map(TopicId) else { return };
        command.offset += WORD_BYTES as u32;
        command.length -= WORD_BYTES as u32;
        make_frame(&command, orders);
        let place = frame(&command);
        if !self.published.volleys.join(topic, &command, place.clone(), &mut orders.commands) {
            self.assign_volley(orders);
            if self.published.volleys.messages() >= limits::VOLLEY_MESSAGES {
                // Behind this no entry is left that stands for something published.
                self.carry_out_agenda(orders);
                self.published.clear();
            }
            self.published.volleys.open(topic, command, place);
        }
    }

    /// Makes a large message that was published, the flush's large one of this `number`, a command of each
    /// subscriber.
    pub(super) fn publish_large(&mut self, mut command: Command, orders: &mut Orders, number: u32) {
        let payload = orders.large.get_mut(number as usize).map(std::mem::take).unwrap_or_default();
        let Some(topic) = word(orders, &command, 0) else { return };
        command.offset = self.published.large.len() as u32;
        self.published.large.push(self.broadcasts.add(payload));
        let mut next = self.topics.first(TopicId(topic));
        while let Some((subscriber, following)) = next.and_then(|id| self.topics.step(id)) {
            next = following;
            if subscriber == command.connection {
                continue;
            }
            self.agenda.add(&mut self.slab, Command { connection: subscriber, ..command });
            self.bound_agenda(orders);
        }
    }

    /// Something else than a message to its topic follows the open volley: it becomes an entry of each subscriber.
    pub(super) fn assign_volley(&mut self, orders: &mut Orders) {
        let Some(number) = self.published.volleys.seal() else { return };
        let mut next = self.topics.first(self.published.volleys.volley(number).topic);
        while let Some((subscriber, following)) = next.and_then(|id| self.topics.step(id)) {
            next = following;
            if let Some(slot) = self.slab.find(subscriber) {
                self.agenda.append(slot, subscriber.index, Entry::Volley(number));
                self.bound_agenda(orders);
            }
        }
    }

    /// Nothing follows the open volley: who has no entry gets it at once, and the others behind theirs.
    pub(super) fn deliver_last_volley(&mut self, orders: &mut Orders) {
        let Some(number) = self.published.volleys.seal() else { return };
        let mut next = self.topics.first(self.published.volleys.volley(number).topic);
        while let Some((subscriber, following)) = next.and_then(|id| self.topics.step(id)) {
            next = following;
            let index = subscriber.index;
            match self.slab.find(subscriber) {
                Some(slot) if slot.link == 0 => {
                    self.deliver_volley(index, number, orders);
                    self.conclude(index, orders, false);
                }
                Some(slot) => self.agenda.append(slot, index, Entry::Volley(number)),
                None => {}
            }
        }
    }

    fn bound_agenda(&mut self, orders: &mut Orders) {
        if self.agenda.links() >= limits::AGENDA_LINKS {
            self.carry_out_agenda(orders);
        }
    }

    /// Gathers a volley for one subscriber: as a whole where each of its messages would be gathered as it is.
    pub(super) fn deliver_volley(&mut self, index: u32, number: u32, orders: &mut Orders) {
        let volleys = &self.published.volleys;
        let volley = volleys.volley(number);
        let slot = self.slab.slot(index);
        let limit = self.routes.of(slot.route).route.max_backpressure_bytes;
        let (waiting, held) = slot.rare.as_ref().map_or((0, 0), |rare| (rare.outbox.bytes(), rare.held.len()));
        let is_whole = matches!(slot.phase, Phase::Open | Phase::Arriving | Phase::Ending)
            && slot.outgoing != Outgoing::Open
            && !(volley.is_compressible && slot.agreement.is_some())
            && !volleys.is_sender(volley, index)
            && self.gather.bytes() + waiting + volley.frames.len() <= room(limit)
            && (limit == 0 || waiting + held <= limit);
        if is_whole {
            self.intake.tally.messages_out += volley.parts.len() as u64;
            return self.gather.push_whole(&orders.commands, volley.frames.clone());
        }
        for part in volley.parts.clone() {
            let command = self.published.volleys.part(part).clone();
            if self.slab.connection(index) != Some(command.connection) {
                self.carry_out(index, &command, orders);
            }
        }
    }

    /// Gathers a published message for one subscriber.
    pub(super) fn deliver(&mut self, index: u32, command: &Command, orders: &mut Orders) {
        if !self.admits(index, command, orders) {
            return;
        }
        self.intake.tally.messages_out += 1;
        if self.slab.slot(index).outgoing == Outgoing::Open {
            return self.hold_published(index, command, orders);
        }
        if command.flags & FLAG_COMPRESS != 0
            && let Some(agreement) = self.slab.slot(index).agreement
            && self.deliver_compressed(index, agreement, command, orders)
        {
            return;
        }
        if command.kind == CommandKind::PublishLarge {
            let payload = self.published.large[command.offset as usize].clone();
            self.gather.stage(|out| head(command, payload.len()).append_to(out));
            self.gather.push_shared(payload);
        } else {
            self.gather.push(&orders.commands, frame(command));
        }
    }

    /// The peer is in the middle of a fragmented message, into which no other may come (RFC 6455 §5.4).
    fn hold_published(&mut self, index: u32, command: &Command, orders: &Orders) {
        let slot = self.slab.slot(index);
        let before = slot.load();
        let held = &mut slot.rare().held;
        if command.kind == CommandKind::PublishLarge {
            let payload = self.published.large(command);
            head(command, payload.len()).append_to(held);
            held.extend_from_slice(payload);
        } else {
            held.extend_from_slice(&orders.commands[frame(command)]);
        }
        let after = self.slab.slot(index).load();
        self.intake.tally.outbox_changes(before, after);
    }

    /// The same, compressed: once for all whose messages are compressed by themselves with the same
    /// window, and for each that has a context of its own. `false`: it goes as it is.
    fn deliver_compressed(&mut self, index: u32, agreement: Agreement, command: &Command, orders: &Orders) -> bool {
        let is_large = command.kind.is_large();
        let payload = if is_large { self.published.large(command) } else { &orders.commands[range(command)] };
        let window_bits = match agreement.outbound() {
            Outbound::Plain => return false,
            Outbound::Alone { window_bits } => window_bits,
            Outbound::Takeover { .. } => {
                let Some(payload) = self.contexts.deflate(index, agreement, payload) else { return false };
                let head = FrameHead { compressed: true, ..head(command, payload.len()) };
                self.gather.stage(|out| {
                    head.append_to(out);
                    out.extend_from_slice(payload);
                });
                return true;
            }
        };
        let version = (is_large, command.offset, window_bits);
        let frame = match self.published.compressed.get(&version) {
            Some(frame) => frame.clone(),
            None => {
                let frame = self.contexts.deflate(index, agreement, payload).map(|payload| {
                    let mut frame = Vec::with_capacity(FRAME_HEAD_BYTES + payload.len());
                    FrameHead { compressed: true, ..head(command, payload.len()) }.append_to(&mut frame);
                    frame.extend_from_slice(payload);
                    self.broadcasts.add(frame)
                });
                self.published.compressed.insert(version, frame.clone());
                frame
            }
        };
        let Some(frame) = frame else { return false };
        self.gather.push_shared(frame);
        true
    }
}

/// Turns a record into the frame that every subscriber gets, where it lies: the head of the frame
/// ends where the message begins.
fn make_frame(command: &Command, orders: &mut Orders) {
    let place = frame(command);
    let encoded = head(command, command.length as usize).encode();
    orders.commands[place][..encoded.as_ref().len()].copy_from_slice(encoded.as_ref());
}

/// Where the frame of a published message lies in the buffer of commands.
fn frame(command: &Command) -> Range<usize> {
    let head_bytes = match command.length {
        ..=125 => 2,
        126..=65_535 => 4,
        _ => FRAME_HEAD_BYTES,
    };
    command.offset as usize - head_bytes..command.offset as usize + command.length as usize
}

fn head(command: &Command, payload_bytes: usize) -> FrameHead {
    FrameHead { fin: command.flags & FLAG_FIN != 0, ..FrameHead::whole(opcode(command), payload_bytes) }
}

/// A number in a command's payload, counted from 0.
fn word(orders: &Orders, command: &Command, number: usize) -> Option<u32> {
    let payload = orders.commands.get(command.offset as usize..)?.get(..command.length as usize)?;
    payload.get(number * WORD_BYTES..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}
