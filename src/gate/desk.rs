//! Where requests wait that JavaScript answers: the gate's end of its lane.
//!
//! Tasks of connections leave requests and content here; they gather in a batch that the gate's keeper
//! posts once it has its turn, behind the tasks that were ready. Commands come the other way, each to the
//! [`Conversation`] at its place. All on the gate's thread, but for the [`Crossing`] itself.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Waker};

use bytes::Bytes;

use super::conversation::{Conversation, Verdict};
use super::stock::Stock;
use crate::bridge::command::{ANSWER_RESPONSE, ANSWER_YIELD, FLAG_CLOSE, FLAG_FIN};
use crate::bridge::event::{FLAG_LARGE, FLAG_LAST, failed};
use crate::bridge::sync::Mutex;
use crate::bridge::{
    Batch, Budget, Command, CommandKind, Commands, ConnectionId, Crossing, EventKind, Held, Member, Orders, RouteId,
    Ruling, Share, Wake,
};
use crate::error::Faults;
use crate::limits;
use crate::reactor::encode_peer;

/// Wakes the gate's keeper, from any thread.
#[derive(Clone, Default)]
pub(super) struct Bell(Arc<Mutex<Option<Waker>>>);

impl Bell {
    pub(super) fn ring(&self) {
        if let Some(keeper) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            keeper.wake_by_ref();
        }
    }

    fn hang(&self, keeper: &Waker) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *known {
            Some(known) => known.clone_from(keeper),
            none => *none = Some(keeper.clone()),
        }
    }
}

/// A lane between JavaScript and a gate, and the bell of the gate's keeper.
pub(super) fn crossing(budget: &Arc<Budget>, ring_javascript: Wake) -> (Arc<Crossing>, Bell) {
    let bell = Bell::default();
    let wake = bell.clone();
    (Arc::new(Crossing::new(budget, Box::new(move || wake.ring()), ring_javascript)), bell)
}

/// See the module.
pub(super) struct Desk {
    crossing: Arc<Crossing>,
    bell: Bell,
    stock: Stock,
    /// The gate's part in the App's memory budget, and what it holds of it.
    member: Member,
    share: RefCell<Share>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    open: Batch,
    /// Whether the keeper had no turn since the first of those events.
    is_fresh: bool,
    places: Vec<Place>,
    free: Vec<u32>,
    /// Those whose content is not read because too much waits for JavaScript, each once.
    stalled: Vec<Rc<Conversation>>,
    /// Whether a filter asked for connections.
    filtered: bool,
    orders: Orders,
    /// Conversations that may have no place any more, and of whose response something may wait; each once.
    leaving: Vec<Weak<Conversation>>,
    /// Whether the last turn has closed one for the budget.
    has_shed: bool,
}

#[derive(Default)]
struct Place {
    generation: u16,
    conversation: Option<Rc<Conversation>>,
}

impl Desk {
    /// `stock` is the gate's.
    pub(super) fn new(crossing: Arc<Crossing>, bell: Bell, stock: Stock) -> Self {
        let member = Member::join(crossing.budget(), &crossing);
        let share = RefCell::new(Share::of(crossing.budget()));
        Self { crossing, bell, stock, member, share, state: RefCell::default() }
    }

    /// So many bytes waited somewhere for a client, so many do now.
    pub(super) fn stock(&self, before: usize, after: usize) {
        if before != after {
            self.stock.change(before, after);
            self.account();
        }
    }

    /// Tells the budget what waits, if that has changed by much.
    fn account(&self) {
        self.share.borrow_mut().hold(Held { inside_bytes: 0, outside_bytes: self.stock.bytes() });
    }

    /// Closes the conversation that has the most waiting if the App's budget is at its end and no thread has a heavier one: one
    /// in each turn, as long as that is so.
    ///
    /// A conversation that is closed weighs until its task has ended. That task was woken, and comes before the next turn, so
    /// one turn waits for it: else another one would be closed for bytes that are about to go. Not more than one: all of the
    /// App waits for this gate's bid, and who is closed already should not hold that up, whatever keeps it.
    fn relieve(&self, cx: &Context<'_>) {
        let mut state = self.state.borrow_mut();
        let has_shed = std::mem::take(&mut state.has_shed);
        if !self.member.budget().level().closes() {
            return;
        }
        let mut heaviest: Option<Rc<Conversation>> = None;
        let mut is_leaving = false;
        let seated = state.places.iter().filter_map(|place| place.conversation.clone());
        for found in seated.chain(state.leaving.iter().filter_map(Weak::upgrade)) {
            if found.is_shed() {
                is_leaving |= found.weight() > 0;
            } else if found.weight() > heaviest.as_ref().map_or(0, |heaviest| heaviest.weight()) {
                heaviest = Some(found);
            }
        }
        drop(state);
        if has_shed && is_leaving {
            return cx.waker().wake_by_ref();
        }
        if self.member.bid(heaviest.as_ref().map_or(0, |heaviest| heaviest.weight())) == Ruling::Close
            && let Some(heaviest) = heaviest
        {
            self.abort(&heaviest);
            heaviest.shed();
            self.account();
            self.state.borrow_mut().has_shed = true;
            cx.waker().wake_by_ref();
        }
    }

    /// Whether so much waits for JavaScript that nothing more should be accepted.
    pub(super) fn is_full(&self) -> bool {
        self.crossing.is_full()
    }

    /// Whether so much waits for it, or in the App, that no more should be taken from the wire.
    pub(super) fn stops_reading(&self) -> bool {
        self.crossing.stops_reading()
    }

    /// Asks JavaScript; `head` is a [`HeadText`](crate::http::HeadText).
    pub(super) fn ask(&self, route: RouteId, peer: Option<SocketAddr>, head: &[u8]) -> Rc<Conversation> {
        let conversation = self.state.borrow_mut().seat(&self.stock);
        let (family, place) = encode_peer(route, peer);
        self.tell(conversation.place(), EventKind::Request, family, [&place, head]);
        conversation
    }

    /// Asks JavaScript whether it has an identity for a server name. It is answered when the verdict comes, whatever
    /// that is.
    pub(super) fn ask_server_name(&self, name: &str) -> Rc<Conversation> {
        let conversation = self.state.borrow_mut().seat(&self.stock);
        self.tell(conversation.place(), EventKind::ServerName, 0, [name.as_bytes(), b""]);
        conversation
    }

    /// Content of a request.
    pub(super) fn tell_content(&self, conversation: &Conversation, bytes: &Bytes, is_last: bool) {
        let flags = if is_last { FLAG_LAST } else { 0 };
        if bytes.len() <= limits::LARGE_MESSAGE_BYTES {
            return self.tell(conversation.place(), EventKind::Content, flags, [bytes, b""]);
        }
        let mut state = self.state.borrow_mut();
        self.make_room(&mut state, 0);
        state.open.push_large(conversation.place(), EventKind::Content, flags | FLAG_LARGE, bytes.to_vec());
    }

    /// Tells JavaScript how much of a response is taken, if it wants to know now.
    pub(super) fn tell_news(&self, conversation: &Conversation) {
        self.account();
        let Some(taken) = conversation.news() else { return };
        let mut state = self.state.borrow_mut();
        self.make_room(&mut state, 0);
        state.open.push_amount(conversation.place(), EventKind::Taken, taken as usize);
    }

    /// The peer of a request is gone, or its content broke off: JavaScript is told, unless the conversation
    /// is over. Whether it was told.
    pub(super) fn abort(&self, conversation: &Conversation) -> bool {
        let is_news = conversation.end();
        if is_news {
            self.tell(conversation.place(), EventKind::Aborted, 0, [b"", b""]);
        }
        is_news
    }

    /// Content of a whole response, which waits for its client from now on.
    pub(super) fn keep(&self, conversation: &Rc<Conversation>, content: Vec<u8>) -> Bytes {
        let kept = conversation.keep(content);
        if conversation.weight() > 0 {
            self.state.borrow_mut().leave(conversation);
            self.account();
        }
        kept
    }

    /// So many bytes does a conversation's connection hold for a client that does not read: see
    /// [`Conversation::burden`].
    pub(super) fn burden(&self, conversation: &Rc<Conversation>, unwritten: usize, records: usize) {
        if conversation.burden(unwritten, records) {
            if conversation.weight() > 0 {
                self.state.borrow_mut().leave(conversation);
            }
            self.account();
        }
    }

    /// A connection came or went: tells the filter, if there is one.
    pub(super) fn tell_connection(&self, kind: EventKind, peer: Option<SocketAddr>) {
        if self.state.borrow().filtered {
            let (family, place) = encode_peer(RouteId(0), peer);
            self.tell(ConnectionId::NONE, kind, family, [&place, b""]);
        }
    }

    /// Whether connections are to be told of.
    pub(super) fn filter(&self, on: bool) {
        self.state.borrow_mut().filtered = on;
    }

    /// Wakes the task of a conversation when JavaScript has made room.
    pub(super) fn stall(&self, conversation: &Rc<Conversation>, cx: &Context<'_>) {
        if !conversation.stall(cx) {
            return;
        }
        self.state.borrow_mut().stalled.push(conversation.clone());
        // Room may have been made in between; then the keeper finds it.
        self.crossing.mailbox.starve();
        self.bell.ring();
    }

    /// The keeper's turn: carries commands out, and hands over what was gathered. The keeper is woken
    /// again when there is more to do.
    pub(super) fn turn(&self, cx: &Context<'_>) {
        self.bell.hang(cx.waker());
        self.crossing.answer();
        self.obey();
        self.account();
        self.relieve(cx);
        let mut state = self.state.borrow_mut();
        // Tasks that were ready when the first of these events came may be behind this turn: the next one is
        // behind them.
        match std::mem::replace(&mut state.is_fresh, false) {
            true => cx.waker().wake_by_ref(),
            false => self.post(&mut state),
        }
        if !state.stalled.is_empty() && !self.crossing.stops_reading() {
            state.stalled.drain(..).for_each(|conversation| conversation.go_on());
        }
        if !self.crossing.sleep() {
            cx.waker().wake_by_ref();
        }
    }

    /// The gate has panicked: every conversation is over, and JavaScript is told so. It knows no place any more then.
    pub(super) fn fail(&self) {
        let mut state = self.state.borrow_mut();
        state.free.clear();
        state.stalled.clear();
        for index in (0..state.places.len()).rev() {
            let place = &mut state.places[index];
            place.generation = place.generation.wrapping_add(1);
            if let Some(conversation) = place.conversation.take()
                && conversation.end()
            {
                conversation.close();
            }
            state.free.push(index as u32);
        }
        drop(state);
        self.tell(ConnectionId::NONE, EventKind::Failed, failed::GATE, [b"", b""]);
    }

    /// Where its thread can be made to panic.
    pub(super) fn faults(&self) -> &Faults {
        &self.crossing.faults
    }

    /// Nobody takes commands any more.
    pub(super) fn close(&self) {
        self.crossing.inbox.close();
    }

    /// Lets go of buffers, once there are no connections.
    pub(super) fn let_go(&self) {
        let mut state = self.state.borrow_mut();
        if state.open.is_empty() {
            state.open = Batch::default();
        }
        state.orders = Orders::default();
        state.stalled = Vec::new();
        state.leaving = Vec::new();
        self.crossing.let_go();
    }

    fn obey(&self) {
        let mut orders = std::mem::take(&mut self.state.borrow_mut().orders);
        if self.crossing.inbox.take(&mut orders) {
            let Orders { commands, large, .. } = &mut orders;
            // A malformed record cannot come from `lib/`; what follows it cannot be told apart.
            for command in Commands::new(commands).map_while(Result::ok) {
                let payload = match command.kind.is_large() {
                    true => large.pop_front().unwrap_or_default(),
                    false => commands[range(&command)].to_vec(),
                };
                self.carry_out(&command, payload);
            }
            orders.recycle();
        }
        self.state.borrow_mut().orders = orders;
    }

    fn carry_out(&self, command: &Command, payload: Vec<u8>) {
        let Some(conversation) = self.state.borrow().find(command.connection) else { return };
        match command.kind {
            CommandKind::Answer | CommandKind::AnswerLarge => match command.flags {
                ANSWER_RESPONSE => conversation.answer(Verdict::Whole(payload)),
                ANSWER_YIELD => conversation.answer(Verdict::Yield),
                // A close, or an upgrade: only a reactor's requests can be upgraded.
                _ => conversation.close(),
            },
            CommandKind::Begin | CommandKind::BeginLarge => conversation.answer(Verdict::Streamed(payload)),
            CommandKind::Content | CommandKind::ContentLarge => {
                if command.flags & FLAG_CLOSE != 0 {
                    conversation.set_last();
                }
                conversation.write(payload.into(), command.flags & FLAG_FIN != 0);
            }
            CommandKind::WatchDrain => {
                conversation.watch();
                self.tell_news(&conversation);
            }
            CommandKind::Grant => {
                let bytes = payload.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
                conversation.grant(bytes);
            }
            CommandKind::Terminate => conversation.close(),
            CommandKind::ServerNameLooked => {
                conversation.answer(Verdict::Yield);
                self.state.borrow_mut().release(command.connection);
            }
            CommandKind::Release => {
                // Released without an answer: there will be none.
                if conversation.end() {
                    conversation.close();
                }
                self.state.borrow_mut().release(command.connection);
            }
            _ => {}
        }
    }

    fn tell(&self, place: ConnectionId, kind: EventKind, flags: u8, parts: [&[u8]; 2]) {
        let mut state = self.state.borrow_mut();
        self.make_room(&mut state, parts[0].len() + parts[1].len());
        state.open.push(place, kind, flags, parts);
    }

    /// Makes room for one event, and sees to it that the keeper hands it over.
    fn make_room(&self, state: &mut State, payload_bytes: usize) {
        if state.open.is_empty() {
            state.is_fresh = true;
            self.bell.ring();
        }
        if !state.open.has_room(payload_bytes) {
            self.post(state);
        }
    }

    fn post(&self, state: &mut State) {
        if !state.open.is_empty() {
            self.crossing.mailbox.post(&mut state.open);
            self.crossing.ring_javascript();
        }
    }
}

impl State {
    /// A place, and a conversation at it.
    fn seat(&mut self, stock: &Stock) -> Rc<Conversation> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            // A connection has one at a time, and a few that JavaScript has not released.
            self.places.len() as u32 - 1
        });
        let place = &mut self.places[index as usize];
        let conversation = {
            let place = ConnectionId { index, generation: place.generation };
            Rc::new(Conversation::new(place, stock.clone()))
        };
        place.conversation = Some(conversation.clone());
        conversation
    }

    /// Its response is still to be written.
    fn leave(&mut self, conversation: &Rc<Conversation>) {
        if !conversation.list() {
            return;
        }
        if self.leaving.len() == self.leaving.capacity() {
            self.leaving.retain(|left| {
                left.upgrade().is_some_and(|left| {
                    let is_heavy = left.weight() > 0;
                    if !is_heavy {
                        left.unlist();
                    }
                    is_heavy
                })
            });
        }
        self.leaving.push(Rc::downgrade(conversation));
    }

    fn find(&self, place: ConnectionId) -> Option<Rc<Conversation>> {
        let found = self.places.get(place.index as usize)?;
        found.conversation.clone().filter(|_| found.generation == place.generation)
    }

    fn release(&mut self, place: ConnectionId) {
        let Some(found) = self.places.get_mut(place.index as usize) else { return };
        if found.generation != place.generation {
            return;
        }
        if let Some(conversation) = found.conversation.take() {
            found.generation = found.generation.wrapping_add(1);
            self.free.push(place.index);
            if conversation.weight() > 0 {
                self.leave(&conversation);
            }
        }
    }
}

fn range(command: &Command) -> std::ops::Range<usize> {
    command.offset as usize..command.offset as usize + command.length as usize
}
