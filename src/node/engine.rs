//! One App's engine: its routes, its threads, and the crossing of batches.
//!
//! Threads run from the first `listen` until nothing is left to serve, or until the environment
//! ends; its cleanup hook joins them before Node-API goes away.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use napi::bindgen_prelude::{ArrayBuffer, Function, Uint8ArraySlice, Uint32ArraySlice, Unknown};
use napi::{CleanupEnvHook, Env};
use napi_derive::napi;

use super::bell::{self, Bell};
use super::fault::{self, Result};
use super::heap;
use super::identities::TlsCredentials;
use super::settings::{AppSettings, RouteSettings};
use super::stats::{BudgetStats, EngineStats, GateStats, ReactorStats};
use crate::bridge::event::DESCRIPTOR_WORDS;
use crate::bridge::{Budget, Census, Crossing, ListenerId, ReactorId, RouteId, Wake};
use crate::gate::{
    Bind, Bounds, Children, Counts, Declared, Descriptor, Endpoint, Gate, Handler, InvalidInstructions, Routes,
    Security, bind, bind_path,
};
use crate::limits;
use crate::reactor::{Adopter, Departed, Hooks, ReactorThread};

/// The running threads of an App, and what else ends with them.
pub(super) struct Running {
    bell: Arc<Bell>,
    census: Arc<Census>,
    budget: Arc<Budget>,
    gate: Gate,
    reactors: Vec<ReactorThread>,
    /// Of the reactors, and behind them the gate's.
    pub(super) lanes: Vec<Lane>,
    hook: Option<CleanupEnvHook<(Shared, Arc<Children>)>>,
}

/// One thread of the engine, seen from JavaScript.
pub(super) struct Lane {
    pub(super) crossing: Arc<Crossing>,
    /// Large payloads of drained events that JavaScript has not taken yet.
    large: VecDeque<Vec<u8>>,
}

pub(super) type Shared = Rc<RefCell<Option<Running>>>;

/// What `lib/engine.js` holds.
#[napi]
pub struct Engine {
    threads: u8,
    bounds: Bounds,
    max_connections: usize,
    /// Of the memory budget; 0: there is none.
    budget_bytes: usize,
    routes: Routes,
    /// Of an App that speaks TLS.
    pub(super) security: Option<Security>,
    next_route: u32,
    is_filtered: bool,
    descriptor: Option<Descriptor>,
    children: Arc<Children>,
    pub(super) running: Shared,
}

/// What became of the connections that a shutdown found: see [`Departed`].
#[napi(object)]
pub struct Departures {
    /// Ended by a closing handshake.
    pub closed: f64,
    /// Cut off, or lost.
    pub forced: f64,
}

/// Where a listener is bound.
#[napi(object)]
pub struct Listening {
    /// The listener, for [`Engine::close_listener`].
    pub id: u32,
    /// The port that was bound; 0 where there are no ports.
    pub port: u32,
}

#[napi]
impl Engine {
    /// An engine that has no threads yet. With credentials it speaks TLS.
    #[napi(constructor)]
    pub fn new(settings: AppSettings, credentials: Option<TlsCredentials>) -> Result<Self> {
        let threads = settings.threads.clamp(1, limits::REACTORS as u8);
        let (bounds, max_connections, budget_bytes) =
            (settings.bounds()?, settings.max_connections(), settings.budget_bytes());
        let default = credentials.map(|credentials| credentials.identity()).transpose()?;
        Ok(Self {
            threads,
            bounds,
            max_connections,
            budget_bytes,
            routes: Routes::new(),
            security: default.map(Security::new),
            next_route: 0,
            is_filtered: false,
            descriptor: None,
            children: Arc::default(),
            running: Shared::default(),
        })
    }

    /// Adds a route, and returns its id. A pattern that is there already is replaced. The routes of a server name
    /// are its own: as of all that follows here.
    #[napi]
    pub fn add_route(&mut self, pattern: String, mut settings: RouteSettings, domain: Option<String>) -> Result<u32> {
        let id = self.next_id()?;
        let origins = settings.origins()?;
        let endpoint = Endpoint { route: Arc::new(settings.into_route(id)), origins };
        let routes = self.routes(domain)?;
        routes.set_websocket(&pattern, Some(Arc::new(endpoint))).map_err(|error| fault::pattern(&error))?;
        Ok(self.take_id(id))
    }

    /// Takes a route out, if it is there.
    #[napi]
    pub fn remove_route(&mut self, pattern: String, domain: Option<String>) -> Result<()> {
        self.routes(domain)?.set_websocket(&pattern, None).map_err(|error| fault::pattern(&error))
    }

    /// Adds a handler of a method, as requests name it, or of `ANY`; returns the id of its route. One for the
    /// same method and pattern is replaced.
    #[napi]
    pub fn add_http_route(&mut self, method: String, pattern: String, domain: Option<String>) -> Result<u32> {
        let id = self.next_id()?;
        self.set_handler(&method, &pattern, domain, Some(Handler::Asked(id)))?;
        Ok(self.take_id(id))
    }

    /// Takes such a handler out, if it is there.
    #[napi]
    pub fn remove_http_route(&mut self, method: String, pattern: String, domain: Option<String>) -> Result<()> {
        self.set_handler(&method, &pattern, domain, None)
    }

    /// Adds a handler that answers with what its instructions declare, without JavaScript; they are as
    /// `lib/declarative_response.js` writes them.
    #[napi]
    pub fn add_declared_route(
        &mut self,
        method: String,
        pattern: String,
        instructions: &[u8],
        domain: Option<String>,
    ) -> Result<()> {
        let declared = Declared::parse(&pattern, instructions).map_err(|InvalidInstructions| {
            fault::fault("TIDEWIRE_OUT_OF_RANGE", "the instructions of a declarative response are damaged")
        })?;
        self.set_handler(&method, &pattern, domain, Some(Handler::Declared(Arc::new(declared))))
    }

    fn set_handler(&self, method: &str, pattern: &str, domain: Option<String>, handler: Option<Handler>) -> Result<()> {
        self.routes(domain)?.set_handler(method, pattern, handler).map_err(|error| fault::pattern(&error))
    }

    /// The routes of a server name, or those of all that have none of their own.
    fn routes(&self, domain: Option<String>) -> Result<Routes> {
        match domain {
            Some(name) => Ok(self.security()?.routes(&name)),
            None => Ok(self.routes.clone()),
        }
    }

    fn next_id(&self) -> Result<RouteId> {
        u16::try_from(self.next_route).map(RouteId).map_err(|_| {
            let sentence = format!("an App has at most {} routes, replaced ones counted", limits::ROUTES);
            fault::fault("TIDEWIRE_TOO_MANY_ROUTES", sentence)
        })
    }

    fn take_id(&mut self, id: RouteId) -> u32 {
        self.next_route += 1;
        u32::from(id.0)
    }

    /// Whether JavaScript is told of each connection that comes and goes.
    #[napi]
    pub fn set_filter(&mut self, on: bool) {
        self.is_filtered = on;
        if let Some(running) = &*self.running.borrow() {
            running.gate.filter(on);
        }
    }

    /// Whether the threads run.
    #[napi(getter)]
    pub fn is_running(&self) -> bool {
        self.running.borrow().is_some()
    }

    /// Starts the threads. `wake` is called on this thread when there is something to [`exchange`](Self::exchange).
    #[napi]
    pub fn start(&self, env: Env, wake: Function<'_, (), ()>) -> Result<()> {
        if self.is_running() {
            return Ok(());
        }
        let bell = Bell::hang(&env, &wake).map_err(fault::node)?;
        let census = Census::bounded(self.max_connections, {
            let bell = bell.clone();
            move || bell.ring()
        });
        let budget = Budget::new(self.budget_bytes);
        let started = self.start_threads(&bell, &census, &budget);
        let (gate, reactors) = started.inspect_err(|_| bell.take_down()).map_err(|error| fault::start(&error))?;
        let ends = (self.running.clone(), self.children.clone());
        let hook = env.add_env_cleanup_hook(ends, |(running, children)| {
            _ = stop(&running);
            children.remove_all();
        });
        let hook = hook.map_err(fault::node)?;
        gate.filter(self.is_filtered);
        let crossings = reactors.iter().map(|reactor| &reactor.shared().crossing).chain([gate.crossing()]);
        let lanes = crossings.map(|crossing| Lane { crossing: crossing.clone(), large: VecDeque::new() }).collect();
        *self.running.borrow_mut() = Some(Running { bell, census, budget, gate, reactors, lanes, hook: Some(hook) });
        Ok(())
    }

    fn start_threads(
        &self,
        bell: &Arc<Bell>,
        census: &Arc<Census>,
        budget: &Arc<Budget>,
    ) -> std::io::Result<(Gate, Vec<ReactorThread>)> {
        let ring = || -> Wake {
            let bell = bell.clone();
            Box::new(move || bell.ring())
        };
        let mut reactors: Vec<ReactorThread> = Vec::new();
        let started = (0..self.threads).try_for_each(|id| {
            let hooks = Hooks { ring_javascript: ring(), give_back_memory: heap::give_back, budget: budget.clone() };
            reactors.push(ReactorThread::start(ReactorId(id), census.clone(), hooks)?);
            Ok(())
        });
        let adopters = reactors.iter().map(|reactor| Arc::new(reactor.handle()) as Arc<dyn Adopter>).collect();
        let (routes, children, security) = (self.routes.clone(), self.children.clone(), self.security.clone());
        let gate = |()| Gate::start(routes, adopters, census.clone(), self.bounds.clone(), children, security, ring());
        match started.and_then(gate) {
            Ok(gate) => Ok((gate, reactors)),
            Err(error) => {
                reactors.into_iter().for_each(ReactorThread::join);
                Err(error)
            }
        }
    }

    /// Listens; the engine must run. Without a host on every address.
    #[napi]
    pub fn listen(&self, host: Option<String>, port: u16, exclusive: bool) -> Result<Listening> {
        let running = self.running.borrow();
        let Some(running) = &*running else { return Err(not_running()) };
        let listener = bind(&Bind { host, port, exclusive }).map_err(|error| fault::host(&error))?;
        let port = listener.local_addr().map_or(0, |address| address.port());
        let id = running.gate.listen(listener).map_err(|error| fault::host(&error))?;
        Ok(Listening { id: id.0, port: u32::from(port) })
    }

    /// Listens on a Unix domain socket; the engine must run.
    #[napi]
    pub fn listen_unix(&self, path: &[u8]) -> Result<Listening> {
        let running = self.running.borrow();
        let Some(running) = &*running else { return Err(not_running()) };
        let listener = bind_path(path).map_err(|error| fault::host(&error))?;
        let id = running.gate.listen(listener).map_err(|error| fault::host(&error))?;
        Ok(Listening { id: id.0, port: 0 })
    }

    /// Closes a listener; it is closed when this returns.
    #[napi]
    pub fn close_listener(&self, id: u32) {
        if let Some(running) = &*self.running.borrow() {
            running.gate.close_listener(ListenerId(id));
        }
    }

    /// Drops the connections that are not established yet.
    #[napi]
    pub fn close_handshakes(&self) {
        if let Some(running) = &*self.running.borrow() {
            running.gate.close_connections();
        }
    }

    /// Drops those of them at which no request is under way, and the others behind theirs; for good.
    #[napi]
    pub fn wind_down(&self) {
        if let Some(running) = &*self.running.borrow() {
            running.gate.wind_down();
        }
    }

    /// Takes connections that other Apps have accepted, and returns the number by which they find this one. The
    /// engine must run; it is not vacant from now on, until the last of them lets go of it.
    #[napi]
    pub fn offer(&mut self) -> Result<f64> {
        let running = self.running.borrow();
        let Some(running) = &*running else { return Err(not_running()) };
        let descriptor = *self.descriptor.get_or_insert_with(Descriptor::issue);
        running.gate.offer(descriptor);
        Ok(descriptor.number())
    }

    /// Takes no more of them.
    #[napi]
    pub fn withdraw(&self) {
        if let Some(running) = &*self.running.borrow() {
            running.gate.withdraw();
        }
    }

    /// Passes what is accepted to the App with this descriptor, or to others that were added, in turn. `false`:
    /// there is no such App.
    #[napi]
    pub fn add_child(&self, descriptor: f64) -> bool {
        Descriptor::from_number(descriptor).is_some_and(|descriptor| self.children.add(descriptor))
    }

    /// Passes it nothing any more. `false`: no App has ever had this descriptor.
    #[napi]
    pub fn remove_child(&self, descriptor: f64) -> bool {
        Descriptor::from_number(descriptor).map(|descriptor| self.children.remove(descriptor)).is_some()
    }

    /// Passes nothing on any more.
    #[napi]
    pub fn remove_children(&self) {
        self.children.remove_all();
    }

    /// The crossing: hands the first `command_bytes` of `commands` to a reactor, and takes a batch
    /// of its events. Descriptors are written from the start of `descriptors`, payloads into `slab`
    /// from `slab_offset` on; the last two words of `descriptors` get the bytes written
    /// there, and whether more events wait. Returns the number of events. None although more wait: the slab has no room for the next batch.
    #[napi]
    #[allow(unsafe_code)]
    pub fn exchange(
        &self,
        lane: u32,
        commands: &[u8],
        command_bytes: u32,
        mut descriptors: Uint32ArraySlice<'_>,
        mut slab: Uint8ArraySlice<'_>,
        slab_offset: u32,
    ) -> u32 {
        let mut running = self.running.borrow_mut();
        let Some(lane) = running.as_mut().and_then(|running| running.lanes.get_mut(lane as usize)) else { return 0 };
        let crossing = &lane.crossing;
        let commands = commands.get(..command_bytes as usize).unwrap_or_default();
        if !commands.is_empty() {
            crossing.inbox.push(commands, None);
            crossing.ring();
        }
        // SAFETY: two typed arrays that `lib/lane.js` made for this call alone, on distinct buffers;
        // no JavaScript runs while the slices are in use.
        let (descriptors, slab) = unsafe { (descriptors.as_mut(), slab.as_mut()) };
        let Some((descriptors, trailer)) = descriptors.split_last_chunk_mut::<2>() else { return 0 };
        let whole = descriptors.len() / DESCRIPTOR_WORDS * DESCRIPTOR_WORDS;
        let drained = crossing.mailbox.drain(&mut descriptors[..whole], slab, slab_offset as usize, &mut lane.large);
        if drained.made_room {
            crossing.ring();
        }
        *trailer = [drained.payload_bytes as u32, u32::from(drained.more)];
        drained.events as u32
    }

    /// Hands the first `command_bytes` of `commands` to a reactor.
    #[napi]
    pub fn push(&self, lane: u32, commands: &[u8], command_bytes: u32) {
        self.hand_over(lane, commands, command_bytes, None);
    }

    /// Hands commands to a reactor, and behind them the payload of the last one, a `SendLarge`.
    #[napi]
    pub fn send_large(&self, lane: u32, commands: &[u8], command_bytes: u32, payload: &[u8]) {
        self.hand_over(lane, commands, command_bytes, Some(payload.to_vec()));
    }

    fn hand_over(&self, lane: u32, commands: &[u8], command_bytes: u32, large: Option<Vec<u8>>) {
        let running = self.running.borrow();
        let Some(lane) = running.as_ref().and_then(|running| running.lanes.get(lane as usize)) else { return };
        let commands = commands.get(..command_bytes as usize).unwrap_or_default();
        lane.crossing.inbox.push(commands, large);
        lane.crossing.ring();
    }

    /// The payload of the next event, in their order, that is marked as large.
    #[napi]
    pub fn take_large<'env>(&self, env: &'env Env, lane: u32) -> Result<ArrayBuffer<'env>> {
        let mut running = self.running.borrow_mut();
        let payload = running
            .as_mut()
            .and_then(|running| running.lanes.get_mut(lane as usize))
            .and_then(|lane| lane.large.pop_front())
            .unwrap_or_default();
        ArrayBuffer::copy_from(env, payload).map_err(fault::node)
    }

    /// All is taken: the next event calls `wake`. `false`: something came meanwhile, look again.
    #[napi]
    pub fn rest(&self) -> bool {
        self.running.borrow().as_ref().is_none_or(|running| running.bell.rest())
    }

    /// Whether nothing listens, is being established, or is established and not released, and JavaScript has been told
    /// all: connections that a panic has ended are not counted any more.
    #[napi]
    pub fn is_vacant(&self) -> bool {
        self.running.borrow().as_ref().is_none_or(|running| {
            let told = |reactor: &ReactorThread| reactor.shared().crossing.mailbox.waiting().events == 0;
            running.census.is_vacant() && running.reactors.iter().all(told)
        })
    }

    /// The numbers of the threads; zeros while they do not run.
    #[napi]
    pub fn stats(&self) -> EngineStats {
        match &*self.running.borrow() {
            Some(running) => EngineStats {
                reactors: running.reactors.iter().map(|reactor| ReactorStats::of(reactor.shared())).collect(),
                gate: GateStats::of(running.gate.counts(), self.security.is_some()),
                budget: BudgetStats::of(&running.budget, running.gate.crossing(), &running.gate.counts()),
            },
            None => EngineStats {
                reactors: (0..self.threads).map(|_| ReactorStats::none()).collect(),
                gate: GateStats::of(Counts::default(), self.security.is_some()),
                budget: BudgetStats::none(self.budget_bytes),
            },
        }
    }

    /// Ends the threads: every socket is closed, and no `wake` follows. Tells what a shutdown, if there
    /// was one, has closed.
    #[napi]
    pub fn stop(&self, env: Env) -> Result<Departures> {
        let hook = self.running.borrow_mut().as_mut().and_then(|running| running.hook.take());
        let Departed { closed, forced } = stop(&self.running);
        hook.map_or(Ok(()), |hook| env.remove_env_cleanup_hook(hook)).map_err(fault::node)?;
        Ok(Departures { closed: closed as f64, forced: forced as f64 })
    }

    /// Hands what a handler threw to `uncaughtException`.
    #[napi]
    pub fn report(&self, env: Env, exception: Unknown<'_>) {
        bell::report(&env, &exception);
    }
}

/// Ends the threads of an App, if they run. The bell goes last: a thread that is being joined may
/// ring it still.
fn stop(running: &Shared) -> Departed {
    let mut departed = Departed::default();
    let Some(Running { bell, gate, reactors, .. }) = running.borrow_mut().take() else { return departed };
    gate.stop();
    for reactor in reactors {
        let shared = reactor.shared().clone();
        reactor.join();
        // Of its last turn, too.
        departed += shared.tally().departed;
    }
    bell.take_down();
    departed
}

fn not_running() -> napi::Error<fault::Code> {
    fault::fault("TIDEWIRE_NOT_RUNNING", "the engine's threads do not run")
}
