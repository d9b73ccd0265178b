//! The place of all connections of one reactor: slots in pages, each with its columns of deadlines.
//!
//! Pages never move, so growing costs one page at a time and never a copy. A freed slot is the first
//! to be used again, which keeps the pages in use dense. A page that was needed once stays.

use std::ops::Range;

use super::slot::{Phase, Slot};
use crate::bridge::{ConnectionId, RouteId};
use crate::limits;
use crate::tls::Session;

/// Slots of one page: about 50 KiB.
pub const PAGE_SLOTS: usize = 1 << PAGE_BITS;
const PAGE_BITS: u32 = 10;

/// The end of the list of vacant slots.
const NONE: u32 = u32::MAX;

/// A run of slots, with the columns that the sweep reads.
pub struct Page<S> {
    slots: Box<[Slot<S>]>,
    /// When something is due for the slot: see [`super::sweep`].
    pub idle: [u8; PAGE_SLOTS],
    /// When the connection is old enough, in ticks; 0 is never.
    pub lifetime: [u16; PAGE_SLOTS],
    /// The sessions of secure connections. Born with the first one that is placed here; stays with the page.
    sessions: Option<Box<Sessions>>,
}

type Sessions = [Option<Box<Session>>; PAGE_SLOTS];

/// All connections of one reactor.
pub struct Slab<S> {
    // Boxed, so that a growing list does not move the columns.
    #[expect(clippy::vec_box)]
    pages: Vec<Box<Page<S>>>,
    vacant: u32,
    occupied: usize,
    /// Pages that have a column of sessions.
    secure_pages: usize,
}

impl<S> Slab<S> {
    /// Without a page.
    pub fn new() -> Self {
        Self { pages: Vec::new(), vacant: NONE, occupied: 0, secure_pages: 0 }
    }

    /// Whether there is no connection.
    pub fn is_empty(&self) -> bool {
        self.occupied == 0
    }

    /// Places a connection. `None` above [`limits::CONNECTIONS_PER_REACTOR`].
    pub fn insert(&mut self, socket: S, route: RouteId) -> Option<ConnectionId> {
        self.occupy(Some(socket), route, Phase::Open)
    }

    /// Places a connection whose socket is to follow. `None` as above.
    pub fn reserve(&mut self, route: RouteId) -> Option<ConnectionId> {
        self.occupy(None, route, Phase::Asking)
    }

    fn occupy(&mut self, socket: Option<S>, route: RouteId, phase: Phase) -> Option<ConnectionId> {
        if self.vacant == NONE {
            self.grow()?;
        }
        let index = self.vacant;
        let slot = self.slot(index);
        let next = slot.link;
        let generation = slot.generation.wrapping_add(1);
        *slot = Slot { socket, generation, route, phase, ..Slot::vacant(0) };
        self.vacant = next;
        self.occupied += 1;
        Some(ConnectionId { index, generation })
    }

    /// Frees the slot of a connection whose socket is closed.
    pub fn remove(&mut self, index: u32) {
        let vacant = self.vacant;
        let page = &mut self.pages[index as usize >> PAGE_BITS];
        let place = index as usize % PAGE_SLOTS;
        page.idle[place] = 0;
        page.lifetime[place] = 0;
        let slot = &mut page.slots[place];
        *slot = Slot { generation: slot.generation, ..Slot::vacant(vacant) };
        self.vacant = index;
        self.occupied -= 1;
    }

    /// Finds the vacant places anew: a panic may have come between any two steps of giving one out.
    pub fn relink(&mut self) {
        (self.vacant, self.occupied) = (NONE, 0);
        for index in (0..self.places()).rev() {
            let vacant = self.vacant;
            let slot = self.slot(index);
            match slot.phase {
                Phase::Vacant => {
                    slot.link = vacant;
                    self.vacant = index;
                }
                _ => self.occupied += 1,
            }
        }
    }

    /// Number of places, vacant ones counted.
    pub fn places(&self) -> u32 {
        (self.pages.len() * PAGE_SLOTS) as u32
    }

    /// The slot at a place that is known to exist.
    pub fn slot(&mut self, index: u32) -> &mut Slot<S> {
        &mut self.pages[index as usize >> PAGE_BITS].slots[index as usize % PAGE_SLOTS]
    }

    /// The slot of a connection; `None` if it has been given to another since.
    pub fn find(&mut self, connection: ConnectionId) -> Option<&mut Slot<S>> {
        let page = self.pages.get_mut(connection.index as usize >> PAGE_BITS)?;
        let slot = &mut page.slots[connection.index as usize % PAGE_SLOTS];
        (slot.phase != Phase::Vacant && slot.generation == connection.generation).then_some(slot)
    }

    /// The connection that has this slot now.
    pub fn connection(&mut self, index: u32) -> Option<ConnectionId> {
        let slot = self.pages.get_mut(index as usize >> PAGE_BITS)?.slots.get(index as usize % PAGE_SLOTS)?;
        (slot.phase != Phase::Vacant).then_some(ConnectionId { index, generation: slot.generation })
    }

    /// Gives the connection at a place its session, if it has one.
    pub fn secure(&mut self, index: u32, session: Option<Box<Session>>) {
        let Some(session) = session else { return };
        let page = &mut self.pages[index as usize >> PAGE_BITS];
        self.secure_pages += usize::from(page.sessions.is_none());
        let sessions = page.sessions.get_or_insert_with(|| Box::new([const { None }; PAGE_SLOTS]));
        sessions[index as usize % PAGE_SLOTS] = Some(session);
    }

    /// The session of the connection at a place, if it is secure.
    pub fn session(&mut self, index: u32) -> Option<&mut Session> {
        self.slot_and_session(index).1
    }

    /// Both, to be used together.
    pub fn slot_and_session(&mut self, index: u32) -> (&mut Slot<S>, Option<&mut Session>) {
        let page = &mut self.pages[index as usize >> PAGE_BITS];
        let place = index as usize % PAGE_SLOTS;
        (&mut page.slots[place], page.sessions.as_mut().and_then(|sessions| sessions[place].as_deref_mut()))
    }

    /// Whether something waits to be written at a place: bytes, or records.
    pub fn waits(&mut self, index: u32) -> bool {
        let (slot, session) = self.slot_and_session(index);
        slot.waiting_bytes() > 0 || session.is_some_and(|session| session.is_unsent())
    }

    /// Closes the socket at a place and frees all that hung off it. Returns the bytes of leftover.
    pub fn empty(&mut self, index: u32) -> usize {
        let page = &mut self.pages[index as usize >> PAGE_BITS];
        let place = index as usize % PAGE_SLOTS;
        if let Some(sessions) = &mut page.sessions {
            sessions[place] = None;
        }
        page.slots[place].empty()
    }

    /// Memory of all places; what sessions own themselves is not in it.
    pub fn bytes(&self) -> usize {
        self.pages.len() * (size_of::<Page<S>>() + PAGE_SLOTS * size_of::<Slot<S>>())
            + self.secure_pages * size_of::<Sessions>()
    }

    /// Sets when something is due for the slot.
    pub fn set_idle(&mut self, index: u32, due: u8) {
        self.pages[index as usize >> PAGE_BITS].idle[index as usize % PAGE_SLOTS] = due;
    }

    /// Sets when the connection is old enough.
    pub fn set_lifetime(&mut self, index: u32, due: u16) {
        self.pages[index as usize >> PAGE_BITS].lifetime[index as usize % PAGE_SLOTS] = due;
    }

    /// When something is due for the slot.
    pub fn idle(&self, index: u32) -> u8 {
        self.pages[index as usize >> PAGE_BITS].idle[index as usize % PAGE_SLOTS]
    }

    /// When the connection is old enough.
    pub fn lifetime(&self, index: u32) -> u16 {
        self.pages[index as usize >> PAGE_BITS].lifetime[index as usize % PAGE_SLOTS]
    }

    /// Both columns of a run of places that lies within one page.
    pub fn columns(&self, run: Range<usize>) -> (&[u8], &[u16]) {
        let page = &self.pages[run.start >> PAGE_BITS];
        let places = run.start % PAGE_SLOTS..run.start % PAGE_SLOTS + run.len();
        (&page.idle[places.clone()], &page.lifetime[places])
    }

    fn grow(&mut self) -> Option<()> {
        let first = self.pages.len() * PAGE_SLOTS;
        if first >= limits::CONNECTIONS_PER_REACTOR {
            return None;
        }
        let last = first + PAGE_SLOTS - 1;
        let slots =
            (first..=last).map(|index| Slot::vacant(if index == last { NONE } else { index as u32 + 1 })).collect();
        self.pages.push(Box::new(Page { slots, idle: [0; PAGE_SLOTS], lifetime: [0; PAGE_SLOTS], sessions: None }));
        self.vacant = first as u32;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Miri runs each step some hundred times slower.
    const STEPS: usize = if cfg!(miri) { 30 } else { 400 };

    proptest! {
        /// Against the simplest model: a map from ids to what was put in.
        #[test]
        fn behaves_like_a_map(steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 1..STEPS)) {
            let mut slab = Slab::new();
            let mut model: Vec<(ConnectionId, u32)> = Vec::new();
            let mut dead: Vec<ConnectionId> = Vec::new();
            for (number, (insert, which)) in steps.into_iter().enumerate() {
                if insert || model.is_empty() {
                    let id = slab.insert(number as u32, RouteId(0)).unwrap();
                    model.push((id, number as u32));
                } else {
                    let (id, _) = model.swap_remove(which.index(model.len()));
                    slab.empty(id.index);
                    slab.remove(id.index);
                    dead.push(id);
                }
                prop_assert_eq!(slab.occupied, model.len());
                for (id, value) in &model {
                    prop_assert_eq!(slab.find(*id).unwrap().socket, Some(*value));
                }
                for id in &dead {
                    prop_assert!(slab.find(*id).is_none());
                }
            }
        }
    }

    #[test]
    fn reuses_slots_before_it_grows() {
        let mut slab = Slab::new();
        let first: Vec<_> = (0..PAGE_SLOTS).map(|_| slab.insert((), RouteId(0)).unwrap()).collect();
        slab.remove(first[7].index);
        let again = slab.insert((), RouteId(0)).unwrap();
        assert_eq!(again.index, first[7].index);
        assert_ne!(again.generation, first[7].generation);
        assert_eq!(slab.places() as usize, PAGE_SLOTS);
        slab.insert((), RouteId(0)).unwrap();
        assert_eq!(slab.places() as usize, 2 * PAGE_SLOTS);
    }
}
