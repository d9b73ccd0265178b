//! A reactor's thread, and the handle that the gate and the JavaScript thread have of it.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use super::adoption::{Arrival, Transport};
use super::network::Network;
use super::poller::Poller;
use super::shared::{Hooks, Shared};
use super::turn::Reactor;
use super::{Adopter, Adoption, Failure, Pass, Visit};
use crate::bridge::{Budget, Census, ReactorId};
use crate::error::Panic;
use crate::limits::START_BYTES;

/// Pause after a poller that failed, or a panic, so that a lasting fault is no busy loop.
const FAULT_PAUSE: Duration = Duration::from_millis(100);

/// A running reactor. Dropping it without [`ReactorThread::join`] leaves the thread running.
pub struct ReactorThread {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

/// The gate's side of a reactor.
pub struct ReactorHandle(Arc<Shared>);

impl ReactorThread {
    /// Starts a reactor.
    ///
    /// # Errors
    /// If the host has no descriptor for the poller, no memory, or no room for a thread.
    pub fn start(id: ReactorId, census: Arc<Census>, hooks: Hooks) -> io::Result<Self> {
        Vec::<u8>::new().try_reserve_exact(START_BYTES).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let (poller, waker) = Poller::new()?;
        // A failed wake-up means that the eventfd is gone, and with it the reactor.
        let wake = Box::new(move || drop(waker.wake()));
        let shared = Arc::new(Shared::new(census, wake, hooks));
        let reactor = Reactor::new(poller, shared.clone(), Instant::now());
        let thread = std::thread::Builder::new().name(format!("tidewire-{}", id.0)).spawn({
            let shared = shared.clone();
            move || {
                let _end = End(&shared);
                run(reactor, &shared);
            }
        })?;
        Ok(Self { shared, thread })
    }

    /// The letter boxes.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The gate's side.
    pub fn handle(&self) -> ReactorHandle {
        ReactorHandle(self.shared.clone())
    }

    /// Ends the reactor: its sockets are closed, and its thread has ended when this returns.
    pub fn join(self) {
        self.shared.stop();
        // It ends by no panic: see `run`.
        drop(self.thread.join());
    }
}

/// The end of a reactor's thread: nobody waits for it any more.
struct End<'a>(&'a Shared);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.crossing.inbox.close();
    }
}

impl Adopter for ReactorHandle {
    fn adopt(&self, adoptions: &mut dyn Iterator<Item = Adoption>) {
        self.0.arrive(adoptions.map(Arrival::Adoption));
    }

    fn visit(&self, visit: Visit) {
        self.0.arrive([Arrival::Visit(visit)]);
    }

    fn leave(&self, pass: Pass) {
        self.0.arrive([Arrival::Departure(pass)]);
    }

    fn is_full(&self) -> bool {
        self.0.crossing.is_full()
    }

    fn budget(&self) -> Arc<Budget> {
        self.0.crossing.budget().clone()
    }

    fn report(&self, failure: Failure) {
        self.0.arrive([Arrival::Failure(failure)]);
    }
}

/// Runs turns until the reactor is to end. Behind a panic another reactor goes on.
///
/// All that is shared with other threads lies behind mutexes which are held for a swap or a copy, and whoever finds one
/// of them poisoned uses it on (`PoisonError::into_inner`): what is in it is whole at every step, since nothing is
/// called under the lock that has more to do than to move memory. What a panic can leave half done is the reactor's
/// own, and of that little is kept.
fn run(mut reactor: Reactor<Poller>, shared: &Shared) {
    while let Err(panic) = Panic::catch(|| run_turns(&mut reactor, shared)) {
        let recovery = Panic::catch(|| reactor.recovered(&panic, Instant::now()));
        reactor = recovery.unwrap_or_else(|second| second.abort());
        std::thread::sleep(FAULT_PAUSE);
    }
}

fn run_turns(reactor: &mut Reactor<Poller>, shared: &Shared) {
    let mut ready = Vec::new();
    loop {
        let now = Instant::now();
        let timeout = match reactor.rest(now) {
            Some(Duration::ZERO) => Some(Duration::ZERO),
            _ if !shared.crossing.sleep() => Some(Duration::ZERO),
            timeout => timeout,
        };
        ready.clear();
        if reactor.network.poll(&mut ready, timeout).is_err() {
            std::thread::sleep(FAULT_PAUSE);
        }
        shared.crossing.answer();
        if shared.is_stopping() {
            return;
        }
        let now = Instant::now();
        reactor.collect();
        for arrival in shared.arrivals() {
            arrive(reactor, arrival, now);
        }
        reactor.turn(&ready, now);
    }
}

fn arrive(reactor: &mut Reactor<Poller>, arrival: Arrival, now: Instant) {
    match arrival {
        Arrival::Adoption(Adoption { stream, session, early, ticket, pass: Some(pass), .. }) => {
            reactor.seat(Transport { socket: TcpStream::from_std(stream), session, early }, ticket, &pass);
        }
        Arrival::Adoption(Adoption { stream, session, route, agreement, early, peer, ticket, pass: None }) => {
            let transport = Transport { socket: TcpStream::from_std(stream), session, early };
            reactor.adopt(transport, ticket, &route, agreement, peer, now);
        }
        Arrival::Visit(visit) => reactor.receive(visit, now),
        Arrival::Departure(pass) => reactor.depart(&pass),
        Arrival::Failure(failure) => reactor.report(&failure),
    }
}
