//! One request between the task of its connection and JavaScript's commands.
//!
//! Both sides live on the gate's thread: the [`Desk`](super::desk::Desk) carries out commands here, and
//! wakes the task; the task takes what is there. Memory: a few words, and what JavaScript has written
//! that hyper has not taken yet.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::stock::{COUNTED_BYTES, Stock};
use crate::bridge::ConnectionId;
use crate::http::Refusal;
use crate::limits;

/// How a request is answered. The bytes are as [`command`](crate::bridge::command) describes them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// By a whole response.
    Whole(Vec<u8>),
    /// By a response whose content follows; this is its head.
    Streamed(Vec<u8>),
    /// By the next route that matches.
    Yield,
    /// By the end of the connection.
    Close,
    /// By the gate: the content of the request breaks the rules.
    Refused(Refusal),
}

/// What follows of a response's content.
pub(super) enum Piece {
    Bytes(Bytes),
    /// Nothing more.
    End,
    /// Nothing, for the connection is to end.
    Close,
}

/// See the module.
pub(super) struct Conversation {
    place: ConnectionId,
    /// The gate's, in which what waits here counts; and of this one what counts in it.
    stock: Stock,
    own: Stock,
    /// Bytes of those that its connection holds: see [`Conversation::burden`].
    burden: Cell<usize>,
    /// Whether it is [listed](Conversation::list).
    is_listed: Cell<bool>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    task: Option<Waker>,
    verdict: Option<Verdict>,
    /// Whether there was one.
    is_answered: bool,
    /// What JavaScript has written of the response's content.
    written: VecDeque<Bytes>,
    /// Bytes of it.
    waiting: usize,
    /// Bytes that were taken since the beginning, wrapping.
    taken: u32,
    /// Whether JavaScript waits to hear that little waits.
    watched: bool,
    /// Whether its content is left in the kernel until JavaScript makes room.
    is_stalled: bool,
    /// Bytes of the request's content that JavaScript will take.
    granted: usize,
    /// JavaScript has said its last, or was told that nobody listens.
    over: bool,
    /// The connection is to end.
    closing: bool,
    /// It is to end behind the response.
    is_last: bool,
    /// Nobody takes what is written: the response has ended without it, as one to HEAD does.
    discarding: bool,
    /// The connection's task, while content that hyper has whole waits.
    writer: Option<Waker>,
    /// Closed for the App's memory budget.
    is_shed: bool,
}

impl Conversation {
    pub(super) fn new(place: ConnectionId, stock: Stock) -> Self {
        let (own, burden, is_listed) = (Stock::default(), Cell::new(0), Cell::new(false));
        Self { place, stock, own, burden, is_listed, state: RefCell::default() }
    }

    /// Bytes that wait for the client.
    pub(super) fn weight(&self) -> usize {
        self.own.bytes()
    }

    /// Content of a response, which counts as waiting until hyper has written it, if it is much.
    pub(super) fn keep(&self, content: Vec<u8>) -> Bytes {
        if content.len() < COUNTED_BYTES { content.into() } else { self.stock.keep(&self.own, content) }
    }

    /// What its connection holds for a client that does not read: `unwritten` bytes in hyper, of which those do not count that
    /// are [kept](Self::keep), and `records` of TLS. Whether that has changed.
    pub(super) fn burden(&self, unwritten: usize, records: usize) -> bool {
        let before = self.burden.get();
        if (before, unwritten, records) == (0, 0, 0) {
            return false;
        }
        let kept = self.weight() - before - self.state.borrow().waiting;
        let now = unwritten.saturating_sub(kept) + records;
        if now != before {
            self.burden.set(now);
            self.count(before, now);
        }
        now != before
    }

    /// Notes that it is listed among those that may have to be closed. `false`: it was already.
    pub(super) fn list(&self) -> bool {
        !self.is_listed.replace(true)
    }

    /// It is not listed any more.
    pub(super) fn unlist(&self) {
        self.is_listed.set(false);
    }

    /// The connection ends, for it has the most waiting where there is no more room. What hyper has not taken is gone at once.
    pub(super) fn shed(&self) {
        let mut state = self.state.borrow_mut();
        if !std::mem::replace(&mut state.is_shed, true) {
            self.stock.count_shed();
        }
        state.written = VecDeque::new();
        self.count(std::mem::take(&mut state.waiting), 0);
        let writer = state.writer.take();
        drop(state);
        // Also one of which JavaScript has said the last: what was taken of it would look as if it were whole.
        self.close();
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// Whether it was closed so.
    pub(super) fn is_shed(&self) -> bool {
        self.state.borrow().is_shed
    }

    /// Ready when it was closed so. The task is woken when it is, as long as much waits.
    pub(super) fn poll_shed(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        if state.is_shed {
            return Poll::Ready(());
        }
        match &mut state.writer {
            Some(writer) => writer.clone_from(cx.waker()),
            none if self.weight() > 0 => *none = Some(cx.waker().clone()),
            _ => {}
        }
        Poll::Pending
    }

    /// What waits has changed.
    fn count(&self, before: usize, after: usize) {
        self.stock.change(before, after);
        self.own.change(before, after);
    }

    /// Its place at the desk.
    pub(super) fn place(&self) -> ConnectionId {
        self.place
    }

    /// Whether no command follows that says anything, and no event.
    pub(super) fn is_over(&self) -> bool {
        self.state.borrow().over
    }

    /// Nothing more is said, by one side or the other. Whether this is news.
    pub(super) fn end(&self) -> bool {
        !std::mem::replace(&mut self.state.borrow_mut().over, true)
    }

    /// The answer. The first one counts.
    pub(super) fn answer(&self, verdict: Verdict) {
        let mut state = self.state.borrow_mut();
        if state.is_answered {
            return;
        }
        state.is_answered = true;
        state.over |= !matches!(verdict, Verdict::Streamed(_));
        state.verdict = Some(verdict);
        state.wake();
    }

    /// More of the response's content, its last if `fin`.
    pub(super) fn write(&self, bytes: Bytes, fin: bool) {
        let mut state = self.state.borrow_mut();
        if state.discarding {
            state.taken = state.taken.wrapping_add(bytes.len() as u32);
        } else if !bytes.is_empty() && !state.over {
            state.waiting += bytes.len();
            self.count(0, bytes.len());
            state.written.push_back(bytes);
        }
        state.over |= fin;
        state.wake();
    }

    /// The connection carries no request behind this one.
    pub(super) fn set_last(&self) {
        self.state.borrow_mut().is_last = true;
    }

    /// Whether it carries none.
    pub(super) fn is_last(&self) -> bool {
        self.state.borrow().is_last
    }

    /// The connection ends at once.
    pub(super) fn close(&self) {
        self.answer(Verdict::Close);
        let mut state = self.state.borrow_mut();
        state.over = true;
        state.closing = true;
        state.wake();
    }

    /// JavaScript will take so many more bytes of the request's content.
    pub(super) fn grant(&self, bytes: u32) {
        let mut state = self.state.borrow_mut();
        state.granted = state.granted.saturating_add(bytes as usize);
        state.wake();
    }

    /// JavaScript wants to hear when little waits.
    pub(super) fn watch(&self) {
        self.state.borrow_mut().watched = true;
    }

    /// What JavaScript is to hear, if it wants to and little waits: the bytes taken. Once.
    pub(super) fn news(&self) -> Option<u32> {
        let mut state = self.state.borrow_mut();
        let due = state.watched && state.waiting <= limits::RESPONSE_LOW_WATER_BYTES;
        state.watched &= !due;
        due.then_some(state.taken)
    }

    /// The answer, once. The task is woken when it comes.
    pub(super) fn poll_verdict(&self, cx: &Context<'_>) -> Poll<Verdict> {
        let mut state = self.state.borrow_mut();
        match state.verdict.take() {
            Some(verdict) => Poll::Ready(verdict),
            None => state.sleep(cx),
        }
    }

    /// What follows of the response. The task is woken when something does.
    pub(super) fn poll_piece(&self, cx: &Context<'_>) -> Poll<Piece> {
        let mut state = self.state.borrow_mut();
        if state.closing {
            return Poll::Ready(Piece::Close);
        }
        match state.written.pop_front() {
            Some(bytes) => {
                state.waiting -= bytes.len();
                self.count(bytes.len(), 0);
                state.taken = state.taken.wrapping_add(bytes.len() as u32);
                Poll::Ready(Piece::Bytes(bytes))
            }
            None if state.over => Poll::Ready(Piece::End),
            None => state.sleep(cx),
        }
    }

    /// Bytes of the request's content that may be told now. The task is woken when there are some.
    pub(super) fn poll_granted(&self, cx: &Context<'_>) -> Poll<usize> {
        let mut state = self.state.borrow_mut();
        match state.granted {
            0 => state.sleep(cx),
            granted => Poll::Ready(granted),
        }
    }

    /// So many of those bytes were told.
    pub(super) fn spend(&self, bytes: usize) {
        self.state.borrow_mut().granted -= bytes;
    }

    /// The task waits until [`go_on`](Self::go_on). Whether that is news: a task may be polled for other reasons.
    pub(super) fn stall(&self, cx: &Context<'_>) -> bool {
        let mut state = self.state.borrow_mut();
        let _: Poll<()> = state.sleep(cx);
        !std::mem::replace(&mut state.is_stalled, true)
    }

    /// There is room for its content.
    pub(super) fn go_on(&self) {
        let mut state = self.state.borrow_mut();
        state.is_stalled = false;
        state.wake();
    }

    /// Nobody takes any more of the response.
    pub(super) fn discard(&self) {
        let mut state = self.state.borrow_mut();
        state.discarding = true;
        state.written = VecDeque::new();
        state.taken = state.taken.wrapping_add(state.waiting as u32);
        self.count(state.waiting, 0);
        state.waiting = 0;
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        let left = self.state.get_mut().waiting + self.burden.get();
        self.count(left, 0);
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }

    fn sleep<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        match &mut self.task {
            Some(task) => task.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation() -> Conversation {
        Conversation::new(ConnectionId { index: 1, generation: 2 }, Stock::default())
    }

    fn cx() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    fn piece(conversation: &Conversation) -> String {
        match conversation.poll_piece(&cx()) {
            Poll::Ready(Piece::Bytes(bytes)) => String::from_utf8(bytes.to_vec()).unwrap(),
            Poll::Ready(Piece::End) => "end".into(),
            Poll::Ready(Piece::Close) => "close".into(),
            Poll::Pending => "pending".into(),
        }
    }

    #[test]
    fn a_streamed_response_is_taken_in_order_and_ends() {
        let conversation = conversation();
        conversation.answer(Verdict::Streamed(b"200".to_vec()));
        conversation.answer(Verdict::Yield);
        assert_eq!(conversation.poll_verdict(&cx()), Poll::Ready(Verdict::Streamed(b"200".to_vec())));
        assert_eq!(piece(&conversation), "pending");
        conversation.write(Bytes::from_static(b"one"), false);
        conversation.write(Bytes::new(), false);
        conversation.write(Bytes::from_static(b"two"), true);
        conversation.write(Bytes::from_static(b"never"), false);
        assert!(conversation.is_over());
        assert_eq!([piece(&conversation), piece(&conversation), piece(&conversation)], ["one", "two", "end"]);
    }

    #[test]
    fn news_come_once_when_little_waits() {
        let conversation = conversation();
        conversation.answer(Verdict::Streamed(Vec::new()));
        let much = limits::RESPONSE_LOW_WATER_BYTES + 1;
        conversation.write(vec![0; much].into(), false);
        assert_eq!(conversation.news(), None);
        conversation.watch();
        assert_eq!(conversation.news(), None);
        assert_eq!(piece(&conversation).len(), much);
        assert_eq!(conversation.news(), Some(much as u32));
        assert_eq!(conversation.news(), None);
        conversation.discard();
        conversation.write(vec![0; much].into(), false);
        conversation.watch();
        assert_eq!(conversation.news(), Some(2 * much as u32));
    }

    #[test]
    fn a_closed_one_ends_whatever_waits() {
        let conversation = conversation();
        conversation.answer(Verdict::Streamed(Vec::new()));
        conversation.write(Bytes::from_static(b"one"), false);
        conversation.close();
        assert_eq!(piece(&conversation), "close");
        assert!(!conversation.end());
    }

    #[test]
    fn what_is_granted_is_spent() {
        let conversation = conversation();
        assert_eq!(conversation.poll_granted(&cx()), Poll::Pending);
        conversation.grant(10);
        conversation.grant(5);
        assert_eq!(conversation.poll_granted(&cx()), Poll::Ready(15));
        conversation.spend(15);
        assert_eq!(conversation.poll_granted(&cx()), Poll::Pending);
    }

    #[test]
    fn one_that_waits_for_room_is_counted_once() {
        let conversation = conversation();
        assert!(conversation.stall(&cx()));
        assert!(!conversation.stall(&cx()));
        conversation.go_on();
        assert!(conversation.stall(&cx()));
    }
}
