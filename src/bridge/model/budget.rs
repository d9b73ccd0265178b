//! The end of the memory budget: its members agree on whose connection is closed, and none of them waits in vain.

use std::sync::Arc;

use loom::thread;

use super::{Lane, explore};
use crate::bridge::{Budget, Held, Member, Ruling, Share};

const BUDGET_BYTES: usize = 1_000;

fn outside(bytes: usize) -> Held {
    Held { inside_bytes: 0, outside_bytes: bytes }
}

/// A thread of the engine with these connections.
struct Closer {
    lane: Arc<Lane>,
    member: Member,
    share: Share,
    weights: Vec<usize>,
}

impl Closer {
    fn of(budget: &Arc<Budget>, weights: &[usize]) -> Self {
        let lane = Lane::of(budget);
        let (member, share) = (Member::join(budget, &lane.crossing), Share::of(budget));
        let mut closer = Self { lane, member, share, weights: weights.to_vec() };
        closer.account();
        closer
    }

    fn account(&mut self) {
        self.share.hold(outside(self.weights.iter().sum()));
    }

    /// Its turns, from before the end of the budget until there is room. Returns what it has closed.
    fn run(mut self) -> Vec<usize> {
        let mut closed = Vec::new();
        let lane = self.lane.clone();
        lane.run_engine(|| {
            // The first of both is behind the mutex: it says that the end was reached, and so the level was set.
            if self.member.budget().reached().closing > 0 && !self.member.budget().level().closes() {
                return true;
            }
            while self.member.budget().level().closes() {
                let heaviest = self.weights.iter().copied().max().unwrap_or(0);
                if self.member.bid(heaviest) != Ruling::Close {
                    break;
                }
                self.weights.retain(|weight| *weight != heaviest);
                closed.push(heaviest);
                self.account();
            }
            // As a reactor's turn ends: what it has done itself it hears of by its bell.
            false
        });
        closed
    }
}

/// The heaviest goes first, whoever has it, and the turn passes from one to the other, while the last bytes that are too
/// much come from elsewhere.
#[test]
fn members_close_the_heaviest_one_after_the_other_and_stop() {
    explore(2, || {
        let budget = Budget::new(BUDGET_BYTES);
        let closers = [Closer::of(&budget, &[100, 260]), Closer::of(&budget, &[250])];
        let closing = closers.map(|closer| thread::spawn(move || closer.run()));
        let mut elsewhere = Share::of(&budget);
        elsewhere.hold(outside(400));
        let closed = closing.map(|closer| closer.join().unwrap());
        // 1,010 bytes, less 260, is no less than three quarters yet.
        assert_eq!(closed, [vec![260], vec![250]]);
        assert_eq!((budget.level().closes(), budget.reached().closing), (false, 1));
    });
}

/// One that ends without a bid, while another waits for that. What it held is not all that was too much.
#[test]
fn a_member_that_ends_is_not_waited_for() {
    explore(3, || {
        let budget = Budget::new(BUDGET_BYTES);
        let closer = Closer::of(&budget, &[400, 600]);
        let other = Closer::of(&budget, &[300]);
        let ending = thread::spawn(move || drop(other));
        assert_eq!(closer.run(), [600]);
        ending.join().unwrap();
        assert!(!budget.level().closes());
    });
}
