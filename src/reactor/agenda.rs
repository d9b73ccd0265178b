//! The commands of one turn, sorted by connection.
//!
//! JavaScript writes commands in the order of its calls; sorted, all that one connection gets in a
//! turn leaves in one system call, in that order. Both lists are reused from turn to turn.

use super::slab::Slab;
use super::slot::Slot;
use crate::bridge::Command;
use crate::limits;

/// The end of a chain.
const NONE: u32 = u32::MAX;

/// The commands of a turn.
#[derive(Default)]
pub struct Agenda {
    links: Vec<Link>,
    chains: Vec<Chain>,
}

/// Something to do for one connection.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A command.
    Command(Command),
    /// To deliver the [`Volley`](super::volley::Volley) of this number.
    Volley(u32),
}

struct Link {
    entry: Entry,
    next: u32,
}

struct Chain {
    index: u32,
    first: u32,
    last: u32,
}

impl Agenda {
    /// Appends a command to its connection's chain. A command for a connection that is no more is left out.
    pub fn add<S>(&mut self, slab: &mut Slab<S>, command: Command) {
        let index = command.connection.index;
        if let Some(slot) = slab.find(command.connection) {
            self.append(slot, index, Entry::Command(command));
        }
    }

    /// Appends an entry to the chain of a connection, whose slot this is.
    pub fn append<S>(&mut self, slot: &mut Slot<S>, index: u32, entry: Entry) {
        let place = self.links.len() as u32;
        if slot.link == 0 {
            self.chains.push(Chain { index, first: place, last: place });
            slot.link = self.chains.len() as u32;
        } else {
            let chain = &mut self.chains[slot.link as usize - 1];
            self.links[chain.last as usize].next = place;
            chain.last = place;
        }
        self.links.push(Link { entry, next: NONE });
    }

    /// Number of entries.
    pub fn links(&self) -> usize {
        self.links.len()
    }

    /// Number of connections that have entries.
    pub fn len(&self) -> usize {
        self.chains.len()
    }

    /// The slot of a chain.
    pub fn index(&self, chain: usize) -> u32 {
        self.chains[chain].index
    }

    /// The entries of a chain, in order.
    pub fn entries(&self, chain: usize) -> impl Iterator<Item = &Entry> {
        let mut next = self.chains[chain].first;
        std::iter::from_fn(move || {
            let link = self.links.get(next as usize)?;
            next = link.next;
            Some(&link.entry)
        })
    }

    /// Empties both lists for the next turn. What one burst made large is given back.
    pub fn clear(&mut self) {
        self.links.clear();
        self.links.shrink_to(limits::RECYCLED_BYTES / size_of::<Link>());
        self.chains.clear();
        self.chains.shrink_to(limits::RECYCLED_BYTES / size_of::<Chain>());
    }
}
