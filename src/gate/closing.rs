//! Tells the tasks of a gate that the App shuts down.
//!
//! Who waits for a request ends then; who answers one ends behind the answer. One for each gate, on its
//! thread. Memory: a place in a list, inside of each task.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::Context;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Whether the App shuts down, and who is to be told.
#[derive(Default)]
pub(super) struct Closing {
    begun: Cell<bool>,
    notify: Notify,
}

impl Closing {
    /// The App shuts down. For good: a gate ends with its App's shutdown.
    pub(super) fn begin(&self) {
        self.begun.set(true);
        self.notify.notify_waiters();
    }

    /// A task's place among those that are told.
    pub(super) fn watch(&self) -> Notified<'_> {
        self.notify.notified()
    }

    /// Whether it has begun; if not, the task is woken when it does.
    pub(super) fn poll(&self, watch: Pin<&mut Notified<'_>>, cx: &mut Context<'_>) -> bool {
        self.begun.get() || watch.poll(cx).is_ready()
    }
}
