//! The gate's thread, and the handle by which others drive it.
//!
//! The thread runs one tokio runtime with two kinds of work: this file's, which accepts and obeys
//! commands, and a task for each connection. Nothing outside it waits for a peer.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc as answers;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle, LocalOptions, LocalRuntime};
use tokio::sync::mpsc as commands;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;

use super::accept::{Acceptor, Source};
use super::admission::Surplus;
use super::children::Children;
use super::descriptor::{Descriptor, Offer};
use super::desk::{self, Desk};
use super::door::Door;
use super::doorstep;
use super::entrance::Entrance;
use super::hand_over::Reactors;
use super::passed::{Passed, Unserved};
use super::passing::Passing;
use super::room::Room;
use super::security::Security;
use super::serve::serve;
use super::tally::{Counts, Tally};
use super::turned_away::turn_away;
use super::{Bounds, Listener, Routes};
use crate::bridge::event::failed;
use crate::bridge::{Census, Crossing, ListenerId, Wake};
use crate::error::{FaultPoint, HostFault, Panic, Watch};
use crate::reactor::{Adopter, Failure};

/// The gate of one App: a handle to its thread, to be used from any thread but that one.
///
/// A gate that is dropped without [`Gate::stop`] ends as well, but nobody waits for it.
pub struct Gate {
    commands: commands::UnboundedSender<Command>,
    runtime: Handle,
    thread: JoinHandle<()>,
    census: Arc<Census>,
    tally: Arc<Tally>,
    crossing: Arc<Crossing>,
    listeners: AtomicU32,
    reactors: Vec<Arc<dyn Adopter>>,
    offer: Mutex<Option<Offer>>,
}

enum Command {
    Listen(Acceptor),
    CloseListener(ListenerId, answers::Sender<()>),
    CloseConnections(answers::Sender<()>),
    WindDown,
    Filter(bool),
    OpenDoor(commands::Receiver<Passed>),
    ShutDoor(answers::Sender<()>),
}

impl Gate {
    /// Starts the thread.
    ///
    /// - `routes`: what requests are answered by.
    /// - `adopters`: the reactors, which get the WebSockets in turn, once they are established.
    /// - `census`: counts the listeners and the connections.
    /// - `bounds`: what is turned away.
    /// - `children`: other Apps. While there are any, what is accepted goes to them.
    /// - `security`: if it is given, the gate speaks TLS, and nothing else.
    /// - `ring_javascript`: called, on the gate's thread, when the [crossing](Self::crossing) has events.
    ///
    /// The gate's thread calls all of them, and others wait for that thread: so none of them may wait for those.
    ///
    /// # Errors
    ///
    /// When there are no adopters, or the system gives no thread or no poller.
    pub fn start(
        routes: Routes,
        adopters: Vec<Arc<dyn Adopter>>,
        census: Arc<Census>,
        bounds: Bounds,
        children: Arc<Children>,
        security: Option<Security>,
        ring_javascript: Wake,
    ) -> io::Result<Self> {
        if adopters.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a gate needs a reactor"));
        }
        let (commands, orders) = commands::unbounded_channel();
        let (started, start) = answers::channel();
        let tally = Arc::new(Tally::default());
        let reactors = adopters.clone();
        let (crossing, bell) = desk::crossing(&adopters[0].budget(), ring_javascript);
        let thread = std::thread::Builder::new().name("tidewire-gate".into()).spawn({
            let (census, tally, crossing) = (census.clone(), tally.clone(), crossing.clone());
            let budget = crossing.budget().clone();
            move || {
                // After 61 tasks the poller is looked at. Handshakes, whose steps are long, ask for that themselves.
                match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
                    Ok(runtime) => {
                        // If nobody takes the answer, the orders have ended, too.
                        let _ = started.send(Ok(runtime.handle().clone()));
                        let (adopters, desk) =
                            (Reactors::new(adopters), Desk::new(crossing, bell, tally.stock().clone()));
                        let entrance = Entrance::new(routes, adopters, desk, tally.clone(), &bounds, security);
                        let passing = Passing::new(children, census.clone(), &bounds, tally.clone());
                        keep(
                            &runtime,
                            Keeper::new(orders, entrance, census, Room::new(&bounds, tally, budget), passing),
                        );
                    }
                    Err(error) => {
                        let _ = started.send(Err(error));
                    }
                }
            }
        })?;
        let runtime = start.recv().map_err(io::Error::other)??;
        let (listeners, offer) = (AtomicU32::new(0), Mutex::default());
        Ok(Self { commands, runtime, thread, census, tally, crossing, listeners, reactors, offer })
    }

    /// Accepts connections from a listening socket, until it is closed. It counts in the census
    /// from now on.
    ///
    /// # Errors
    ///
    /// When the system does not let us wait for the socket; it is closed then.
    pub fn listen(&self, listener: impl Into<Listener>) -> Result<ListenerId, HostFault> {
        let source = {
            let _runtime = self.runtime.enter();
            Source::watch(listener.into())?
        };
        // ORDERING: only a number that is taken once; nothing is published with it.
        let id = ListenerId(self.listeners.fetch_add(1, Ordering::Relaxed));
        self.tell(Command::Listen(Acceptor::new(id, source, self.tally.clone(), self.census.enter())));
        Ok(id)
    }

    /// Closes a listening socket; it is closed when this returns. Connections that it has given go
    /// on. A listener that is closed already is no error.
    pub fn close_listener(&self, id: ListenerId) {
        self.ask(|done| Command::CloseListener(id, done));
    }

    /// Drops the connections that are at the gate: none of them is handed over once this has
    /// returned. Listeners go on.
    pub fn close_connections(&self) {
        self.ask(Command::CloseConnections);
    }

    /// Ends the connections at the gate, each behind the request that is under way, if one is; for good.
    pub fn wind_down(&self) {
        self.tell(Command::WindDown);
    }

    /// Takes connections from the gates that have this child. It counts in the census
    /// from now on, until the last of these gates lets go of it.
    pub fn offer(&self, descriptor: Descriptor) {
        let mut offer = self.offer.lock().unwrap_or_else(PoisonError::into_inner);
        match &*offer {
            Some(offer) => offer.door().offer_again(),
            None => {
                let (reactors, crossing) = (self.reactors.clone(), self.crossing.clone());
                let is_spent = move || crossing.budget().level().stops_accepting() || crossing.is_full();
                let is_full = move || is_spent() || reactors.iter().any(|reactor| reactor.is_full());
                let (door, arrivals) = Door::open(self.census.clone(), is_full);
                self.tell(Command::OpenDoor(arrivals));
                *offer = Some(Offer::publish(descriptor, door));
            }
        }
    }

    /// Takes no more connections from other gates; those that it has not begun to serve go back to them.
    pub fn withdraw(&self) {
        let offer = self.offer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if offer.is_some() {
            drop(offer);
            self.ask(Command::ShutDoor);
        }
    }

    /// Whether JavaScript is told of each connection that comes and goes.
    pub fn filter(&self, on: bool) {
        self.tell(Command::Filter(on));
    }

    /// The requests of handlers, toward JavaScript, and what it answers.
    pub fn crossing(&self) -> &Arc<Crossing> {
        &self.crossing
    }

    /// What the gate has done and has under way.
    pub fn counts(&self) -> Counts {
        self.tally.counts()
    }

    /// Ends the thread and waits for it. What is at the gate is closed, listeners included.
    pub fn stop(self) {
        drop(self.offer);
        drop(self.commands);
        // It ends by no panic: see `keep`.
        let _ = self.thread.join();
    }

    /// A thread that has ended obeys every command already: whatever it had is closed.
    fn tell(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// Waits until a command is obeyed. The thread never waits for anyone but its poller, so this
    /// takes as long as one turn of it.
    fn ask(&self, command: impl FnOnce(answers::Sender<()>) -> Command) {
        let (done, wait) = answers::channel();
        self.tell(command(done));
        let _ = wait.recv();
    }
}

/// Runs until the orders end; what is still at the gate is dropped with the runtime.
fn keep(runtime: &LocalRuntime, mut keeper: Keeper) {
    let _end = End(keeper.entrance.desk().clone());
    // A panic of a task is tokio's to catch, and ours to tell.
    let _watch = Watch::begin();
    // A task like any other: to wake it is no system call on this thread, and its turn comes behind those of all
    // that were ready, so that what they leave for JavaScript is handed over together.
    let kept = runtime.spawn_local(async move {
        while let Err(panic) = poll_fn(|cx| keeper.poll_watched(cx)).await {
            keeper.recover(panic);
            sleep(FAULT_PAUSE).await;
        }
    });
    if let Err(Ok(payload)) = runtime.block_on(kept).map_err(JoinError::try_into_panic) {
        Panic::of(payload.as_ref()).abort();
    }
}

/// Pause after a panic, so that a lasting fault is no busy loop.
const FAULT_PAUSE: Duration = Duration::from_millis(100);

/// The end of the gate's thread: JavaScript does not wait for it any more.
struct End(Rc<Desk>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Whose a connection is that is accepted.
enum Destination {
    Here,
    Child,
}

/// What the gate's thread does besides serving.
struct Keeper {
    orders: commands::UnboundedReceiver<Command>,
    acceptors: Vec<Acceptor>,
    connections: JoinSet<()>,
    entrance: Rc<Entrance>,
    census: Arc<Census>,
    room: Room,
    passing: Passing,
}

impl Keeper {
    fn new(
        orders: commands::UnboundedReceiver<Command>,
        entrance: Entrance,
        census: Arc<Census>,
        room: Room,
        passing: Passing,
    ) -> Self {
        let (acceptors, connections, entrance) = (Vec::new(), JoinSet::new(), Rc::new(entrance));
        Self { orders, acceptors, connections, entrance, census, room, passing }
    }

    /// The same, and ready with what a panic said: the keeper goes on behind it, once it is [recovered](Self::recover).
    fn poll_watched(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Panic>> {
        match Panic::catch(|| self.poll(cx)) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }

    /// Behind a panic of its own: some of the commands of JavaScript may be lost, and with them the answers to any
    /// request, so none is waited for. Listeners go on, and so does what has left the gate.
    fn recover(&mut self, panic: Panic) {
        self.connections.abort_all();
        self.entrance.desk().fail();
        self.report(failed::GATE, panic);
    }

    fn report(&self, kind: u8, panic: Panic) {
        self.entrance.reactors().report(Failure { kind, panic });
    }

    /// Ready when the orders have ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.entrance.desk().faults().pass(FaultPoint::Keeping);
        loop {
            match self.orders.poll_recv(cx) {
                Poll::Ready(Some(command)) => self.obey(command),
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        self.entrance.desk().turn(cx);
        // tokio lets one poll take a bounded number of steps, all kinds together. What was served comes
        // first, so that a storm of connections is not accepted faster than it is served; and another
        // listener each time, so that none waits for the storm of another.
        self.join(cx);
        match self.acceptors.is_empty() {
            true => self.passing.let_go(),
            false => self.acceptors.rotate_left(1),
        }
        if self.acceptors.is_empty() && !self.passing.is_open() {
            self.room.let_go();
        }
        while self.passing.is_open()
            && self.poll_own_room(cx).is_ready()
            && let Poll::Ready(connection) = self.passing.poll_arrival(cx)
        {
            self.serve(connection);
        }
        while self.passing.poll_returned(cx)
            && self.poll_room(cx).is_ready()
            && let Some(connection) = self.passing.take_returned()
        {
            self.pass_on(connection);
        }
        for at in 0..self.acceptors.len() {
            while let Poll::Ready(destination) = self.poll_room(cx)
                && let Poll::Ready((stream, peer)) = self.acceptors[at].poll_accept(cx)
            {
                let connection = Unserved { stream, peer, ticket: self.census.enter() };
                match destination {
                    Destination::Here => self.serve(connection),
                    Destination::Child => self.pass_on(connection),
                }
            }
        }
        self.entrance.reactors().send();
        // Again, so that the end of those that were spawned now wakes this. Those that have ended
        // since the first look may have been what there was no room for.
        if self.join(cx) > 0 {
            cx.waker().wake_by_ref();
            if self.connections.is_empty() {
                self.entrance.let_go();
            }
        }
        Poll::Pending
    }

    /// Where a connection may go now that is accepted now.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Destination> {
        match self.passing.poll_room(cx) {
            Some(children) => {
                if !self.passing.is_open() {
                    self.room.let_go();
                }
                children.map(|()| Destination::Child)
            }
            None => self.poll_own_room(cx).map(|()| Destination::Here),
        }
    }

    fn poll_own_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_full = || self.entrance.reactors().is_full() || self.entrance.desk().is_full();
        self.room.poll(cx, self.entrance.tally().handshakes(), is_full)
    }

    /// To a child, or else it is served here.
    fn pass_on(&mut self, Unserved { stream, peer, ticket }: Unserved) {
        if let Some((stream, peer)) = self.passing.pass(stream, peer) {
            self.serve(Unserved { stream, peer, ticket });
        }
    }

    /// At once, or in a task of its own; unless there are too many.
    fn serve(&mut self, mut connection: Unserved) {
        if let Err(surplus) = self.entrance.admission.admit(&mut connection.ticket, connection.peer) {
            return self.turn_away(connection, surplus);
        }
        let received = match Panic::catch(|| doorstep::receive(&self.entrance, connection)) {
            Ok(received) => received,
            Err(panic) => return self.report(failed::CONNECTION, panic),
        };
        let Some((Unserved { stream, peer, ticket }, first)) = received else { return };
        // It fails only if the poller has no room for it: the connection ends here then.
        if let Ok(stream) = TcpStream::from_std(stream) {
            self.connections.spawn_local(serve(self.entrance.clone(), stream, first, peer, ticket));
        }
    }

    fn turn_away(&mut self, Unserved { stream, ticket, .. }: Unserved, surplus: Surplus) {
        let Entrance { lingering, buffer, reception, .. } = &*self.entrance;
        if reception.is_none()
            && let Some(end) = turn_away(stream, surplus, ticket, lingering, &mut buffer.borrow_mut()[..])
        {
            self.connections.spawn_local(end);
        }
    }

    /// Joins the tasks that have ended, and tells how many: that gives their memory back. One that
    /// panicked took nothing but its connection with it.
    fn join(&mut self, cx: &mut Context<'_>) -> usize {
        let mut joined = 0;
        while let Poll::Ready(Some(ended)) = self.connections.poll_join_next(cx) {
            joined += 1;
            if let Err(Ok(payload)) = ended.map_err(JoinError::try_into_panic) {
                self.report(failed::CONNECTION, Panic::of(payload.as_ref()));
            }
        }
        joined
    }

    fn obey(&mut self, command: Command) {
        let done = match command {
            Command::Listen(acceptor) => return self.acceptors.push(acceptor),
            Command::WindDown => return self.entrance.close(),
            Command::Filter(on) => return self.entrance.desk().filter(on),
            Command::OpenDoor(arrivals) => return self.passing.set_arrivals(Some(arrivals)),
            Command::ShutDoor(done) => {
                self.passing.set_arrivals(None);
                done
            }
            Command::CloseListener(id, done) => {
                self.acceptors.retain(|acceptor| acceptor.id != id);
                done
            }
            Command::CloseConnections(done) => {
                // An aborted task is not polled again; it is dropped in its next turn.
                self.connections.abort_all();
                done
            }
        };
        // The one who asked may be gone.
        let _ = done.send(());
    }
}
