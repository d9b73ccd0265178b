//! The one atomic protocol of the house: who wakes a sleeping consumer, and when nobody need.
//!
//! Two consumers use it: a reactor (woken through its poller) and a JavaScript thread (woken
//! through its threadsafe function). What is left for them lies behind a mutex of its own; the bell
//! only decides whether a wake-up, which costs a system call, is due. `loom` runs every interleaving
//! of it: `npm run verify -- loom`.

use super::sync::{AtomicU8, Ordering};

/// The consumer is at work and will look again before it sleeps.
const AWAKE: u8 = 0;
/// The consumer sleeps: the next to ring must wake it.
const ASLEEP: u8 = 1;
/// Something was left since the consumer last answered.
const RUNG: u8 = 2;

/// A bell with one consumer and any number of producers.
///
/// A producer leaves its work, then [rings](Doorbell::ring). The consumer [answers](Doorbell::answer),
/// then takes all there is, then asks whether it may [sleep](Doorbell::sleep). In this order nothing
/// is stranded: what is left after the taking finds either a consumer that may not sleep, or one
/// that sleeps and is woken.
pub struct Doorbell {
    state: AtomicU8,
}

impl Doorbell {
    /// A bell whose consumer sleeps.
    pub fn asleep() -> Self {
        Self { state: AtomicU8::new(ASLEEP) }
    }

    /// A bell whose consumer is at work.
    pub fn awake() -> Self {
        Self { state: AtomicU8::new(AWAKE) }
    }

    /// Rings, after work was left; calls `wake` only if the consumer sleeps.
    pub fn ring(&self, wake: impl FnOnce()) {
        // ORDERING: release, so that a consumer whose `sleep` fails on this value sees the work;
        // acquire, so that a wake-up comes after the consumer's decision to sleep.
        if self.state.swap(RUNG, Ordering::AcqRel) == ASLEEP {
            wake();
        }
    }

    /// The consumer begins a round: it takes what is left *after* this call.
    pub fn answer(&self) {
        // ORDERING: acquire by a swap: work that was left before the ring that this call clears is
        // visible to the taking that follows.
        self.state.swap(AWAKE, Ordering::AcqRel);
    }

    /// The consumer asks to sleep, having taken all there was. `false`: somebody rang since
    /// [`answer`](Doorbell::answer); answer and take again.
    #[must_use]
    pub fn sleep(&self) -> bool {
        // ORDERING: release on success, so that who finds the consumer asleep wakes one that is
        // done taking; acquire on failure, as in `answer`.
        self.state.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn only_a_sleeper_is_woken_and_only_once() {
        let bell = Doorbell::asleep();
        let mut woken = 0;
        bell.ring(|| woken += 1);
        bell.ring(|| woken += 1);
        assert_eq!(woken, 1);
        bell.answer();
        bell.ring(|| woken += 1);
        assert_eq!(woken, 1, "a consumer at work needs no wake-up");
        assert!(!bell.sleep(), "it was rung and may not sleep");
        bell.answer();
        assert!(bell.sleep());
        bell.ring(|| woken += 1);
        assert_eq!(woken, 2);
    }
}

#[cfg(all(test, feature = "loom"))]
mod model {
    use super::*;
    use loom::sync::{Arc, Condvar, Mutex};

    /// A consumer that really sleeps, on a condition that only `wake` sets.
    struct Room {
        bell: Doorbell,
        work: Mutex<u32>,
        woken: Mutex<bool>,
        condition: Condvar,
    }

    impl Room {
        fn leave(&self) {
            *self.work.lock().unwrap() += 1;
            self.bell.ring(|| {
                *self.woken.lock().unwrap() = true;
                self.condition.notify_one();
            });
        }

        /// Takes until `expected` pieces of work came. A stranded piece is a deadlock, which loom reports.
        fn consume(&self, expected: u32) {
            let mut taken = 0;
            loop {
                self.bell.answer();
                taken += std::mem::take(&mut *self.work.lock().unwrap());
                if taken == expected {
                    return;
                }
                if self.bell.sleep() {
                    let mut woken = self.woken.lock().unwrap();
                    while !*woken {
                        woken = self.condition.wait(woken).unwrap();
                    }
                    *woken = false;
                }
            }
        }
    }

    #[test]
    fn doorbell_strands_nothing() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let room = Arc::new(Room {
                bell: Doorbell::awake(),
                work: Mutex::new(0),
                woken: Mutex::new(false),
                condition: Condvar::new(),
            });
            let producers: Vec<_> = (0..2)
                .map(|_| {
                    let room = room.clone();
                    loom::thread::spawn(move || room.leave())
                })
                .collect();
            room.consume(2);
            for producer in producers {
                producer.join().unwrap();
            }
        });
    }
}
