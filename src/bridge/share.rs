//! What somebody holds of the memory [`Budget`] of an App.

use std::sync::Arc;

use super::Budget;

/// For whom bytes wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// For JavaScript, or the engine's own threads: closing connections would not bring them back.
    pub inside_bytes: usize,
    /// For peers, which have to read or to send the rest: they end with their connections.
    pub outside_bytes: usize,
}

/// What one buffer, or all of one thread, holds of a budget. Dropped, it holds nothing.
#[derive(Default)]
pub struct Share {
    /// Without one it counts nowhere.
    budget: Option<Arc<Budget>>,
    grain_bytes: usize,
    told: Held,
}

impl Held {
    /// Bytes in all.
    pub fn bytes(self) -> usize {
        self.inside_bytes + self.outside_bytes
    }
}

impl Share {
    /// A share that holds nothing yet.
    pub fn of(budget: &Arc<Budget>) -> Self {
        let grain_bytes = budget.grain_bytes();
        let budget = (budget.limit_bytes() > 0).then(|| budget.clone());
        Self { budget, grain_bytes, told: Held::default() }
    }

    /// It holds so much now. Whether that was worth telling.
    pub fn hold(&mut self, held: Held) -> bool {
        let Some(budget) = &self.budget else { return false };
        let is_news = |told: usize, now: usize| told != now && (now == 0 || told.abs_diff(now) >= self.grain_bytes);
        if !is_news(self.told.inside_bytes, held.inside_bytes) && !is_news(self.told.outside_bytes, held.outside_bytes)
        {
            return false;
        }
        budget.change(std::mem::replace(&mut self.told, held), held);
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.hold(Held::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::BUDGET_GRAIN_PART;

    fn inside(bytes: usize) -> Held {
        Held { inside_bytes: bytes, outside_bytes: 0 }
    }

    fn outside(bytes: usize) -> Held {
        Held { inside_bytes: 0, outside_bytes: bytes }
    }

    #[test]
    fn a_share_tells_in_grains_and_nothing_at_last() {
        let budget = Budget::new(100 * BUDGET_GRAIN_PART);
        let mut share = Share::of(&budget);
        assert!(!share.hold(inside(99)));
        assert!(share.hold(inside(100)));
        assert!(!share.hold(inside(199)));
        assert_eq!(budget.held(), inside(100));
        assert!(share.hold(inside(0)));
        assert!(share.hold(outside(500)));
        drop(share);
        assert_eq!(budget.held(), Held::default());
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let budget = Budget::new(0);
        assert!(!Share::of(&budget).hold(outside(usize::MAX)));
        assert_eq!(budget.held(), Held::default());
    }
}
