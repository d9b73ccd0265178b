//! The way out: buffers of commands from a JavaScript thread to one reactor.
//!
//! JavaScript pushes a whole buffer at a time, the reactor swaps all of it out; a mutex is held for
//! one copy or one swap. Memory: above [`limits::COMMAND_BACKLOG_BYTES`] the pushing thread waits.
//! The reactor takes commands at every turn, whatever state its connections are in, so the wait is short.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::sync::{Condvar, Mutex, MutexGuard};
use super::{Budget, Held, Share};
use crate::limits;

/// How long one wait for room lasts before the state is looked at again.
const ROOM_POLL: Duration = Duration::from_millis(100);

/// Commands that wait for one reactor.
#[derive(Default)]
pub struct Inbox {
    state: Mutex<State>,
    room: Condvar,
}

#[derive(Default)]
struct State {
    orders: Orders,
    closed: bool,
    /// Threads that wait for room: to tell nobody would be a system call, too.
    waiting: usize,
    share: Share,
}

impl State {
    /// Tells the budget what waits now.
    fn account(&mut self) {
        self.share.hold(Held { inside_bytes: self.orders.bytes(), outside_bytes: 0 });
    }
}

/// All commands since the last taking.
#[derive(Default)]
pub struct Orders {
    /// Records as in [`command`](super::command).
    pub commands: Vec<u8>,
    /// Payloads of [`CommandKind::SendLarge`](super::CommandKind), in order.
    pub large: VecDeque<Vec<u8>>,
    /// Number of the newest flush in here; flushes are counted from 1, wrapping.
    pub flush: u32,
    large_bytes: usize,
}

impl Orders {
    /// Memory that commands and large payloads take.
    pub fn bytes(&self) -> usize {
        self.commands.len() + self.large_bytes
    }

    /// Memory of the buffer of commands.
    pub fn capacity_bytes(&self) -> usize {
        self.commands.capacity()
    }

    /// Empties the buffers for another use. What one burst made large is given back.
    pub fn recycle(&mut self) {
        self.commands.clear();
        self.commands.shrink_to(limits::RECYCLED_BYTES);
        self.large = VecDeque::new();
        self.large_bytes = 0;
    }
}

impl Inbox {
    /// An empty one; what waits in it counts in the budget.
    pub fn of(budget: &Arc<Budget>) -> Self {
        let state = Mutex::new(State { share: Share::of(budget), ..State::default() });
        Self { state, room: Condvar::new() }
    }

    /// Copies `commands`, and moves `large`, behind what waits. Ring the reactor's bell afterwards.
    pub fn push(&self, commands: &[u8], large: Option<Vec<u8>>) {
        let mut state = self.lock();
        while !state.closed && state.orders.bytes() > limits::COMMAND_BACKLOG_BYTES {
            state.waiting += 1;
            state = self
                .room
                .wait_timeout(state, ROOM_POLL)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
            state.waiting -= 1;
        }
        if state.closed {
            return;
        }
        let orders = &mut state.orders;
        orders.commands.extend_from_slice(commands);
        if let Some(payload) = large {
            orders.large_bytes += payload.len();
            orders.large.push_back(payload);
        }
        orders.flush = orders.flush.wrapping_add(1);
        state.account();
    }

    /// Swaps all that waits against `empty`, which must be [recycled](Orders::recycle).
    /// `false`: nothing waits, and `empty` stays as it is.
    pub fn take(&self, empty: &mut Orders) -> bool {
        let mut state = self.lock();
        if state.orders.commands.is_empty() {
            return false;
        }
        empty.flush = state.orders.flush;
        std::mem::swap(&mut state.orders, empty);
        state.account();
        let is_awaited = state.waiting > 0;
        drop(state);
        if is_awaited {
            self.room.notify_all();
        }
        true
    }

    /// Lets go of the buffers, if nothing is in them.
    pub fn let_go(&self) {
        let orders = &mut self.lock().orders;
        if orders.commands.is_empty() {
            *orders = Orders { flush: orders.flush, ..Orders::default() };
        }
    }

    /// Bytes of the commands and large payloads that wait.
    pub fn waiting_bytes(&self) -> usize {
        self.lock().orders.bytes()
    }

    /// The reactor is gone: from now on commands are thrown away, and nobody waits.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.orders = Orders::default();
        state.account();
        drop(state);
        self.room.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn takes_all_that_was_pushed_in_order() {
        let inbox = Inbox::default();
        inbox.push(&[1, 2], None);
        inbox.push(&[3], Some(vec![9; 3]));
        let mut orders = Orders::default();
        assert!(inbox.take(&mut orders));
        assert_eq!((orders.commands.as_slice(), orders.flush), (&[1, 2, 3][..], 2));
        assert_eq!(orders.large.pop_front(), Some(vec![9; 3]));
        orders.recycle();
        assert!(!inbox.take(&mut orders));
        inbox.push(&[4], None);
        assert!(inbox.take(&mut orders));
        assert_eq!((orders.commands.as_slice(), orders.flush), (&[4][..], 3));
    }

    #[test]
    fn a_full_inbox_waits_for_the_reactor_and_for_its_end() {
        let inbox = Arc::new(Inbox::default());
        inbox.push(&vec![0; limits::COMMAND_BACKLOG_BYTES + 1], None);
        let pusher = std::thread::spawn({
            let inbox = inbox.clone();
            move || inbox.push(&[7], None)
        });
        let mut orders = Orders::default();
        assert!(inbox.take(&mut orders));
        pusher.join().unwrap();
        orders.recycle();
        assert!(inbox.take(&mut orders));
        assert_eq!(orders.commands, [7]);
        orders.recycle();
        inbox.push(&vec![0; limits::COMMAND_BACKLOG_BYTES + 1], None);
        inbox.close();
        inbox.push(&[8], None);
        assert!(!inbox.take(&mut orders));
    }
}
