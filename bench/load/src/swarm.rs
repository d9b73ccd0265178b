//! All connections of a run, one poller and one read buffer, on one thread. A mode opens
//! connections, then takes turns: [`Swarm::turn`] waits for the sockets and tells the mode's
//! [`Conversation`] what came. Memory: one slot for each connection and a shared [`Room`] of [`Bounds::read_bytes`].

use std::io;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Registry, Token};

use crate::client::{Client, End, Heard, Stop};
use crate::failure::Failure;
use crate::frame::{FrameReader, Piece};
use crate::stream::{READ_BYTES, Room, Stream};
use crate::target::Target;

/// A server that is silent for this long while it owes an answer has failed.
const STALL: Duration = Duration::from_secs(10);

/// How long a single wait may be, so that clocks are looked at.
const WAIT: Duration = Duration::from_millis(100);

/// Which connection: its place in the swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientId(pub usize);

/// What a mode does with what its connections hear.
pub trait Conversation {
    /// The opening handshake is done.
    fn opened(&mut self, id: ClientId, client: &mut Client, now: Instant) -> Result<(), Failure>;

    /// A piece of a data frame arrived.
    fn heard(&mut self, id: ClientId, piece: &Piece<'_>, now: Instant) -> Result<(), Failure>;

    /// All that one read brought was handed over: the place to answer it with one write.
    fn rest(&mut self, id: ClientId, client: &mut Client, now: Instant) -> Result<(), Failure>;

    /// The connection is over. Unless the mode closed it, that ends the run.
    fn ended(&mut self, id: ClientId, end: End) -> Result<(), Failure> {
        match end {
            End::Clean | End::CleanThenReset => Ok(()),
            other => Err(unexpected(id, &other)),
        }
    }
}

/// How fast connections are opened.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Opening handshakes that may be under way together.
    pub window: usize,
    /// Most new connections in a second, if there is a bound.
    pub per_second: Option<f64>,
}

/// How much one turn does at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Ready sockets that are served.
    pub events: usize,
    /// Full reads in a row from one socket before the others get their turn.
    pub reads: usize,
    /// Bytes of a read: see [`Room::with_bytes`].
    pub read_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { events: 1024, reads: 16, read_bytes: READ_BYTES }
    }
}

/// The connections and their poller.
pub struct Swarm {
    target: Target,
    poll: Poll,
    events: Events,
    clients: Vec<Option<Client>>,
    connected: usize,
    room: Room,
    reads: usize,
    last_event: Instant,
    wait: Duration,
}

impl Swarm {
    /// A swarm without connections yet.
    pub fn new(target: Target) -> Result<Self, Failure> {
        Self::bounded(target, Bounds::default())
    }

    /// One whose turns do no more than these bounds allow.
    pub fn bounded(target: Target, bounds: Bounds) -> Result<Self, Failure> {
        Ok(Self {
            target,
            poll: Poll::new().map_err(|error| Failure::io("no poller", &error))?,
            events: Events::with_capacity(bounds.events),
            clients: Vec::new(),
            connected: 0,
            room: Room::with_bytes(bounds.read_bytes),
            reads: bounds.reads,
            last_event: Instant::now(),
            wait: WAIT,
        })
    }

    /// From now on [`Swarm::turn_expecting`] does not sleep: it keeps a processor busy, and the time
    /// to wake up from a sleep is no part of the answers' latency.
    pub fn stay_awake(&mut self) {
        self.wait = Duration::ZERO;
    }

    /// The server that the connections go to.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// A connection, unless it has ended.
    pub fn client(&mut self, id: ClientId) -> Option<&mut Client> {
        self.clients.get_mut(id.0).and_then(Option::as_mut)
    }

    /// How many connections live.
    pub fn living(&self) -> usize {
        self.clients.iter().flatten().count()
    }

    /// Begins to connect, in the place `id`: the next new one, or one that has ended.
    pub fn connect(&mut self, id: ClientId) -> Result<(), Failure> {
        let address = self.target.address(self.connected);
        let reader = if self.target.deflate { FrameReader::deflating() } else { FrameReader::default() };
        let stream = Stream::connect(address, self.poll.registry(), Token(id.0), self.target.tls.as_ref())
            .map_err(|error| cannot_connect(self.living(), &error))?;
        let client = Client::new(stream, reader);
        self.connected += 1;
        if id.0 == self.clients.len() {
            self.clients.push(Some(client));
        } else {
            self.clients[id.0] = Some(client);
        }
        Ok(())
    }

    /// Ends a connection at once with a reset: its place is free.
    pub fn reset(&mut self, id: ClientId) -> Result<(), Failure> {
        let client = self.clients.get_mut(id.0).and_then(Option::take);
        let client = client.ok_or_else(|| Failure::new(format!("connection {} has gone", id.0)))?;
        client.reset().map_err(|error| Failure::io(format_args!("connection {} cannot be reset", id.0), &error))
    }

    /// Opens `count` more connections and waits until all are upgraded.
    pub fn open(&mut self, count: usize, pace: Pace) -> Result<(), Failure> {
        let mut arrivals = Arrivals { opened: 0 };
        let began = Instant::now();
        let mut asked = 0;
        while arrivals.opened < count {
            let allowed = match pace.per_second {
                Some(rate) => (began.elapsed().as_secs_f64() * rate) as usize + 1,
                None => count,
            };
            let allowed = allowed.min(count).min(arrivals.opened + pace.window);
            while asked < allowed {
                self.connect(ClientId(self.clients.len()))?;
                asked += 1;
            }
            if asked == arrivals.opened {
                self.turn(Duration::from_millis(1), &mut arrivals)?;
            } else {
                self.turn_expecting(&mut arrivals)?;
            }
        }
        Ok(())
    }

    /// Closes all connections with the closing handshake. What has not ended after some seconds
    /// is dropped; how many those were.
    pub fn close(&mut self) -> Result<usize, Failure> {
        for client in self.clients.iter_mut().flatten() {
            client.close();
        }
        let began = Instant::now();
        while self.living() > 0 && began.elapsed() < STALL {
            self.turn(WAIT, &mut Farewell)?;
        }
        let left = self.living();
        self.clients.clear();
        Ok(left)
    }

    /// Waits at most `wait` for sockets and serves those that are ready.
    pub fn turn(&mut self, wait: Duration, talk: &mut impl Conversation) -> Result<(), Failure> {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result.map_err(|error| Failure::io("the poller failed", &error))?,
        }
        if !self.events.is_empty() {
            self.last_event = Instant::now();
        }
        for event in &self.events {
            let id = ClientId(event.token().0);
            let Some(Some(client)) = self.clients.get_mut(id.0) else {
                continue;
            };
            let mut service = Service {
                id,
                client,
                room: &mut self.room,
                reads: self.reads,
                request: &self.target.request,
                registry: self.poll.registry(),
            };
            match service.serve(event, talk) {
                Ok(()) => {}
                Err(Stop::Run(failure)) => return Err(failure),
                Err(Stop::Connection(end)) => {
                    self.clients[id.0] = None;
                    talk.ended(id, end)?;
                }
            }
        }
        Ok(())
    }

    /// A turn while the server owes something: its silence ends the run after ten seconds.
    pub fn turn_expecting(&mut self, talk: &mut impl Conversation) -> Result<(), Failure> {
        self.turn(self.wait, talk)?;
        if self.last_event.elapsed() > STALL {
            return Err(Failure::new(format!(
                "the server has answered nothing for {} s, with {} connections alive",
                STALL.as_secs(),
                self.living()
            )));
        }
        Ok(())
    }

    /// Lets time pass in which nothing but pings is expected.
    pub fn rest(&mut self, duration: Duration) -> Result<(), Failure> {
        let until = Instant::now() + duration;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.last_event = Instant::now();
                return Ok(());
            }
            self.turn(left.min(WAIT), &mut Arrivals { opened: 0 })?;
        }
    }
}

/// The end of a connection that nobody wished for, as a sentence.
pub fn unexpected(id: ClientId, end: &End) -> Failure {
    Failure::new(format!("connection {} was {}", id.0, in_words(end)))
}

/// What became of a connection: the end of a sentence.
pub(crate) fn in_words(end: &End) -> String {
    match end {
        End::Clean | End::CleanThenReset => "closed".to_owned(),
        End::Fin => "ended by the server without a close frame".to_owned(),
        End::CloseFrame(None) => "closed by the server without a status code".to_owned(),
        End::CloseFrame(Some(code)) => format!("closed by the server with status {code}"),
        End::CloseFrameThenReset(_) => "reset by the server behind its close frame".to_owned(),
        End::Io(error) => format!("broken: {error}"),
        End::BadFrame(bad) => format!("given up, since the server sent a bad frame: {}", bad.0),
        End::Refused(failure) => format!("refused: {failure}"),
    }
}

/// Why no further connection can be made, and what to do about it.
pub(crate) fn cannot_connect(living: usize, error: &io::Error) -> Failure {
    let advice = match error.kind() {
        io::ErrorKind::AddrNotAvailable => " (no local port is left: raise --addresses)",
        _ if error.raw_os_error() == Some(24) => " (too many open files: raise `ulimit -n`)",
        _ => "",
    };
    Failure::io(format_args!("no more than {living} connections can be opened{advice}"), error)
}

/// One ready socket and what is needed to serve it.
struct Service<'a> {
    id: ClientId,
    client: &'a mut Client,
    room: &'a mut Room,
    reads: usize,
    request: &'a [u8],
    registry: &'a Registry,
}

impl Service<'_> {
    fn serve(&mut self, event: &Event, talk: &mut impl Conversation) -> Result<(), Stop> {
        if event.is_writable() || event.is_error() {
            self.client.on_writable(self.request)?;
        }
        if !event.is_readable() && !event.is_read_closed() {
            return Ok(self.client.take_failed_write()?);
        }
        for _ in 0..self.reads {
            let Some((bytes, is_full)) = self.client.read(self.room)? else {
                return Ok(());
            };
            hand_over(self.id, self.client, bytes, talk)?;
            // A short read has emptied the socket (epoll(7)), unless a FIN stands behind it.
            if !is_full && !event.is_read_closed() {
                return Ok(());
            }
        }
        Ok(self.client.look_again(self.registry, Token(self.id.0)).map_err(End::Io)?)
    }
}

fn hand_over(id: ClientId, client: &mut Client, bytes: &[u8], talk: &mut impl Conversation) -> Result<(), Stop> {
    if !bytes.is_empty() {
        let now = Instant::now();
        client.digest(bytes, |client, heard| match heard {
            Heard::Opened => talk.opened(id, client, now),
            Heard::Data(piece) => talk.heard(id, &piece, now),
        })?;
        talk.rest(id, client, now)?;
    }
    Ok(client.take_failed_write()?)
}

/// Connections that open and then say nothing.
struct Arrivals {
    opened: usize,
}

impl Conversation for Arrivals {
    fn opened(&mut self, _: ClientId, _: &mut Client, _: Instant) -> Result<(), Failure> {
        self.opened += 1;
        Ok(())
    }

    fn heard(&mut self, id: ClientId, _: &Piece<'_>, _: Instant) -> Result<(), Failure> {
        Err(Failure::new(format!("connection {} got a message that nobody asked for", id.0)))
    }

    fn rest(&mut self, _: ClientId, _: &mut Client, _: Instant) -> Result<(), Failure> {
        Ok(())
    }
}

/// Connections that close: what still comes is of no interest.
struct Farewell;

impl Conversation for Farewell {
    fn opened(&mut self, _: ClientId, client: &mut Client, _: Instant) -> Result<(), Failure> {
        client.close();
        Ok(())
    }

    fn heard(&mut self, _: ClientId, _: &Piece<'_>, _: Instant) -> Result<(), Failure> {
        Ok(())
    }

    fn rest(&mut self, _: ClientId, _: &mut Client, _: Instant) -> Result<(), Failure> {
        Ok(())
    }

    fn ended(&mut self, _: ClientId, _: End) -> Result<(), Failure> {
        Ok(())
    }
}
