//! The memory budget of an App: what its buffers may take together, and what follows when that comes to an end.
//!
//! Whoever has a buffer that can grow keeps a [`Share`](super::Share), and tells what it holds, once for a batch or a turn. Small
//! changes are kept back, so that ordinary traffic does not touch what the threads share: one byte, which says what
//! is to be stopped, behind it a mutex that is taken when a share has changed by a [grain](Budget::grain_bytes).
//! At the end of the budget its [`Member`]s, which are the threads of the engine, agree on whose connection is closed:
//! each bids with its heaviest one, and the highest bidder closes.

use std::sync::{Arc, PoisonError, Weak};

use super::sync::{AtomicU8, Mutex, MutexGuard, Ordering};
use super::{Crossing, Held};
use crate::limits::{
    BUDGET_ACCEPTING_PERCENT, BUDGET_CLOSING_PERCENT, BUDGET_GRAIN_MAX_BYTES, BUDGET_GRAIN_PART, BUDGET_LIGHT_PART,
    BUDGET_READING_PERCENT, BUDGET_RESUMING_PERCENT,
};

/// The budget of one App.
pub struct Budget {
    /// 0: there is none.
    limit_bytes: usize,
    /// What [`Budget::level`] returns.
    level: AtomicU8,
    state: Mutex<State>,
}

/// What is to be stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level(u8);

/// How often each threshold was reached. Totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Reading from peers stopped.
    pub reading: u64,
    /// Accepting stopped.
    pub accepting: u64,
    /// Connections were to be closed.
    pub closing: u64,
}

/// What a member is to do about its heaviest connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Nothing: there is room.
    Spare,
    /// Nothing now: another member has a heavier one, or has not said what it has. Its bell rings when that changes.
    Wait,
    /// Close it.
    Close,
}

#[derive(Default)]
struct State {
    held: Held,
    level: u8,
    /// The heaviest connection of those that were closed since the closing began.
    heaviest_bytes: usize,
    reached: Reached,
    members: Vec<Option<Bidder>>,
}

/// One member.
struct Bidder {
    crossing: Weak<Crossing>,
    /// Its heaviest connection, once it has said so since the closing began.
    bid: Option<usize>,
}

impl Level {
    const READING: u8 = 1;
    const ACCEPTING: u8 = 2;
    const CLOSING: u8 = 4;

    /// Nothing more is read but what keeps connections alive.
    pub fn stops_reading(self) -> bool {
        self.0 & Self::READING != 0
    }

    /// No connection is accepted, and nothing is read that would have to be kept.
    pub fn stops_accepting(self) -> bool {
        self.0 & Self::ACCEPTING != 0
    }

    /// Members are to [bid](Member::bid).
    pub fn closes(self) -> bool {
        self.0 & Self::CLOSING != 0
    }
}

impl Budget {
    /// A budget of so many bytes; 0 is none, under which all goes on as long as the host has memory.
    pub fn new(limit_bytes: usize) -> Arc<Self> {
        Arc::new(Self { limit_bytes, level: AtomicU8::new(0), state: Mutex::default() })
    }

    /// The bytes that there are; 0: without a bound.
    pub fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// What is to be stopped now. Any thread, at any rate.
    pub fn level(&self) -> Level {
        // ORDERING: nothing is published with it; who sees it a moment late goes on for a moment.
        Level(self.level.load(Ordering::Relaxed))
    }

    /// How often it came to what.
    pub fn reached(&self) -> Reached {
        self.lock().reached
    }

    /// What is held in all, as it was told.
    pub(super) fn held(&self) -> Held {
        self.lock().held
    }

    /// So much may a share change before it is told.
    pub(super) fn grain_bytes(&self) -> usize {
        (self.limit_bytes / BUDGET_GRAIN_PART).clamp(1, BUDGET_GRAIN_MAX_BYTES)
    }

    fn percent(&self, percent: usize) -> usize {
        self.limit_bytes / 100 * percent + self.limit_bytes % 100 * percent / 100
    }

    /// Whether so little waits for peers that it is not for them to make room: nobody is closed because JavaScript
    /// is busy.
    fn spares_peers(&self, held: Held) -> bool {
        held.outside_bytes < self.percent(100 - BUDGET_RESUMING_PERCENT)
    }

    /// Bytes came, or went.
    pub(super) fn change(&self, before: Held, after: Held) {
        let mut state = self.lock();
        let held = &mut state.held;
        held.inside_bytes = held.inside_bytes - before.inside_bytes + after.inside_bytes;
        held.outside_bytes = held.outside_bytes - before.outside_bytes + after.outside_bytes;
        let level = self.judge(&state);
        self.set_level(state, level);
    }

    /// Whether a connection that holds so much, the most of all, is not closed any more.
    fn spares(&self, state: &State, bytes: usize) -> bool {
        let is_light = bytes < state.heaviest_bytes / BUDGET_LIGHT_PART;
        bytes == 0 || is_light && state.held.bytes() < self.percent(BUDGET_RESUMING_PERCENT)
    }

    /// The level that follows from what is held and from the level before.
    fn judge(&self, state: &State) -> u8 {
        let (held, mut level) = (state.held, state.level);
        let mut step = |flag: u8, from: usize, below: usize| match held.bytes() {
            bytes if bytes >= from => level |= flag,
            bytes if bytes < below => level &= !flag,
            _ => {}
        };
        let resuming = self.percent(BUDGET_RESUMING_PERCENT);
        step(Level::READING, self.percent(BUDGET_READING_PERCENT), resuming);
        step(Level::ACCEPTING, self.percent(BUDGET_ACCEPTING_PERCENT), self.percent(BUDGET_READING_PERCENT));
        step(Level::CLOSING, self.limit_bytes, self.percent(BUDGET_CLOSING_PERCENT));
        if self.spares_peers(held) {
            level &= !Level::CLOSING;
        }
        level
    }

    /// Shows a new level, counts what it stops, and wakes the members if they have to do something for it.
    fn set_level(&self, mut state: MutexGuard<'_, State>, level: u8) {
        let before = std::mem::replace(&mut state.level, level);
        if level == before {
            return;
        }
        let (begun, over) = (level & !before, before & !level);
        state.reached.reading += u64::from(Level(begun).stops_reading());
        state.reached.accepting += u64::from(Level(begun).stops_accepting());
        state.reached.closing += u64::from(Level(begun).closes());
        // ORDERING: as in `level`; the bells that ring for it publish it.
        self.level.store(level, Ordering::Relaxed);
        if Level(begun).closes() {
            state.heaviest_bytes = 0;
        }
        if Level(begun).closes() || over != 0 {
            state.members.iter_mut().flatten().for_each(|member| member.bid = None);
        }
        let mut woken = Vec::new();
        // Where reading stops, somebody has to look whether it ever goes on: see `Member::relieve`.
        if Level(begun).closes() || Level(begun).stops_reading() || over != 0 {
            woken.extend(state.members.iter().flatten().filter_map(|member| member.crossing.upgrade()));
        }
        drop(state);
        woken.iter().for_each(|crossing| crossing.ring());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that can close connections. It leaves when it is dropped.
pub struct Member {
    budget: Arc<Budget>,
    number: usize,
}

impl Member {
    /// `crossing` has the bell of the thread.
    pub fn join(budget: &Arc<Budget>, crossing: &Arc<Crossing>) -> Self {
        let mut state = budget.lock();
        let number = state.members.iter().position(Option::is_none).unwrap_or(state.members.len());
        if number == state.members.len() {
            state.members.push(None);
        }
        state.members[number] = Some(Bidder { crossing: Arc::downgrade(crossing), bid: None });
        Self { budget: budget.clone(), number }
    }

    /// The budget.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Says that the heaviest connection has so many bytes, 0 if none has any, and asks what becomes of it.
    pub fn bid(&self, bytes: usize) -> Ruling {
        let mut state = self.budget.lock();
        if !Level(state.level).closes() {
            return Ruling::Spare;
        }
        if let Some(Some(own)) = state.members.get_mut(self.number) {
            own.bid = Some(bytes);
        }
        let mut highest = None;
        for (number, member) in state.members.iter().enumerate() {
            let Some(member) = member else { continue };
            // It was woken when the closing began.
            let Some(bid) = member.bid else { return Ruling::Wait };
            if highest.is_none_or(|(most, _)| bid > most) {
                highest = Some((bid, number));
            }
        }
        match highest {
            None => Ruling::Spare,
            Some((bytes, _)) if self.budget.spares(&state, bytes) => {
                let level = state.level & !Level::CLOSING;
                self.budget.set_level(state, level);
                Ruling::Spare
            }
            Some((bytes, number)) if number == self.number => {
                state.heaviest_bytes = state.heaviest_bytes.max(bytes);
                Ruling::Close
            }
            Some((_, number)) => {
                let crossing = state.members[number].as_ref().and_then(|member| member.crossing.upgrade());
                drop(state);
                crossing.iter().for_each(|crossing| crossing.ring());
                Ruling::Wait
            }
        }
    }

    /// Reading has been stopped for too long: where peers neither read nor may send what is missing, what is held does not
    /// become less by itself, and where they read a little now and then, not soon enough. Connections are closed as at
    /// the end of the budget, unless it is JavaScript that is behind.
    pub fn relieve(&self) {
        let state = self.budget.lock();
        if Level(state.level).stops_reading() && !self.budget.spares_peers(state.held) {
            let level = state.level | Level::CLOSING;
            self.budget.set_level(state, level);
        }
    }

    /// Bytes that are held in all, as they were told.
    pub fn held_bytes(&self) -> usize {
        self.budget.held().bytes()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        if let Some(member) = state.members.get_mut(self.number) {
            *member = None;
        }
        // Others may have waited for its bid.
        let woken: Vec<_> = state.members.iter().flatten().filter_map(|member| member.crossing.upgrade()).collect();
        let is_awaited = Level(state.level).closes();
        drop(state);
        if is_awaited {
            woken.iter().for_each(|crossing| crossing.ring());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Share;
    use super::*;
    use std::sync::atomic::AtomicUsize;

    fn inside(bytes: usize) -> Held {
        Held { inside_bytes: bytes, outside_bytes: 0 }
    }

    fn outside(bytes: usize) -> Held {
        Held { inside_bytes: 0, outside_bytes: bytes }
    }

    /// Reading, accepting, closing.
    fn level(budget: &Budget) -> [bool; 3] {
        let level = budget.level();
        [level.stops_reading(), level.stops_accepting(), level.closes()]
    }

    fn lane(budget: &Arc<Budget>) -> (Arc<Crossing>, Arc<AtomicUsize>) {
        let rung = Arc::new(AtomicUsize::new(0));
        let counted = rung.clone();
        // ORDERING: one thread.
        let wake = Box::new(move || _ = counted.fetch_add(1, Ordering::Relaxed));
        let crossing = Arc::new(Crossing::new(budget, wake, Box::new(|| {})));
        assert!(crossing.sleep());
        (crossing, rung)
    }

    #[test]
    fn each_threshold_is_reached_once_and_left_lower() {
        let budget = Budget::new(10_000);
        let mut share = Share::of(&budget);
        let steps = [
            (9_490, [false, false, false]),
            (9_500, [true, false, false]),
            (9_100, [true, false, false]),
            (9_800, [true, true, false]),
            (9_600, [true, true, false]),
            (10_000, [true, true, true]),
            (9_400, [true, false, true]),
            (9_000, [true, false, true]),
            (8_960, [false, false, true]),
            (7_500, [false, false, true]),
            (7_490, [false, false, false]),
            (9_400, [false, false, false]),
            (0, [false, false, false]),
        ];
        for (bytes, expected) in steps {
            share.hold(outside(bytes));
            assert_eq!(level(&budget), expected, "{bytes}");
        }
        assert_eq!(budget.reached(), Reached { reading: 1, accepting: 1, closing: 1 });
    }

    #[test]
    fn the_largest_budget_has_percentages() {
        let budget = Budget::new(usize::MAX);
        assert!(budget.percent(90) < budget.percent(95) && budget.percent(98) < usize::MAX);
    }

    #[test]
    fn the_member_with_the_heaviest_connection_closes_it() {
        let budget = Budget::new(10_000);
        let (first, second) = (lane(&budget), lane(&budget));
        let members = [Member::join(&budget, &first.0), Member::join(&budget, &second.0)];
        let mut shares = [Share::of(&budget), Share::of(&budget)];
        assert_eq!(members[0].bid(5), Ruling::Spare);
        shares[0].hold(outside(4_000));
        shares[1].hold(outside(6_000));
        // ORDERING: one thread.
        let rings = |lane: &(Arc<Crossing>, Arc<AtomicUsize>)| lane.1.load(Ordering::Relaxed);
        assert_eq!((rings(&first), rings(&second)), (1, 1), "both are woken");
        [&first, &second].iter().for_each(|(crossing, _)| {
            crossing.answer();
            assert!(crossing.sleep());
        });
        assert_eq!(members[0].bid(4_000), Ruling::Wait, "the other has not bid");
        assert_eq!(members[1].bid(3_000), Ruling::Wait, "it is less");
        assert_eq!(rings(&first), 2, "whose turn it is hears of it");
        assert_eq!(members[0].bid(4_000), Ruling::Close);
        shares[0].hold(outside(100));
        assert_eq!(level(&budget), [false; 3]);
        assert_eq!(members[0].bid(100), Ruling::Spare);
        assert_eq!(level(&budget), [false; 3]);
    }

    #[test]
    fn who_has_ended_is_not_waited_for() {
        let budget = Budget::new(10_000);
        let (first, second) = (lane(&budget), lane(&budget));
        let member = Member::join(&budget, &first.0);
        let ended = Member::join(&budget, &second.0);
        let mut share = Share::of(&budget);
        share.hold(outside(10_000));
        assert_eq!(member.bid(10_000), Ruling::Wait);
        drop(ended);
        assert_eq!(member.bid(10_000), Ruling::Close);
    }

    #[test]
    fn what_waits_for_javascript_closes_nobody() {
        let budget = Budget::new(10_000);
        let (crossing, _) = lane(&budget);
        let member = Member::join(&budget, &crossing);
        let mut share = Share::of(&budget);
        share.hold(inside(11_000));
        assert_eq!(level(&budget), [true, true, false]);
        // A little of it is the peers'; then too much.
        share.hold(Held { inside_bytes: 9_700, outside_bytes: 990 });
        member.relieve();
        assert_eq!(member.bid(200), Ruling::Spare);
        share.hold(Held { inside_bytes: 9_500, outside_bytes: 1_200 });
        assert_eq!(member.bid(200), Ruling::Close);
        share.hold(Held { inside_bytes: 9_500, outside_bytes: 980 });
        assert_eq!(member.bid(200), Ruling::Spare);
        assert_eq!(level(&budget), [true, true, false]);
    }

    #[test]
    fn room_is_made_by_those_that_are_large_and_no_more_of_it_by_small_ones() {
        let budget = Budget::new(10_000);
        let (crossing, _) = lane(&budget);
        let member = Member::join(&budget, &crossing);
        let mut share = Share::of(&budget);
        share.hold(outside(10_000));
        assert_eq!(member.bid(300), Ruling::Close);
        share.hold(outside(9_700));
        assert_eq!(member.bid(800), Ruling::Close, "it has come meanwhile");
        share.hold(outside(9_000));
        assert_eq!(member.bid(100), Ruling::Close, "reading does not go on yet");
        share.hold(outside(8_900));
        assert_eq!((member.bid(400), level(&budget)), (Ruling::Close, [false, false, true]));
        share.hold(outside(8_500));
        assert_eq!((member.bid(399), level(&budget)), (Ruling::Spare, [false; 3]));
        // The next time does not go by what was closed in this one.
        share.hold(outside(10_000));
        assert_eq!(member.bid(100), Ruling::Close);
        share.hold(outside(8_900));
        assert_eq!(member.bid(50), Ruling::Close);
        share.hold(outside(7_400));
        assert_eq!(member.bid(50), Ruling::Spare);
    }

    #[test]
    fn who_is_stuck_is_relieved() {
        let budget = Budget::new(10_000);
        let (crossing, _) = lane(&budget);
        let member = Member::join(&budget, &crossing);
        let mut share = Share::of(&budget);
        share.hold(outside(9_600));
        member.relieve();
        assert_eq!(level(&budget), [true, false, true]);
        assert_eq!(member.bid(700), Ruling::Close);
        share.hold(outside(7_400));
        assert_eq!(level(&budget), [false; 3]);
        member.relieve();
        assert_eq!(level(&budget), [false; 3]);
    }

    #[test]
    fn a_closing_without_anything_to_close_is_over() {
        let budget = Budget::new(10_000);
        let (crossing, _) = lane(&budget);
        let member = Member::join(&budget, &crossing);
        let mut share = Share::of(&budget);
        share.hold(outside(10_000));
        assert_eq!(member.bid(0), Ruling::Spare);
        assert_eq!(level(&budget), [true, true, false]);
    }
}
