//! Connections whose peer has ended, and whose end the reactor has not looked at yet.
//!
//! A proxy that dies takes thousands of connections with it at the same time. To close each is some ten microseconds of
//! system calls, and an event for JavaScript; so a turn looks at those that live first, and at
//! [`EXITS`](limits::EXITS) ends behind them. What a connection has said before its end is read when its end is, in the
//! order in which it came. The next turn follows at once while ends are left.

use std::collections::VecDeque;

use super::network::{Network, Ready};
use super::slot::{Phase, Unread};
use super::turn::Reactor;
use crate::bridge::ConnectionId;
use crate::limits;

/// The ends that a reactor was told of, first come, first served.
#[derive(Default)]
pub struct Exits(VecDeque<Exit>);

/// One of them.
struct Exit {
    connection: ConnectionId,
    writable: bool,
}

impl Exits {
    /// Whether the next turn has some to look at.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives memory back.
    pub fn let_go(&mut self) {
        self.0.shrink_to_fit();
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
        self.exits.0.push_back(Exit { connection, writable: ready.writable });
        true
    }

    /// Looks at the ends whose turn it is.
    pub(super) fn see_out(&mut self) {
        for _ in 0..limits::EXITS {
            let Some(Exit { connection, writable }) = self.exits.0.pop_front() else { return };
            let Some(slot) = self.slab.find(connection) else { continue };
            // A greedy one has its turn behind the others.
            if slot.unread != Unread::Much {
                self.read(connection.index, limits::READ_BYTES);
            }
            if writable {
                self.write_on(connection.index);
            }
        }
    }
}
