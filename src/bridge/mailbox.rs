//! The way in: batches of events from one reactor to its JavaScript thread.
//!
//! The reactor posts, JavaScript drains; a mutex is held for the swap of a few pointers. Memory:
//! what waits is counted, and the reactor stops reading at [`limits::INTAKE_BYTES`]; drained batches
//! are kept for reuse, [`limits::RECYCLED_BYTES`] of them at most.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use super::event::{Batch, DESCRIPTOR_WORDS};
use super::sync::{Mutex, MutexGuard};
use super::{Budget, Held, Share};
use crate::limits;

/// Places for batches that the mailbox keeps while it is empty.
const PLACES: usize = 2;

/// Batches of one reactor that wait for JavaScript.
#[derive(Default)]
pub struct Mailbox {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    batches: VecDeque<Batch>,
    events: usize,
    bytes: usize,
    starved: bool,
    held: bool,
    drains: u64,
    spares: Vec<Batch>,
    spare_bytes: usize,
    share: Share,
}

impl State {
    /// An empty batch.
    fn spare(&mut self) -> Batch {
        let Some(batch) = self.spares.pop() else { return Batch::default() };
        self.spare_bytes -= batch.kept_bytes();
        batch
    }

    fn waiting(&self) -> Waiting {
        Waiting { batches: self.batches.len(), events: self.events, bytes: self.bytes, drains: self.drains }
    }

    /// Tells the budget what waits now.
    fn account(&mut self) {
        self.share.hold(Held { inside_bytes: self.bytes, outside_bytes: 0 });
    }

    /// Keeps empty batches for reuse: as many as a turn of large messages fills, so that their memory is not
    /// given back and asked for anew in every turn.
    fn keep(&mut self, empty: &mut Vec<Batch>) {
        while let Some(batch) = empty.last()
            && self.spare_bytes + batch.kept_bytes() <= limits::RECYCLED_BYTES
        {
            self.spare_bytes += batch.kept_bytes();
            self.spares.extend(empty.pop());
        }
    }
}

/// What waits in a mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Number of batches.
    pub batches: usize,
    /// Number of events.
    pub events: usize,
    /// Memory of their batches.
    pub bytes: usize,
    /// How often JavaScript has taken some.
    pub drains: u64,
}

impl Waiting {
    /// Whether that is enough for now.
    pub fn is_ahead(&self) -> bool {
        self.events >= limits::AHEAD_EVENTS || self.bytes >= limits::AHEAD_BYTES
    }
}

/// What one drain took.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Events written into the descriptors.
    pub events: usize,
    /// Bytes written into the slab.
    pub payload_bytes: usize,
    /// More waits.
    pub more: bool,
    /// The reactor waits for room and there is some again: ring its bell.
    pub made_room: bool,
}

impl Mailbox {
    /// An empty one; what waits in it counts in the budget.
    pub fn of(budget: &Arc<Budget>) -> Self {
        Self { state: Mutex::new(State { share: Share::of(budget), ..State::default() }) }
    }

    /// Leaves `batch` and takes an empty one in its place; tells what waits now.
    pub fn post(&self, batch: &mut Batch) -> Waiting {
        let mut state = self.lock();
        if !batch.is_empty() {
            let spare = state.spare();
            state.events += batch.events();
            state.bytes += batch.bytes();
            state.batches.push_back(std::mem::replace(batch, spare));
            state.account();
        }
        state.waiting()
    }

    /// Events that wait, and the memory that they take.
    pub fn waiting(&self) -> Waiting {
        self.lock().waiting()
    }

    /// The reactor stops reading: the drain that makes room again says so.
    /// Returns what waits, for the case that room was made in between.
    pub fn starve(&self) -> Waiting {
        let mut state = self.lock();
        state.starved = true;
        state.waiting()
    }

    /// The reactor reads no more from those who send much: the drain behind which less waits than
    /// [`limits::AHEAD_EVENTS`] says so. Returns what waits, as [`Mailbox::starve`] does.
    pub fn hold(&self) -> Waiting {
        let mut state = self.lock();
        state.held = true;
        state.waiting()
    }

    /// Lets go of the batches kept for reuse.
    pub fn let_go(&self) {
        let mut state = self.lock();
        state.spares = Vec::new();
        state.spare_bytes = 0;
        state.batches.shrink_to_fit();
    }

    /// Moves as many whole batches as fit into JavaScript's memory: descriptors (with offsets moved
    /// to where the payload now lies), payloads, and large payloads in order.
    pub fn drain(
        &self,
        descriptors: &mut [u32],
        slab: &mut [u8],
        slab_offset: usize,
        large: &mut VecDeque<Vec<u8>>,
    ) -> Drained {
        let mut drained = Drained::default();
        let mut taken = self.take(descriptors.len(), slab.len().saturating_sub(slab_offset), &mut drained);
        let mut word = 0;
        let mut offset = slab_offset;
        for batch in &mut taken {
            let target = &mut descriptors[word..word + batch.descriptors.len()];
            target.copy_from_slice(&batch.descriptors);
            for descriptor in target.chunks_exact_mut(DESCRIPTOR_WORDS) {
                if descriptor[3] != 0 {
                    descriptor[2] += offset as u32;
                }
            }
            // Who has transferred the slab away gets events that have no payload, and no panic.
            if let Some(place) = slab.get_mut(offset..offset + batch.payload.len()) {
                place.copy_from_slice(&batch.payload);
            }
            word += batch.descriptors.len();
            offset += batch.payload.len();
            large.append(&mut batch.large);
            batch.recycle();
        }
        drained.events = word / DESCRIPTOR_WORDS;
        drained.payload_bytes = offset - slab_offset;
        if !taken.is_empty() {
            self.lock().keep(&mut taken);
        }
        drained
    }

    fn take(&self, mut words: usize, mut payload_bytes: usize, drained: &mut Drained) -> Vec<Batch> {
        let mut state = self.lock();
        let mut taken = Vec::new();
        let mut large_bytes = 0;
        while let Some(batch) = state.batches.front() {
            let fits = batch.descriptors.len() <= words && batch.payload.len() <= payload_bytes;
            if !fits || (large_bytes > 0 && large_bytes + batch.large_bytes > limits::DRAIN_LARGE_BYTES) {
                break;
            }
            words -= batch.descriptors.len();
            payload_bytes -= batch.payload.len();
            large_bytes += batch.large_bytes;
            let (events, bytes) = (batch.events(), batch.bytes());
            state.events -= events;
            state.bytes -= bytes;
            taken.extend(state.batches.pop_front());
        }
        state.drains += u64::from(!taken.is_empty());
        state.account();
        drained.more = !state.batches.is_empty();
        if state.held && !state.waiting().is_ahead() {
            state.held = false;
            drained.made_room = true;
        }
        if state.starved && state.bytes < limits::INTAKE_BYTES / 2 {
            state.starved = false;
            drained.made_room = true;
        }
        if state.batches.is_empty() {
            state.batches.shrink_to(PLACES);
        }
        taken
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::{ConnectionId, EventKind};

    const FIRST: ConnectionId = ConnectionId { index: 3, generation: 1 };

    fn batch(payloads: &[&[u8]]) -> Batch {
        let mut batch = Batch::default();
        for payload in payloads {
            batch.push(FIRST, EventKind::Message, 0, [payload, b""]);
        }
        batch
    }

    #[test]
    fn drains_whole_batches_with_offsets_moved() {
        let mailbox = Mailbox::default();
        mailbox.post(&mut batch(&[b"one", b"two"]));
        mailbox.post(&mut batch(&[b"three", b""]));
        let mut descriptors = [0; 4 * DESCRIPTOR_WORDS];
        let mut slab = [0; 32];
        let drained = mailbox.drain(&mut descriptors, &mut slab, 10, &mut VecDeque::new());
        assert_eq!(drained, Drained { events: 4, payload_bytes: 11, more: false, made_room: false });
        let tag = 1 << 16 | EventKind::Message as u32;
        assert_eq!(descriptors[..8], [3, tag, 10, 3, 3, tag, 13, 3]);
        assert_eq!(descriptors[8..12], [3, tag, 16, 5]);
        assert_eq!(&slab[10..21], b"onetwothree");
    }

    #[test]
    fn takes_no_batch_that_does_not_fit() {
        let mailbox = Mailbox::default();
        mailbox.post(&mut batch(&[b"12345"]));
        mailbox.post(&mut batch(&[b"678"]));
        let mut descriptors = [0; 2 * DESCRIPTOR_WORDS];
        let mut slab = [0; 7];
        assert_eq!(mailbox.drain(&mut descriptors, &mut slab, 0, &mut VecDeque::new()).events, 1);
        assert_eq!(mailbox.drain(&mut descriptors, &mut slab, 0, &mut VecDeque::new()).events, 1);
        assert_eq!(&slab[..3], b"678");
    }

    #[test]
    fn a_slab_that_is_gone_takes_events_without_payload_alone() {
        let mailbox = Mailbox::default();
        mailbox.post(&mut batch(&[b""]));
        mailbox.post(&mut batch(&[b"x"]));
        let mut descriptors = [0; 2 * DESCRIPTOR_WORDS];
        let drained = mailbox.drain(&mut descriptors, &mut [], 10, &mut VecDeque::new());
        assert_eq!((drained.events, drained.payload_bytes, drained.more), (1, 0, true));
    }

    #[test]
    fn a_starved_reactor_is_told_of_room_once() {
        let mailbox = Mailbox::default();
        let mut large = Batch::default();
        large.push_large(FIRST, EventKind::Message, 0, vec![0; limits::INTAKE_BYTES]);
        assert!(mailbox.post(&mut large).bytes > limits::INTAKE_BYTES);
        mailbox.starve();
        let mut payloads = VecDeque::new();
        let mut descriptors = [0; DESCRIPTOR_WORDS];
        assert!(mailbox.drain(&mut descriptors, &mut [], 0, &mut payloads).made_room);
        assert_eq!(payloads.len(), 1);
        assert!(!mailbox.drain(&mut descriptors, &mut [], 0, &mut payloads).made_room);
    }

    #[test]
    fn large_payloads_are_bounded_for_each_drain() {
        let mailbox = Mailbox::default();
        for _ in 0..3 {
            let mut large = Batch::default();
            large.push_large(FIRST, EventKind::Message, 0, vec![0; limits::DRAIN_LARGE_BYTES]);
            mailbox.post(&mut large);
        }
        let mut descriptors = [0; 8 * DESCRIPTOR_WORDS];
        for _ in 0..3 {
            assert_eq!(mailbox.drain(&mut descriptors, &mut [], 0, &mut VecDeque::new()).events, 1);
        }
    }
}
