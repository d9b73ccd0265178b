//! Carries out JavaScript's commands.

use super::agenda::Entry;
use super::network::Network;
use super::slot::{Outgoing, Phase, Unread};
use super::turn::Reactor;
use crate::bridge::command::{FLAG_BACKPRESSURE, FLAG_COMPRESS, FLAG_FIN, FLAG_SHUTDOWN};
use crate::bridge::{CloseCause, Command, CommandKind, Commands, EventKind, Orders};
use crate::error::FaultPoint;
use crate::protocol::{ClosePayload, FrameHead, MessageKind, Opcode, Payload};

/// Before so much is gathered for one connection, what is gathered is written, so that the
/// backpressure limit is judged by what the kernel really took.
const GATHER_BYTES: usize = 64 * 1024;

impl<N: Network> Reactor<N> {
    /// Takes the commands that wait, for the next turn. Called before the arrivals are taken: a command that ends
    /// all connections is to find those that came before it.
    pub fn collect(&mut self) {
        self.collected = self.collected || self.shared.crossing.inbox.take(&mut self.orders);
    }

    /// Carries the commands out that were collected, connection by connection.
    pub(super) fn obey(&mut self) {
        let mut orders = std::mem::take(&mut self.orders);
        if std::mem::take(&mut self.collected) {
            self.intake.set_applied(orders.flush);
            self.ebb.flow(orders.bytes());
            let mut large = 0;
            let mut ends_all = None;
            let mut offset = 0;
            loop {
                // A malformed record cannot come from `lib/`; what follows it cannot be told apart.
                let mut commands = Commands::behind(&orders.commands, offset);
                let Some(Ok(mut command)) = commands.next() else { break };
                offset = commands.offset();
                let number = command.kind.is_large().then_some(large);
                large += u32::from(number.is_some());
                if command.kind == CommandKind::Publish {
                    self.publish(command, &mut orders);
                    continue;
                }
                self.assign_volley(&mut orders);
                match command.kind {
                    CommandKind::Subscribe | CommandKind::Unsubscribe => self.enlist(&command, &orders),
                    CommandKind::PublishLarge => self.publish_large(command, &mut orders, number.unwrap_or(0)),
                    CommandKind::Shutdown => self.begin_shutdown(&orders.commands[range(&command)]),
                    CommandKind::TerminateAll => ends_all = Some(termination(&command)),
                    _ => {
                        command.offset = number.unwrap_or(command.offset);
                        self.agenda.add(&mut self.slab, command);
                    }
                }
            }
            self.deliver_last_volley(&mut orders);
            self.carry_out_agenda(&mut orders);
            self.published.clear();
            if let Some(cause) = ends_all {
                self.terminate_all(cause);
            }
            orders.recycle();
        }
        self.orders = orders;
    }

    /// Carries out the commands that are sorted, connection by connection.
    pub(super) fn carry_out_agenda(&mut self, orders: &mut Orders) {
        let mut agenda = std::mem::take(&mut self.agenda);
        for chain in 0..agenda.len() {
            let index = agenda.index(chain);
            self.slab.slot(index).link = 0;
            let mut watched = false;
            for entry in agenda.entries(chain) {
                match entry {
                    Entry::Command(command) => {
                        watched |= command.kind == CommandKind::WatchDrain;
                        self.carry_out(index, command, orders);
                    }
                    Entry::Volley(number) => self.deliver_volley(index, *number, orders),
                }
            }
            self.conclude(index, orders, watched);
        }
        agenda.clear();
        self.agenda = agenda;
    }

    pub(super) fn carry_out(&mut self, index: u32, command: &Command, orders: &mut Orders) {
        let phase = self.slab.slot(index).phase;
        self.shared.crossing.faults.pass(FaultPoint::Command);
        match (command.kind, phase) {
            (CommandKind::Answer | CommandKind::AnswerLarge, Phase::Asking) => self.answer(index, command, orders),
            (CommandKind::Send | CommandKind::SendLarge, Phase::Open | Phase::Arriving | Phase::Ending) => {
                self.send(index, command, orders);
            }
            (CommandKind::Publish | CommandKind::PublishLarge, Phase::Open | Phase::Arriving | Phase::Ending) => {
                self.deliver(index, command, orders);
            }
            (CommandKind::End, Phase::Open | Phase::Arriving | Phase::Ending) => {
                if phase.is_open() {
                    self.intake.tally.close(CloseCause::Local);
                }
                let payload = &orders.commands[range(command)];
                let (code, reason) = payload
                    .split_first_chunk()
                    .map_or((0, payload), |(code, reason)| (u16::from_le_bytes(*code), reason));
                // The reason is cut and encoded by `lib/`; were it no text, the code alone is said.
                let farewell = ClosePayload::new(code, str::from_utf8(reason).unwrap_or(""));
                self.say_farewell(index, Some(farewell));
            }
            (CommandKind::Terminate, Phase::Open | Phase::Arriving | Phase::Ending | Phase::Lingering) => {
                // What was sent before goes out as far as the kernel takes it now.
                self.transmit(index, &orders.commands);
                if self.slab.slot(index).phase.is_open() {
                    self.intake.tally.close(termination(command));
                }
                match self.slab.slot(index).socket {
                    Some(_) => self.close_socket(index),
                    None => self.hang_up_on_arrival(index),
                }
            }
            (CommandKind::Release, _) => {
                self.slab.slot(index).released = true;
                match phase {
                    Phase::Ending => self.say_farewell(index, None),
                    // Released without an answer: there will be none.
                    Phase::Asking => self.close_socket(index),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// Ends the connections that are open behind JavaScript's commands: those of whose opening, or
    /// request, it has not heard. It hears of both. Behind a shutdown, those that are closing, too.
    fn terminate_all(&mut self, cause: CloseCause) {
        let ends_shutdown = cause == CloseCause::Shutdown;
        if ends_shutdown {
            self.end_shutdown();
        }
        for index in 0..self.slab.places() {
            match self.slab.slot(index).phase {
                Phase::Open | Phase::Arriving => self.lose(index, cause),
                Phase::Asking => self.abort(index),
                Phase::Ending | Phase::Lingering if ends_shutdown => self.close_socket(index),
                _ => {}
            }
        }
    }

    fn send(&mut self, index: u32, command: &Command, orders: &mut Orders) {
        let fin = command.flags & FLAG_FIN != 0;
        match (opcode(command), self.slab.slot(index).outgoing) {
            (Opcode::Continuation, Outgoing::Open) => {
                self.make_room(index, orders);
            }
            (Opcode::Continuation, _) => {
                if fin {
                    self.slab.slot(index).outgoing = Outgoing::Whole;
                }
                return;
            }
            (Opcode::Text | Opcode::Binary, _) if !fin => {
                self.slab.slot(index).outgoing = Outgoing::Dropped;
                if !self.admits(index, command, orders) {
                    return;
                }
                self.slab.slot(index).outgoing = Outgoing::Open;
            }
            _ => {
                if !self.admits(index, command, orders) {
                    return;
                }
            }
        }
        let owned = match command.kind {
            CommandKind::SendLarge => orders.large.get_mut(command.offset as usize).map(std::mem::take),
            _ => None,
        };
        let length = owned.as_ref().map_or(command.length as usize, Vec::len);
        let head = FrameHead { fin, ..FrameHead::whole(opcode(command), length) };
        match head.opcode {
            Opcode::Ping => self.intake.tally.pings_out += 1,
            opcode => self.intake.tally.messages_out += u64::from(head.fin && !opcode.is_control()),
        }
        if command.flags & FLAG_COMPRESS != 0
            && let Some(agreement) = self.slab.slot(index).agreement
            && head.fin
            && matches!(head.opcode, Opcode::Text | Opcode::Binary)
        {
            let payload = owned.as_deref().unwrap_or_else(|| &orders.commands[range(command)]);
            if let Some(payload) = self.contexts.deflate(index, agreement, payload) {
                let head = FrameHead { compressed: true, ..FrameHead::whole(head.opcode, payload.len()) };
                return self.gather.stage(|out| {
                    head.append_to(out);
                    out.extend_from_slice(payload);
                });
            }
        }
        self.gather.stage(|out| head.append_to(out));
        match owned {
            Some(payload) => self.gather.push_owned(payload),
            None => self.gather.push(&orders.commands, range(command)),
        }
        if head.opcode == Opcode::Continuation && fin {
            let slot = self.slab.slot(index);
            slot.outgoing = Outgoing::Whole;
            let before = slot.load();
            let held = slot.rare_if_any().map(|rare| std::mem::take(&mut rare.held)).unwrap_or_default();
            self.intake.tally.outbox_changes(before, slot.load());
            self.gather.stage(|out| out.extend_from_slice(&held));
            slot.tidy();
        }
    }

    /// Writes what is gathered for a connection before it is too much to be judged by.
    fn make_room(&mut self, index: u32, orders: &Orders) -> usize {
        let slot = self.slab.slot(index);
        let limit = self.routes.of(slot.route).route.max_backpressure_bytes;
        let room = room(limit);
        if self.gather.bytes() + slot.waiting_bytes() > room {
            self.transmit(index, &orders.commands);
        }
        limit
    }

    /// Whether a message may be gathered for a connection; otherwise it is dropped.
    pub(super) fn admits(&mut self, index: u32, command: &Command, orders: &mut Orders) -> bool {
        let limit = self.make_room(index, orders);
        let slot = self.slab.slot(index);
        let held = slot.rare_if_any().map_or(0, |rare| rare.held.len());
        let waiting = slot.waiting_bytes() + held;
        let admitted = limit == 0 || waiting <= limit;
        if !admitted {
            self.drop_message(index, command, orders);
        }
        admitted
    }

    /// The message finds more waiting than `maxBackpressure` allows.
    fn drop_message(&mut self, index: u32, command: &Command, orders: &mut Orders) {
        let Some(connection) = self.slab.connection(index) else { return };
        let slot = self.slab.slot(index);
        let route = &self.routes.of(slot.route).route;
        let closes = route.close_on_backpressure_limit && slot.phase.is_open();
        let is_message = !opcode(command).is_control();
        self.intake.tally.dropped += u64::from(is_message);
        if route.wants_dropped && is_message && slot.phase.is_open() {
            let waiting = slot.waiting_bytes();
            if slot.rare().told_bytes < waiting {
                // The handler may send again at once: JavaScript must know by then that it is too much.
                slot.rare().told_bytes = waiting;
                self.intake.tell_amount(connection, EventKind::Backlog, waiting);
            }
            let kind = if opcode(command) == Opcode::Text { MessageKind::Text } else { MessageKind::Binary };
            let payload = match command.kind {
                CommandKind::SendLarge => Payload::Owned(
                    orders.large.get_mut(command.offset as usize).map(std::mem::take).unwrap_or_default(),
                ),
                CommandKind::PublishLarge => Payload::Borrowed(self.published.large(command)),
                _ => Payload::Borrowed(&orders.commands[range(command)]),
            };
            self.intake.dropped(connection, kind, payload);
        }
        if closes {
            self.gather.clear();
            self.lose(index, CloseCause::Backpressure);
        }
    }

    /// Gathers the close frame, and lets the connection linger behind it. `None`: the farewell that
    /// was kept for when JavaScript has taken the close event.
    pub(super) fn say_farewell(&mut self, index: u32, farewell: Option<ClosePayload>) {
        let due = self.clock.idle_due(super::sweep::CLOSING_TICKS);
        self.slab.set_idle(index, due);
        self.slab.set_lifetime(index, 0);
        let slot = self.slab.slot(index);
        let (pong, kept) = slot.rare_if_any().map_or((None, None), |rare| (rare.pong.take(), rare.farewell.take()));
        slot.phase = Phase::Lingering;
        // What it still sends costs JavaScript nothing: its FIN need not wait for the turn of who sends much.
        slot.unread = Unread::None;
        self.drop_assembly(index);
        if let Some(pong) = pong {
            // Nothing may follow the close frame (RFC 6455 §5.5.1), and the ping came first.
            self.gather.control(Opcode::Pong, &pong);
        }
        if let Some(payload) = farewell.or(kept) {
            self.gather.control(Opcode::Close, payload.as_ref());
        }
    }

    /// Behind the last command of a connection in this turn: writes what is gathered, and tells
    /// JavaScript if some of it waits; or that none does, if the drain is `watched`. Not earlier: a drain
    /// handler that was told of nothing sends more than there is room for.
    pub(super) fn conclude(&mut self, index: u32, orders: &Orders, watched: bool) {
        if self.gather.bytes() > 0 {
            self.transmit(index, &orders.commands);
        }
        let slot = self.slab.slot(index);
        if slot.phase == Phase::Open && slot.rare.is_none() && !watched {
            return;
        }
        if self.slab.slot(index).phase == Phase::Lingering {
            self.settle(index);
        }
        if let Some(connection) = self.slab.connection(index) {
            let slot = self.slab.slot(index);
            let waiting = slot.waiting_bytes();
            // What waits for a socket that is about to come is no news, unless somebody asks.
            if waiting > 0 && (slot.phase == Phase::Open || watched && slot.phase == Phase::Arriving) {
                // A slow subscriber whose messages are dropped has nothing new to tell of each.
                if std::mem::replace(&mut slot.rare().told_bytes, waiting) != waiting || watched {
                    self.intake.tell_amount(connection, EventKind::Backlog, waiting);
                }
            } else if watched && waiting == 0 && slot.phase.is_open() {
                self.intake.tell_amount(connection, EventKind::Drain, 0);
            }
            self.vacate(index);
        }
    }
}

/// Bytes that may be gathered for a connection behind what waits, where so much may wait.
pub(super) fn room(max_backpressure_bytes: usize) -> usize {
    if max_backpressure_bytes == 0 { GATHER_BYTES } else { max_backpressure_bytes.min(GATHER_BYTES) }
}

/// The opcode that a send asks for; what is none is binary.
pub(super) fn opcode(command: &Command) -> Opcode {
    Opcode::from_low_bits(command.flags).unwrap_or(Opcode::Binary)
}

/// Why JavaScript closes a connection, or all, at once.
fn termination(command: &Command) -> CloseCause {
    match command.flags {
        FLAG_BACKPRESSURE => CloseCause::Backpressure,
        FLAG_SHUTDOWN => CloseCause::Shutdown,
        _ => CloseCause::Local,
    }
}

/// Where a command's payload lies in the buffer of commands.
pub(super) fn range(command: &Command) -> std::ops::Range<usize> {
    command.offset as usize..command.offset as usize + command.length as usize
}
