//! One App's engine: its routes, its threads, and the crossing of batches.
//!
//! Threads run from the first `listen` until nothing is left to serve, or until the environment
//! ends; its cleanup hook joins them before Node-API goes away.

use std::cell::RefCell;
use std::collections::VecDeque;
#[cfg(unix)]
use std::ffi::OsStr;
#[cfg(unix)]
use std::os::unix::ffi::OsStrExt;
#[cfg(unix)]
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use napi::bindgen_prelude::{ArrayBuffer, Function, Uint8ArraySlice, Uint32ArraySlice, Unknown};
use napi::{CleanupEnvHook, Env};
use napi_derive::napi;

use super::bell::{self, Bell};
use super::fault::{self, Result};
use super::heap;
use super::settings::RouteSettings;
use super::stats::{EngineStats, GateStats, ReactorStats};
use crate::bridge::event::DESCRIPTOR_WORDS;
use crate::bridge::{Census, ListenerId, ReactorId, RouteId};
#[cfg(unix)]
use crate::gate::bind_unix;
use crate::gate::{Bind, Bounds, Children, Counts, Descriptor, Endpoint, Gate, Routes, bind};
use crate::limits;
use crate::reactor::{Adopter, Departed, Hooks, ReactorThread};

/// The running threads of an App, and what else ends with them.
struct Running {
    bell: Arc<Bell>,
    census: Arc<Census>,
    gate: Gate,
    lanes: Vec<Lane>,
    hook: Option<CleanupEnvHook<(Shared, Arc<Children>)>>,
}

/// One reactor, seen from JavaScript.
struct Lane {
    thread: ReactorThread,
    /// Large payloads of drained events that JavaScript has not taken yet.
    large: VecDeque<Vec<u8>>,
}

type Shared = Rc<RefCell<Option<Running>>>;

/// What `lib/engine.js` holds.
#[napi]
pub struct Engine {
    threads: u8,
    bounds: Bounds,
    routes: Routes,
    next_route: u32,
    descriptor: Option<Descriptor>,
    children: Arc<Children>,
    running: Shared,
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
    /// An engine that has no threads yet. `threads` reactors will run, and the head of a request may have
    /// so many bytes.
    #[napi(constructor)]
    pub fn new(threads: u8, request_head_bytes: u32) -> Self {
        let threads = threads.clamp(1, limits::REACTORS as u8);
        let bounds = Bounds { request_head_bytes: request_head_bytes as usize, ..Bounds::default() };
        Self {
            threads,
            bounds,
            routes: Routes::new(),
            next_route: 0,
            descriptor: None,
            children: Arc::default(),
            running: Shared::default(),
        }
    }

    /// Adds a route, and returns its id. A pattern that is there already is replaced.
    #[napi]
    pub fn add_route(&mut self, pattern: String, mut settings: RouteSettings) -> Result<u32> {
        let Ok(id) = u16::try_from(self.next_route) else {
            let sentence = format!("an App has at most {} routes, replaced ones counted", limits::ROUTES);
            return Err(fault::fault("TIDEWIRE_TOO_MANY_ROUTES", sentence));
        };
        let origins = settings.origins()?;
        let endpoint = Endpoint { route: Arc::new(settings.into_route(RouteId(id))), origins };
        self.routes.insert(&pattern, Arc::new(endpoint)).map_err(|error| fault::pattern(&error))?;
        self.next_route += 1;
        Ok(u32::from(id))
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
        let census = Census::new({
            let bell = bell.clone();
            move || bell.ring()
        });
        let started = self.start_threads(&bell, &census);
        let (gate, lanes) = started.inspect_err(|_| bell.take_down()).map_err(|error| fault::start(&error))?;
        let ends = (self.running.clone(), self.children.clone());
        let hook = env.add_env_cleanup_hook(ends, |(running, children)| {
            _ = stop(&running);
            children.remove_all();
        });
        let hook = hook.map_err(fault::node)?;
        *self.running.borrow_mut() = Some(Running { bell, census, gate, lanes, hook: Some(hook) });
        Ok(())
    }

    fn start_threads(&self, bell: &Arc<Bell>, census: &Arc<Census>) -> std::io::Result<(Gate, Vec<Lane>)> {
        let mut lanes: Vec<Lane> = Vec::new();
        let started = (0..self.threads).try_for_each(|id| {
            let bell = bell.clone();
            let hooks = Hooks { ring_javascript: Box::new(move || bell.ring()), give_back_memory: heap::give_back };
            let thread = ReactorThread::start(ReactorId(id), census.clone(), hooks)?;
            lanes.push(Lane { thread, large: VecDeque::new() });
            Ok(())
        });
        let adopters = lanes.iter().map(|lane| Arc::new(lane.thread.handle()) as Arc<dyn Adopter>).collect();
        match started.and_then(|()| {
            Gate::start(self.routes.clone(), adopters, census.clone(), self.bounds, self.children.clone())
        }) {
            Ok(gate) => Ok((gate, lanes)),
            Err(error) => {
                lanes.into_iter().for_each(|lane| lane.thread.join());
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
        let id = listen_unix(&running.gate, path)?;
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
        let shared = lane.thread.shared();
        let commands = commands.get(..command_bytes as usize).unwrap_or_default();
        if !commands.is_empty() {
            shared.inbox.push(commands, None);
            shared.ring();
        }
        // SAFETY: two typed arrays that `lib/lane.js` made for this call alone, on distinct buffers;
        // no JavaScript runs while the slices are in use.
        let (descriptors, slab) = unsafe { (descriptors.as_mut(), slab.as_mut()) };
        let Some((descriptors, trailer)) = descriptors.split_last_chunk_mut::<2>() else { return 0 };
        let whole = descriptors.len() / DESCRIPTOR_WORDS * DESCRIPTOR_WORDS;
        let drained = shared.mailbox.drain(&mut descriptors[..whole], slab, slab_offset as usize, &mut lane.large);
        if drained.made_room {
            shared.ring();
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
        lane.thread.shared().inbox.push(commands, large);
        lane.thread.shared().ring();
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

    /// Whether nothing listens, is being established, or is established and not released.
    #[napi]
    pub fn is_vacant(&self) -> bool {
        self.running.borrow().as_ref().is_none_or(|running| running.census.is_vacant())
    }

    /// The numbers of the threads; zeros while they do not run.
    #[napi]
    pub fn stats(&self) -> EngineStats {
        match &*self.running.borrow() {
            Some(running) => EngineStats {
                reactors: running.lanes.iter().map(|lane| ReactorStats::of(lane.thread.shared())).collect(),
                gate: running.gate.counts().into(),
            },
            None => EngineStats {
                reactors: (0..self.threads).map(|_| ReactorStats::none()).collect(),
                gate: GateStats::from(Counts::default()),
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
    let Some(Running { bell, gate, lanes, .. }) = running.borrow_mut().take() else { return departed };
    gate.stop();
    for Lane { thread, .. } in lanes {
        let shared = thread.shared().clone();
        thread.join();
        // Of its last turn, too.
        departed += shared.tally().departed;
    }
    bell.take_down();
    departed
}

#[cfg(unix)]
fn listen_unix(gate: &Gate, path: &[u8]) -> Result<ListenerId> {
    let path = Path::new(OsStr::from_bytes(path));
    let socket = bind_unix(path).map_err(|error| fault::host(&error))?;
    gate.listen(socket).map_err(|error| fault::host(&error))
}

#[cfg(not(unix))]
fn listen_unix(_: &Gate, _: &[u8]) -> Result<ListenerId> {
    Err(fault::fault("TIDEWIRE_NO_UNIX_SOCKETS", "this platform has no Unix domain sockets: listen on a port"))
}

fn not_running() -> napi::Error<fault::Code> {
    fault::fault("TIDEWIRE_NOT_RUNNING", "the engine's threads do not run")
}
