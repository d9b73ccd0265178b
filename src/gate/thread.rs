//! The gate's thread, and the handle by which others drive it.
//!
//! The thread runs one tokio runtime with two kinds of work: this file's, which accepts and obeys
//! commands, and a task for each connection. Nothing outside it waits for a peer.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc as answers;
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, LocalOptions, LocalRuntime};
use tokio::sync::mpsc as commands;
use tokio::task::JoinSet;

use super::accept::Acceptor;
use super::desk::{self, Desk};
use super::hand_over::Reactors;
use super::room::Room;
use super::serve::{Entrance, serve};
use super::tally::{Counts, Tally};
use super::{Bounds, Routes};
use crate::bridge::{Census, Crossing, ListenerId, Wake};
use crate::error::HostFault;
use crate::reactor::Adopter;

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
}

enum Command {
    Listen(Acceptor),
    CloseListener(ListenerId, answers::Sender<()>),
    CloseConnections(answers::Sender<()>),
    Filter(bool),
}

impl Gate {
    /// Starts the thread. Established connections go to the adopters in turn; listeners and
    /// connections count in the census. `ring_javascript` tells that the [crossing](Self::crossing) has
    /// events. None of these may wait for a thread that waits for the gate.
    ///
    /// # Errors
    ///
    /// When there are no adopters, or the system gives no thread or no poller.
    pub fn start(
        routes: Routes,
        adopters: Vec<Arc<dyn Adopter>>,
        census: Arc<Census>,
        bounds: Bounds,
        ring_javascript: Wake,
    ) -> io::Result<Self> {
        if adopters.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a gate needs a reactor"));
        }
        let (commands, orders) = commands::unbounded_channel();
        let (started, start) = answers::channel();
        let tally = Arc::new(Tally::default());
        let (crossing, bell) = desk::crossing(ring_javascript);
        let thread = std::thread::Builder::new().name("tidewire-gate".into()).spawn({
            let (census, tally, crossing) = (census.clone(), tally.clone(), crossing.clone());
            move || {
                match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
                    Ok(runtime) => {
                        // If nobody takes the answer, the orders have ended, too.
                        let _ = started.send(Ok(runtime.handle().clone()));
                        let (reactors, desk) = (Reactors::new(adopters), Desk::new(crossing, bell));
                        let entrance = Entrance::new(routes, reactors, desk, tally.clone(), bounds);
                        keep(&runtime, Keeper::new(orders, entrance, census, Room::new(bounds, tally)));
                    }
                    Err(error) => {
                        let _ = started.send(Err(error));
                    }
                }
            }
        })?;
        let runtime = start.recv().map_err(io::Error::other)??;
        Ok(Self { commands, runtime, thread, census, tally, crossing, listeners: AtomicU32::new(0) })
    }

    /// Accepts connections from a listening socket, until it is closed. It counts in the census
    /// from now on.
    ///
    /// # Errors
    ///
    /// When the system does not let us wait for the socket; it is closed then.
    pub fn listen(&self, listener: std::net::TcpListener) -> Result<ListenerId, HostFault> {
        let address = listener.local_addr().map_or_else(|error| error.to_string(), |a| a.to_string());
        let listener = {
            let _runtime = self.runtime.enter();
            TcpListener::from_std(listener).map_err(|error| HostFault::from_io(error, address))?
        };
        // ORDERING: only a number that is taken once; nothing is published with it.
        let id = ListenerId(self.listeners.fetch_add(1, Ordering::Relaxed));
        self.tell(Command::Listen(Acceptor::new(id, listener, self.tally.clone(), self.census.enter())));
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
        drop(self.commands);
        // A panic there has been reported by the panic hook, and everything was dropped as well.
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
    runtime.block_on(poll_fn(|cx| keeper.poll(cx)));
}

/// The end of the gate's thread, be it by a panic: JavaScript does not wait for it any more.
struct End(Rc<Desk>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What the gate's thread does besides serving.
struct Keeper {
    orders: commands::UnboundedReceiver<Command>,
    acceptors: Vec<Acceptor>,
    connections: JoinSet<()>,
    entrance: Rc<Entrance>,
    census: Arc<Census>,
    room: Room,
}

impl Keeper {
    fn new(orders: commands::UnboundedReceiver<Command>, entrance: Entrance, census: Arc<Census>, room: Room) -> Self {
        Self { orders, acceptors: Vec::new(), connections: JoinSet::new(), entrance: Rc::new(entrance), census, room }
    }

    /// Ready when the orders have ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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
            true => self.room.let_go(),
            false => self.acceptors.rotate_left(1),
        }
        for acceptor in &mut self.acceptors {
            while self.room.poll(cx, &self.entrance).is_ready()
                && let Poll::Ready((stream, peer)) = acceptor.poll_accept(cx)
            {
                let ticket = self.census.enter();
                self.connections.spawn_local(serve(self.entrance.clone(), stream, peer, ticket));
            }
        }
        // Again, so that the end of those that were spawned now wakes this. Those that have ended
        // since the first look may have been what there was no room for.
        if self.join(cx) > 0 {
            cx.waker().wake_by_ref();
            if self.connections.is_empty() {
                self.entrance.desk().let_go();
            }
        }
        Poll::Pending
    }

    /// Joins the tasks that have ended, and tells how many: that gives their memory back. One that
    /// panicked took nothing with it.
    fn join(&mut self, cx: &mut Context<'_>) -> usize {
        let mut joined = 0;
        while let Poll::Ready(Some(_)) = self.connections.poll_join_next(cx) {
            joined += 1;
        }
        joined
    }

    fn obey(&mut self, command: Command) {
        let done = match command {
            Command::Listen(acceptor) => return self.acceptors.push(acceptor),
            Command::Filter(on) => return self.entrance.desk().filter(on),
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
