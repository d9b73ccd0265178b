//! The child Apps that a gate passes its connections to, each its turn.
//!
//! Changed on the JavaScript thread, used on the gate's: behind a mutex, which is taken for each accepted
//! connection and held for a few steps.

use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::descriptor::Descriptor;
use super::door::Child;
use super::passed::Home;

/// The children of one App. While it has any, it serves no connection itself.
#[derive(Default)]
pub struct Children(Mutex<Circle>);

#[derive(Default)]
struct Circle {
    children: Vec<(Descriptor, Child)>,
    next: usize,
}

/// Whether connections may be accepted for children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vacancy {
    /// There are none.
    Childless,
    /// None of them has room now.
    Full,
    /// Some have.
    Room,
}

impl Children {
    /// One child more; one that is there already stays as it is. `false`: no such App takes connections.
    pub fn add(&self, descriptor: Descriptor) -> bool {
        let Some(door) = descriptor.door() else { return false };
        let mut circle = self.circle();
        if circle.children.iter().any(|(_, child)| child.is_behind(&door)) {
            return true;
        }
        let Some(child) = door.enlist() else { return false };
        circle.children.push((descriptor, child));
        true
    }

    /// One child less, if it is there. No connection is passed to it any more; those that it has, it keeps.
    pub fn remove(&self, descriptor: Descriptor) {
        self.circle().keep(|named, _| named != descriptor);
    }

    /// Lets go of all.
    pub fn remove_all(&self) {
        self.circle().keep(|_, _| false);
    }

    /// Whether there is one with room. Forgets those that have ended.
    pub(super) fn vacancy(&self) -> Vacancy {
        let mut circle = self.circle();
        circle.keep(|_, child| !child.has_ended());
        match circle.children.iter().all(|(_, child)| child.is_full()) {
            true if circle.children.is_empty() => Vacancy::Childless,
            true => Vacancy::Full,
            false => Vacancy::Room,
        }
    }

    /// Passes a connection to the child whose turn it is, the next one with room, and rather to one that would not
    /// turn it away. One that finds none goes home;
    /// it comes back if there are no children at all.
    pub(super) fn pass(
        &self,
        stream: TcpStream,
        peer: Option<SocketAddr>,
        home: &Home,
    ) -> Option<(TcpStream, Option<SocketAddr>)> {
        let mut circle = self.circle();
        let count = circle.children.len();
        if count == 0 {
            return Some((stream, peer));
        }
        let turns = (0..count).map(|step| (circle.next + step) % count);
        let has_room = |turn: &usize| !circle.children[*turn].1.has_ended() && !circle.children[*turn].1.is_full();
        let is_welcome = |turn: &usize| has_room(turn) && !circle.children[*turn].1.is_crowded();
        let turn = turns.clone().find(is_welcome).or_else(|| turns.clone().find(has_room));
        let turn = turn.unwrap_or(circle.next % count);
        circle.next = (turn + 1) % count;
        circle.children[turn].1.pass(stream, peer, home);
        None
    }

    fn circle(&self) -> MutexGuard<'_, Circle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Circle {
    /// Keeps these; the turn stays with the one that has it.
    fn keep(&mut self, mut stays: impl FnMut(Descriptor, &Child) -> bool) {
        let (mut at, next) = (0, self.next);
        self.children.retain(|(descriptor, child)| {
            let kept = stays(*descriptor, child);
            if !kept && at < next {
                self.next -= 1;
            }
            at += 1;
            kept
        });
    }
}
