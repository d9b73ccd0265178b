//! The connections of the soak: opened, spoken on, ended in every way, and opened again in the same place. One thread,
//! driven by [`crate::soak`]. What goes wrong is counted, and the run goes on.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::client::{Client, End};
use crate::failure::Failure;
use crate::soak::codec::Codec;
use crate::soak::message::{Contents, Head, word};
use crate::soak::roster::{Deflate, Ending, Part, Role};
use crate::soak::seat::{Seat, Stage};
use crate::soak::service::{self, Ready, Service};
use crate::soak::tally::{Fault, Tally};
use crate::stream::{Room, Stream};
use crate::swarm::{cannot_connect, in_words};
use crate::target::Target;

/// Ready sockets that a turn serves at most, so that the clock is looked at between.
const EVENTS_PER_TURN: usize = 256;

/// Full reads in a row from one socket before the others get their turn.
const READS_PER_EVENT: usize = 4;

/// A slow reader reads so much, so often: a quarter of what the server publishes to it.
const SLOW_READ_BYTES: usize = 32 * 1024;
const SLOW_PAUSE: Duration = Duration::from_secs(1);

/// A connection is made, or has ended once that was begun, within this time: the kernel may drop a packet of a loopback
/// that is crowded seven times in a row, and waits twice as long each time.
const PATIENCE: Duration = Duration::from_secs(60);

/// For so long a place is vacant between two connections.
const AWAY: Duration = Duration::from_secs(1);

/// The connections.
pub struct Crowd {
    plain: Target,
    tls: Target,
    poll: Poll,
    events: Events,
    seats: Vec<Seat>,
    connections: u32,
    shared: Codec,
    contents: Contents,
    room: Room,
    slow_room: Room,
    frame: Vec<u8>,
    /// Places where a slow reader sits, in the order of their next reads.
    slow: VecDeque<(Instant, usize)>,
    /// Places that are vacant and will not be: when, and which. Earlier ones come first.
    away: VecDeque<(Instant, usize)>,
    /// At the end nobody comes again, and slow readers make haste.
    is_over: bool,
    /// What was counted.
    pub tally: Tally,
}

impl Crowd {
    /// Places for so many connections, none of them begun.
    pub fn new(plain: Target, tls: Target, places: usize) -> Result<Self, Failure> {
        let now = Instant::now();
        Ok(Self {
            plain,
            tls,
            poll: Poll::new().map_err(|error| Failure::io("no poller", &error))?,
            events: Events::with_capacity(EVENTS_PER_TURN),
            seats: (0..places).map(|index| Seat::vacant(index, now)).collect(),
            connections: 0,
            shared: Codec::new(false),
            contents: Contents::new(),
            room: Room::default(),
            slow_room: Room::with_bytes(SLOW_READ_BYTES),
            frame: Vec::new(),
            slow: VecDeque::new(),
            away: VecDeque::new(),
            is_over: false,
            tally: Tally::default(),
        })
    }

    /// How many places there are.
    pub fn places(&self) -> usize {
        self.seats.len()
    }

    /// Whether a connection is open there that nobody ends.
    pub fn is_open(&self, index: usize) -> bool {
        matches!(self.seats[index].stage, Stage::Open)
    }

    /// Whether all places are taken by such connections.
    pub fn all_open(&self) -> bool {
        (0..self.seats.len()).all(|index| self.is_open(index))
    }

    /// Whether no connection is left.
    pub fn is_empty(&self) -> bool {
        self.seats.iter().all(|seat| seat.stage == Stage::Vacant)
    }

    /// Begins a connection in a vacant place.
    pub fn connect(&mut self, index: usize, now: Instant) -> Result<(), Failure> {
        let Role { part, tls, .. } = self.seats[index].role;
        self.connections += 1;
        let target = if tls { &self.tls } else { &self.plain };
        let address = target.address(self.connections as usize);
        let stream =
            Stream::connect(address, self.poll.registry(), Token(index), target.tls.as_ref()).and_then(|mut stream| {
                if part == Part::Slow {
                    stream.receive_at_most(SLOW_READ_BYTES)?;
                }
                Ok(stream)
            });
        let stream = stream.map_err(|error| cannot_connect(self.tally.open as usize, &error))?;
        self.seats[index].begin(stream, address, self.connections, now);
        self.tally.opening += 1;
        Ok(())
    }

    /// Begins again where the last connection has ended, at most so many at a time.
    pub fn connect_again(&mut self, at_most: usize, now: Instant) -> Result<(), Failure> {
        for _ in 0..at_most {
            let Some((_, index)) = self.away.front().copied().filter(|(due, _)| *due <= now) else {
                break;
            };
            self.away.pop_front();
            self.connect(index, now)?;
        }
        Ok(())
    }

    /// Writes the next message of an open connection that talks; whether there is one.
    pub fn speak(&mut self, index: usize, now: Instant) -> bool {
        let seat = &mut self.seats[index];
        let (Stage::Open, Part::Talk, Some(client)) = (seat.stage, seat.role.part, &mut seat.client) else {
            return false;
        };
        self.frame.clear();
        let codec = match seat.role.deflate {
            Deflate::Off => None,
            Deflate::Single => Some(&mut self.shared),
            Deflate::Context => seat.codec.as_deref_mut(),
        };
        seat.lane.put(&mut self.frame, codec, &self.contents, &mut self.tally, now);
        client.write(&self.frame);
        true
    }

    /// Begins the end of a connection that churns and that the server knows; whether there is one.
    pub fn leave(&mut self, index: usize, ending: Ending, now: Instant) -> bool {
        let seat = &self.seats[index];
        if !seat.role.churns || !self.is_open(index) || !seat.lane.is_known() {
            return false;
        }
        self.end(index, ending, now);
        true
    }

    /// Lets connections end: each says goodbye, and hears that all has come. At most so many at a time; whether all do.
    pub fn say_goodbye(&mut self, from: &mut usize, at_most: usize, now: Instant) -> bool {
        self.is_over = true;
        for _ in 0..at_most.min(self.seats.len() - *from) {
            let index = *from;
            *from += 1;
            if !self.is_open(index) {
                continue;
            }
            if self.seats[index].role.part == Part::Slow {
                self.look_again(index);
            }
            self.end(index, Ending::Close, now);
        }
        *from == self.seats.len()
    }

    /// Waits at most `wait` for sockets and serves those that are ready, and the slow readers.
    pub fn turn(&mut self, wait: Duration) -> Result<(), Failure> {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result.map_err(|error| Failure::io("the poller failed", &error))?,
        }
        let now = Instant::now();
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let ready = Ready {
                writable: event.is_writable() || event.is_error(),
                readable: event.is_readable() || event.is_read_closed(),
                closed: event.is_read_closed(),
            };
            self.serve(event.token().0, ready, false, now);
        }
        self.events = events;
        while let Some((_, index)) = self.slow.front().copied().filter(|(due, _)| *due <= now && !self.is_over) {
            self.slow.pop_front();
            self.slow.push_back((now + SLOW_PAUSE, index));
            self.serve(index, Ready { writable: false, readable: true, closed: true }, true, now);
        }
        Ok(())
    }

    /// Gives up what takes too long: to be called now and then.
    pub fn sweep(&mut self, now: Instant) {
        for index in 0..self.seats.len() {
            let (since, fault, what) = match self.seats[index].stage {
                Stage::Opening(since) => (since, Fault::Refused, "no handshake within 60 s".to_owned()),
                Stage::Leaving(ending, since) => (since, Fault::Stuck, format!("{ending:?} was not done within 60 s")),
                Stage::Vacant | Stage::Open => continue,
            };
            if now.saturating_duration_since(since) > PATIENCE {
                let seat = &self.seats[index];
                self.tally.fault(fault, 1, seat.lane.connection, || format!("on {}, {what}", seat.way()));
                self.vacate(index, now);
            }
        }
    }

    /// Counts what a connection is owed that has not ended: the run is over without it.
    pub fn give_up(&mut self, now: Instant) {
        for index in 0..self.seats.len() {
            if self.seats[index].stage != Stage::Vacant {
                self.seats[index].lane.owe_nothing(&mut self.tally);
                self.tally.fault(Fault::Stuck, 1, self.seats[index].lane.connection, || {
                    "it was not closed when the run was over".to_owned()
                });
                self.vacate(index, now);
            }
        }
    }

    /// Does what an ending begins with.
    fn end(&mut self, index: usize, ending: Ending, now: Instant) {
        if matches!(ending, Ending::Half | Ending::Reset) {
            // The server is to get what stands before the FIN, and may get what a reset follows.
            self.speak(index, now);
            self.speak(index, now);
        }
        let seat = &mut self.seats[index];
        let Some(client) = &mut seat.client else { return };
        // A FIN that is sent before all is written would cut a message.
        let ending = if ending == Ending::Half && client.unsent_bytes() > 0 { Ending::Close } else { ending };
        let head = |word| Head { word, of: seat.lane.connection, number: seat.lane.written() }.message(b"");
        let mut begun = Ok(());
        match ending {
            Ending::Close => service::put(client, &head(word::BYE)),
            Ending::End => service::put(client, &head(word::END)),
            Ending::Cut => service::put(client, &head(word::CUT)),
            Ending::Half => begun = client.half_close(),
            Ending::Reset => begun = seat.client.take().map_or(Ok(()), Client::reset),
        }
        seat.stage = Stage::Leaving(ending, now);
        if let Err(error) = begun {
            self.over(index, &End::Io(error), now);
        } else if ending == Ending::Reset {
            self.tally.ended(ending);
            self.vacate(index, now);
        }
    }

    fn serve(&mut self, index: usize, ready: Ready, is_slow_turn: bool, now: Instant) {
        let seat = &mut self.seats[index];
        let Some(client) = &mut seat.client else { return };
        let is_slow = seat.role.part == Part::Slow && matches!(seat.stage, Stage::Open) && !self.is_over;
        let codec = match seat.role.deflate {
            Deflate::Off => None,
            Deflate::Single => Some(&mut self.shared),
            Deflate::Context => seat.codec.as_deref_mut(),
        };
        let mut service = Service {
            client,
            lane: &mut seat.lane,
            codec,
            contents: &self.contents,
            tally: &mut self.tally,
            room: if is_slow { &mut self.slow_room } else { &mut self.room },
            request: &seat.request,
            reads: if is_slow { 1 } else { READS_PER_EVENT },
            now,
        };
        let readable = ready.readable && (!is_slow || is_slow_turn);
        match service.exchange(Ready { readable, ..ready }) {
            Ok(true) if !is_slow => self.look_again(index),
            Ok(_) => {}
            Err(end) => return self.over(index, &end, now),
        }
        self.follow(index, now);
    }

    /// What follows from that which has come.
    fn follow(&mut self, index: usize, now: Instant) {
        let seat = &mut self.seats[index];
        let Some(client) = &mut seat.client else { return };
        match seat.stage {
            Stage::Opening(_) if client.is_open() => {
                seat.stage = Stage::Open;
                seat.opened = now;
                seat.request = Vec::new();
                if let Some(note) = seat.note.take() {
                    service::put(client, &note);
                }
                if seat.role.part == Part::Slow {
                    self.slow.push_back((now + SLOW_PAUSE, index));
                }
                self.tally.opening -= 1;
                self.tally.open += 1;
                self.tally.opened += 1;
            }
            Stage::Leaving(Ending::Close, _) if seat.lane.has_receipt() => client.close(),
            _ => {}
        }
    }

    /// A connection is over.
    fn over(&mut self, index: usize, end: &End, now: Instant) {
        let seat = &mut self.seats[index];
        match seat.stage {
            Stage::Leaving(ending, _) if service::is_expected(ending, end) => {
                if ending == Ending::End {
                    seat.lane.owe_nothing(&mut self.tally);
                }
                self.tally.ended(ending);
            }
            stage => {
                let (fault, when) = match stage {
                    Stage::Leaving(ending, _) => (Fault::Broken, format!(" ({ending:?})")),
                    Stage::Open => (Fault::Broken, String::new()),
                    Stage::Opening(_) | Stage::Vacant => (Fault::Refused, String::new()),
                };
                let (connection, way) = (seat.lane.connection, seat.way());
                self.tally.fault(fault, 1, connection, || format!("on {way}, it was {}{when}", in_words(end)));
            }
        }
        self.vacate(index, now);
    }

    /// Nothing is there any more; something will be, unless all is over.
    fn vacate(&mut self, index: usize, now: Instant) {
        let seat = &mut self.seats[index];
        match seat.stage {
            Stage::Vacant => return,
            Stage::Opening(_) => self.tally.opening -= 1,
            Stage::Open | Stage::Leaving(..) => self.tally.open -= 1,
        }
        let pings = seat.client.as_ref().map_or(0, Client::pings);
        self.tally.pings += u64::from(pings);
        if seat.role.part == Part::Idle && pings < service::least_pings(seat.opened, now) {
            let seconds = now.saturating_duration_since(seat.opened).as_secs();
            self.tally.fault(Fault::Silent, 1, seat.lane.connection, || format!("{pings} pings in {seconds} s"));
        }
        if seat.role.part == Part::Slow {
            self.slow.retain(|(_, slow)| *slow != index);
        }
        seat.clear();
        if !self.is_over {
            self.away.push_back((now + AWAY, index));
        }
    }

    fn look_again(&mut self, index: usize) {
        if let Some(client) = &mut self.seats[index].client {
            // A socket that cannot be watched is broken: its end is noticed by the sweep.
            let _ = client.look_again(self.poll.registry(), Token(index));
        }
    }
}
