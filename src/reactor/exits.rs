//! Connections whose peer has ended, and whose end the reactor has not looked at yet.
//!
//! A proxy that dies takes thousands of connections with it at the same time. To close each is some ten microseconds of
//! system calls, and an event for JavaScript; so a turn looks at those that live first, and at
//! [`EXITS`](limits::EXITS) ends behind them. What a connection has said before its end is read when its end is, in the
//! order in which it came.
//!
//! The next ends are looked at when JavaScript has taken those before, and, if connections that live had something to do
//! since the look before, when as much time has gone by as the turn took that looked at them. Until then the reactor
//! serves those, notes further ends, or sleeps. Where both threads have one processor, JavaScript would else wait for it
//! until the kernel finds that the reactor has had its share, which is some milliseconds, and with it the messages of
//! all others; and the kernel, which frees sockets some time after they are closed, would free thousands of them in one
//! go. What is only sent counts for nothing here: it waits for no JavaScript.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::network::{Network, Ready};
use super::slot::{Phase, Unread};
use super::turn::Reactor;
use crate::bridge::{ConnectionId, Mailbox, Waiting};
use crate::limits;

/// How long ends wait for a JavaScript thread that takes nothing.
const PATIENCE: Duration = Duration::from_millis(limits::AHEAD_MILLISECONDS);

/// See [`EXITS_PAUSE_MICROSECONDS`](limits::EXITS_PAUSE_MICROSECONDS).
const PAUSE: Duration = Duration::from_micros(limits::EXITS_PAUSE_MICROSECONDS);

/// The ends that a reactor was told of, first come, first served.
#[derive(Default)]
pub struct Exits {
    waiting: VecDeque<Exit>,
    /// When JavaScript was last told of some, and how often it had taken events by then.
    told: Option<(Instant, u64)>,
    /// When the turn of the last look began, if that left some.
    looked: Option<Instant>,
    /// The same, whatever it left, until that turn has ended.
    looking: Option<Instant>,
    /// No more are looked at before.
    pause: Option<Instant>,
    /// Whether connections that live had something to do since the last look.
    others: bool,
}

/// One of them.
struct Exit {
    connection: ConnectionId,
    writable: bool,
}

impl Exits {
    /// A connection that lives had something to do.
    pub fn beside(&mut self) {
        self.others = true;
    }

    /// A turn has ended. If it looked at some, others have as much time before the next; unless there are none.
    pub fn turned(&mut self, now: Instant) {
        if let Some(began) = self.looking.take() {
            let took = now.saturating_duration_since(began);
            self.pause = std::mem::take(&mut self.others).then(|| now + took.min(PAUSE));
        }
    }

    /// How many the next look takes: as many more as it comes later, where turns are long, or a pause is more than was
    /// asked for (pollers wait for no less than a millisecond, those of Windows for many).
    fn due(&self, now: Instant) -> usize {
        let since = self.looked.map_or(Duration::ZERO, |looked| now.saturating_duration_since(looked));
        let times = usize::try_from(since.as_micros() / PAUSE.as_micros()).unwrap_or(usize::MAX);
        limits::EXITS * times.saturating_add(1).min(limits::EXITS_TIMES)
    }

    /// How long the reactor may rest, if any wait.
    pub fn rest(&self, mailbox: &Mailbox, now: Instant) -> Option<Duration> {
        if self.waiting.is_empty() {
            return None;
        }
        let pause = self.pause.map_or(Duration::ZERO, |pause| pause.saturating_duration_since(now));
        Some(self.wait(mailbox, now).max(pause))
    }

    /// How long JavaScript, which wakes the reactor when it has taken those before, is waited for.
    fn wait(&self, mailbox: &Mailbox, now: Instant) -> Duration {
        let Some((since, drains)) = self.told else { return Duration::ZERO };
        let has_taken = |waiting: Waiting| waiting.events == 0 || waiting.drains != drains;
        // The second look asks to be woken.
        if has_taken(mailbox.waiting()) || has_taken(mailbox.hold()) {
            return Duration::ZERO;
        }
        PATIENCE.saturating_sub(now.saturating_duration_since(since))
    }

    /// Whether a connection's end waits.
    #[cfg(test)]
    pub fn holds(&self, connection: ConnectionId) -> bool {
        self.waiting.iter().any(|exit| exit.connection == connection)
    }

    /// Gives memory back.
    pub fn let_go(&mut self) {
        self.waiting.shrink_to_fit();
    }
}

impl<N: Network> Reactor<N> {
    /// Keeps what the poller told of a connection whose peer has ended, until its turn comes. `false`: it is not open
    /// any more, so that its end is no event; and a sweep that cuts off who is late is not to find it waiting.
    pub(super) fn put_off(&mut self, ready: &Ready) -> bool {
        let Some(connection) = self.slab.connection(ready.index) else { return false };
        let slot = self.slab.slot(ready.index);
        slot.ended = true;
        if slot.phase != Phase::Open {
            return false;
        }
        self.exits.waiting.push_back(Exit { connection, writable: ready.writable });
        true
    }

    /// Looks at the ends whose turn it is.
    pub(super) fn see_out(&mut self, now: Instant) {
        let mailbox = &self.shared.crossing.mailbox;
        if self.exits.rest(mailbox, now) != Some(Duration::ZERO) {
            return;
        }
        let Waiting { events, drains, .. } = mailbox.waiting();
        // Who has been waited for in vain is not waited for again.
        if self.exits.told.is_none_or(|(_, before)| before != drains || events == 0) {
            self.exits.told = Some((now, drains));
        }
        let mut due = self.exits.due(now);
        while due > 0
            && let Some(Exit { connection, writable }) = self.exits.waiting.pop_front()
        {
            let Some(slot) = self.slab.find(connection) else { continue };
            due -= 1;
            // A greedy one has its turn behind the others.
            if slot.unread != Unread::Much {
                self.read(connection.index, limits::READ_BYTES);
            }
            if writable {
                self.write_on(connection.index);
            }
        }
        self.exits.looking = Some(now);
        self.exits.looked = Some(now).filter(|_| !self.exits.waiting.is_empty());
    }
}
