//! The door of an App: where gates of other Apps bring it connections that they have accepted.
//!
//! Born with the App's first `getDescriptor`, and shut when the App closes or its threads end. It is used
//! from any thread and waits for none. Memory: `limits::PASSED_CONNECTIONS` connections at most, which
//! nobody has read from.

use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::passed::{Home, Passed, Unserved};
use crate::bridge::{Census, Ticket};
use crate::limits;

/// The outside of a door.
pub(super) struct Door {
    queue: mpsc::Sender<Passed>,
    /// The App's.
    census: Arc<Census>,
    hold: Mutex<Hold>,
}

/// Asks the App's threads. Never blocks.
type Fullness = Box<dyn Fn() -> bool + Send>;

/// What the door holds of the App.
struct Hold {
    /// Keeps its threads alive, and with them its JavaScript thread: there from the offer on, until nobody
    /// uses it any more.
    ticket: Option<Ticket>,
    /// Gates that bring connections.
    users: usize,
    /// Whether its JavaScript has no room for more. `None` once the door is shut: it holds the App's reactors,
    /// which have connections of their own.
    is_full: Option<Fullness>,
}

impl Door {
    /// An open door, and its inside for the App's gate. It counts in the census from now on.
    pub(super) fn open(
        census: Arc<Census>,
        is_full: impl Fn() -> bool + Send + 'static,
    ) -> (Arc<Self>, mpsc::Receiver<Passed>) {
        Self::with_room_for(limits::PASSED_CONNECTIONS, census, Box::new(is_full))
    }

    fn with_room_for(
        connections: usize,
        census: Arc<Census>,
        is_full: Fullness,
    ) -> (Arc<Self>, mpsc::Receiver<Passed>) {
        let (queue, arrivals) = mpsc::channel(connections);
        let hold = Mutex::new(Hold { ticket: Some(census.enter()), users: 0, is_full: Some(is_full) });
        (Arc::new(Self { queue, census, hold }), arrivals)
    }

    /// Waits for users again, should the last one have gone.
    pub(super) fn offer_again(&self) {
        self.hold().ticket.get_or_insert_with(|| self.census.enter());
    }

    /// One more will bring connections, and keeps the App alive until it drops what it gets. `None`: the
    /// door is shut.
    pub(super) fn enlist(self: &Arc<Self>) -> Option<Child> {
        let mut hold = self.hold();
        hold.is_full.as_ref()?;
        hold.users += 1;
        hold.ticket.get_or_insert_with(|| self.census.enter());
        Some(Child(self.clone()))
    }

    /// Nobody is let in any more, and nobody is waited for.
    pub(super) fn shut(&self) {
        let mut hold = self.hold();
        let held = (hold.ticket.take(), hold.is_full.take());
        // The last ticket calls out, which no lock should see.
        drop(hold);
        drop(held);
    }

    fn hold(&self) -> MutexGuard<'_, Hold> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The App behind a door, seen by a gate that brings it connections.
pub(super) struct Child(Arc<Door>);

impl Child {
    /// Whether it is behind this door.
    pub(super) fn is_behind(&self, door: &Arc<Door>) -> bool {
        Arc::ptr_eq(&self.0, door)
    }

    /// Whether it takes nothing any more.
    pub(super) fn has_ended(&self) -> bool {
        self.0.queue.is_closed() || self.0.hold().is_full.is_none()
    }

    /// Whether it has no room now.
    pub(super) fn is_full(&self) -> bool {
        self.0.queue.capacity() == 0 || self.0.hold().is_full.as_ref().is_none_or(|is_full| is_full())
    }

    /// Whether it has as many connections as it may have: it would turn away another one.
    pub(super) fn is_crowded(&self) -> bool {
        self.0.census.is_crowded()
    }

    /// Brings a connection. If there is no room, or the App is ending, it goes home.
    pub(super) fn pass(&self, stream: TcpStream, peer: Option<SocketAddr>, home: &Home) {
        let connection = Unserved { stream, peer, ticket: self.0.census.enter() };
        // What is not taken is dropped, and goes home by that.
        let _ = self.0.queue.try_send(Passed::new(connection, home.clone()));
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let mut hold = self.0.hold();
        hold.users -= 1;
        let ticket = if hold.users == 0 { hold.ticket.take() } else { None };
        drop(hold);
        drop(ticket);
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn what_finds_no_room_goes_home() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pair = || {
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (client, listener.accept().unwrap())
        };
        let (home, mut returned) = Home::new(Census::new(|| {}));
        let census = Census::new(|| {});
        let (door, mut arrivals) = Door::with_room_for(1, census.clone(), Box::new(|| false));
        let child = door.enlist().unwrap();
        assert!(!child.is_full());
        let (_first_client, (first, peer)) = pair();
        child.pass(first, Some(peer), &home);
        assert!(child.is_full() && returned.is_empty());
        let (_second_client, (second, second_peer)) = pair();
        child.pass(second, Some(second_peer), &home);
        assert_eq!(returned.try_recv().unwrap().peer, Some(second_peer));
        assert_eq!(arrivals.try_recv().unwrap().take().unwrap().peer, Some(peer));
        // And what is still there when nobody takes it any more.
        let (_third_client, (third, third_peer)) = pair();
        child.pass(third, Some(third_peer), &home);
        drop(arrivals);
        assert!(child.has_ended());
        assert_eq!(returned.try_recv().unwrap().peer, Some(third_peer));
        drop(child);
        assert!(census.is_vacant());
    }

    #[test]
    fn a_door_holds_its_app_until_the_last_user_goes() {
        let census = Census::new(|| {});
        let (door, _arrivals) = Door::open(census.clone(), || false);
        assert!(!census.is_vacant(), "users may come");
        let users = [door.enlist(), door.enlist()];
        let [first, second] = users;
        drop(first);
        assert!(!census.is_vacant());
        door.offer_again();
        drop(second);
        assert!(census.is_vacant());
        door.offer_again();
        assert!(!census.is_vacant());
        let last = door.enlist().unwrap();
        door.shut();
        assert!(census.is_vacant() && last.has_ended() && door.enlist().is_none());
    }
}
