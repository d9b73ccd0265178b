//! The order of running numbers: what is next, and which were passed over.

/// Numbers that were passed over are remembered up to here: more are lost for good.
const REMEMBERED: usize = 4_096;

/// Where a number stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// It is the next one, or there were so many between that have not come.
    After(u32),
    /// It was passed over before: it is late, not lost.
    Late,
    /// It has come before.
    Again,
}

/// Running numbers from a beginning on.
#[derive(Default)]
pub struct Sequence {
    next: u32,
    missing: Vec<u32>,
}

impl Sequence {
    /// Begins with this number.
    pub fn from(next: u32) -> Self {
        Self { next, missing: Vec::new() }
    }

    /// The number that is awaited.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// Numbers that have not come, the oldest first.
    pub fn missing(&self) -> &[u32] {
        &self.missing
    }

    /// Takes a number that has come.
    pub fn take(&mut self, number: u32) -> Order {
        if number >= self.next {
            let gap = number - self.next;
            let room = REMEMBERED.saturating_sub(self.missing.len());
            self.missing.extend((self.next..number).take(room));
            self.next = number + 1;
            return Order::After(gap);
        }
        match self.missing.iter().position(|missing| *missing == number) {
            Some(at) => {
                self.missing.remove(at);
                Order::Late
            }
            None => Order::Again,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_late_ones_and_doubles_are_told_apart() {
        let mut sequence = Sequence::from(5);
        let found: Vec<_> = [5, 6, 9, 8, 8, 10, 4].map(|number| sequence.take(number)).into();
        let after = |gap| Order::After(gap);
        assert_eq!(found, [after(0), after(0), after(2), Order::Late, Order::Again, after(0), Order::Again]);
        assert_eq!((sequence.next(), sequence.missing()), (11, &[7][..]));
    }
}
