//! Publish/subscribe in a reactor: one message, many connections.
//!
//! A subscription holds from its place in JavaScript's commands on, and a published message becomes a
//! command of each subscriber at its own place: so publish and send keep their order for each
//! connection, and all that one gets in a turn leaves in one write. The frame is made once, where the
//! message lies. Runs on the reactor's thread, called by [`obey`](super::obey).

use std::ops::Range;
use std::sync::Arc;

use super::network::Network;
use super::obey::opcode;
use super::turn::Reactor;
use crate::bridge::command::{COMMAND_HEAD_BYTES, FLAG_FIN};
use crate::bridge::{Command, CommandKind, Orders};
use crate::limits;
use crate::protocol::FrameHead;
use crate::topics::{SubscriptionId, TopicId};

/// Bytes of a number in a payload.
const WORD_BYTES: usize = 4;

/// Longest head of a frame (RFC 6455 §5.2), unmasked. It is written over the head of the command.
const FRAME_HEAD_BYTES: usize = 10;
const _: () = assert!(FRAME_HEAD_BYTES <= COMMAND_HEAD_BYTES + WORD_BYTES);

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

    /// Makes a published message a command of each subscriber. `large` counts the flush's large payloads.
    pub(super) fn publish(&mut self, mut command: Command, orders: &mut Orders, large: &mut u32) {
        let topic = word(orders, &command, 0);
        if command.kind == CommandKind::PublishLarge {
            let payload = orders.large.get_mut(*large as usize).map(std::mem::take).unwrap_or_default();
            *large += 1;
            command.offset = self.published.len() as u32;
            self.published.push(Arc::new(payload));
        }
        let Some(topic) = topic else { return };
        if command.kind == CommandKind::Publish {
            command.offset += WORD_BYTES as u32;
            command.length -= WORD_BYTES as u32;
            make_frame(&command, orders);
        }
        let mut next = self.topics.first(TopicId(topic));
        while let Some((subscriber, following)) = next.and_then(|id| self.topics.step(id)) {
            next = following;
            if subscriber == command.connection {
                continue;
            }
            self.agenda.add(&mut self.slab, Command { connection: subscriber, ..command });
            if self.agenda.links() >= limits::AGENDA_LINKS {
                self.carry_out_agenda(orders);
            }
        }
    }

    /// Gathers a published message for one subscriber.
    pub(super) fn deliver(&mut self, index: u32, command: &Command, orders: &mut Orders) {
        if !self.admits(index, command, orders) {
            return;
        }
        self.intake.tally.messages_out += 1;
        if command.kind == CommandKind::PublishLarge {
            let payload = self.published[command.offset as usize].clone();
            self.gather.stage(|out| head(command, payload.len()).append_to(out));
            self.gather.push_shared(payload);
        } else {
            self.gather.push(&orders.commands, frame(command));
        }
    }
}

/// Turns a record into the frame that every subscriber gets, where it lies: the head of the frame
/// ends where the message begins. The one place where a published message becomes bytes of the wire.
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
    FrameHead { opcode: opcode(command), fin: command.flags & FLAG_FIN != 0, payload_bytes }
}

/// A number in a command's payload, counted from 0.
fn word(orders: &Orders, command: &Command, number: usize) -> Option<u32> {
    let payload = orders.commands.get(command.offset as usize..)?.get(..command.length as usize)?;
    payload.get(number * WORD_BYTES..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}
