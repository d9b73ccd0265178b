//! The conversation of the request that a connection has under way, and of the one before as long as that weighs.
//!
//! In the task of the connection, which is told here that one of them was closed for the App's memory budget, and tells the
//! desk what it holds for them. JavaScript is told if a conversation ends with this.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::conversation::Conversation;
use super::entrance::Entrance;

/// See the module.
pub(super) struct Seat<'e> {
    entrance: &'e Entrance,
    pub(super) conversation: RefCell<Option<Rc<Conversation>>>,
    /// That of the request before, as long as hyper has some of its response: where the request's content comes to its end
    /// behind that, the next request is called for before it is written. There is one at most, for none but that is begun
    /// before.
    former: RefCell<Option<Rc<Conversation>>>,
}

impl<'e> Seat<'e> {
    /// One without a conversation.
    pub(super) fn new(entrance: &'e Entrance) -> Self {
        Self { entrance, conversation: RefCell::new(None), former: RefCell::new(None) }
    }

    /// The conversation is over, whether it has come to its end or not.
    pub(super) fn leave(&self) {
        if let Some(conversation) = self.conversation.take() {
            self.entrance.desk().abort(&conversation);
            let heavy = Some(conversation).filter(|conversation| conversation.weight() > 0);
            self.unburden(self.former.replace(heavy));
        }
    }

    /// What the connection holds counts for another one, or nothing is held.
    pub(super) fn unburden(&self, conversation: Option<Rc<Conversation>>) {
        if let Some(conversation) = conversation {
            self.entrance.desk().burden(&conversation, 0, 0);
        }
    }

    /// Counts what the connection holds for whose response that is.
    pub(super) fn burden(&self, unwritten: usize, records: usize) {
        let desk = self.entrance.desk();
        let mut former = self.former.borrow_mut();
        if let Some(heavy) = &*former {
            desk.burden(heavy, unwritten, records);
        }
        former.take_if(|former| former.weight() == 0);
        if former.is_none()
            && let Some(conversation) = &*self.conversation.borrow()
        {
            desk.burden(conversation, unwritten, records);
        }
    }

    /// Ready when one of both was closed for the App's memory budget.
    pub(super) fn poll_shed(&self, cx: &Context<'_>) -> Poll<()> {
        let is_shed = |seated: &RefCell<Option<Rc<Conversation>>>| {
            seated.borrow().as_ref().is_some_and(|conversation| conversation.poll_shed(cx).is_ready())
        };
        if is_shed(&self.conversation) || is_shed(&self.former) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.leave();
        self.unburden(self.former.take());
    }
}
