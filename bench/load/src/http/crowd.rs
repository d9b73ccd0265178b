//! All connections of the run, one poller and one read buffer, on one thread.
//!
//! What [`crate::swarm`] is to WebSockets. Memory: a [`Link`] for each connection and a shared [`Room`].

use std::io;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Token};

use super::link::Link;
use super::response::Expected;
use crate::failure::Failure;
use crate::histogram::Histogram;
use crate::stream::{Room, Stream};
use crate::swarm::cannot_connect;
use crate::target::Target;

/// A turn handles at most as many ready sockets.
const EVENTS_PER_TURN: usize = 1024;

/// Connections that are being made together: fewer than any server's queue holds.
const CONNECTING: usize = 64;

/// A server that is silent for this long while it owes an answer has failed.
const STALL: Duration = Duration::from_secs(10);

/// How long a single wait may be, so that clocks are looked at.
const WAIT: Duration = Duration::from_millis(100);

/// What is asked, and what must come back.
pub(super) struct Question {
    /// As many requests as are in flight, one behind the other.
    pub(super) requests: Vec<u8>,
    /// Bytes of one of them.
    pub(super) request_bytes: usize,
    /// Requests that a connection has in flight.
    pub(super) in_flight: usize,
    pub(super) expected: Expected,
}

impl Question {
    /// `fields`: whole lines, besides that of the host.
    pub(super) fn new(host: &str, path: &str, fields: &str, content: Vec<u8>, in_flight: usize) -> Self {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n").into_bytes();
        Self {
            requests: request.repeat(in_flight),
            request_bytes: request.len(),
            in_flight,
            expected: Expected { content },
        }
    }
}

/// The connections and their poller.
pub(super) struct Crowd {
    poll: Poll,
    events: Events,
    links: Vec<Link>,
    connected: usize,
    question: Question,
    room: Room,
    last_event: Instant,
    answers: u64,
    is_over: bool,
    /// From the write of a request to the read that brought its response's end.
    pub(super) latency: Histogram,
}

impl Crowd {
    /// Opens the connections; nothing is asked yet.
    pub(super) fn open(target: &Target, question: Question, count: usize) -> Result<Self, Failure> {
        let mut crowd = Self {
            poll: Poll::new().map_err(|error| Failure::io("no poller", &error))?,
            events: Events::with_capacity(EVENTS_PER_TURN),
            links: Vec::with_capacity(count),
            connected: 0,
            question,
            room: Room::default(),
            last_event: Instant::now(),
            answers: 0,
            is_over: false,
            latency: Histogram::new(),
        };
        while crowd.connected < count {
            while crowd.links.len() < count.min(crowd.connected + CONNECTING) {
                let index = crowd.links.len();
                let (address, registry) = (target.address(index), crowd.poll.registry());
                let stream = Stream::connect(address, registry, Token(index), target.tls.as_ref())
                    .map_err(|error| cannot_connect(index, &error))?;
                crowd.links.push(Link::new(stream, crowd.question.in_flight));
            }
            crowd.turn_expecting()?;
        }
        Ok(crowd)
    }

    /// Sends the first requests of each connection.
    pub(super) fn begin(&mut self) -> Result<(), Failure> {
        for (index, link) in self.links.iter_mut().enumerate() {
            link.ask(&self.question, self.question.in_flight, Instant::now()).map_err(|error| broken(index, &error))?;
        }
        Ok(())
    }

    /// Responses so far.
    pub(super) fn answers(&self) -> u64 {
        self.answers
    }

    /// Asks no more, and waits for what is still under way; how much of that did not come.
    pub(super) fn finish(&mut self, patience: Duration) -> Result<u64, Failure> {
        self.is_over = true;
        let mut answers = self.answers;
        let mut last = Instant::now();
        while self.unanswered() > 0 && last.elapsed() < patience {
            self.turn_expecting()?;
            if self.answers > answers {
                answers = self.answers;
                last = Instant::now();
            }
        }
        Ok(self.unanswered())
    }

    /// Waits for sockets and serves those that are ready. The server's silence ends the run after ten seconds.
    pub(super) fn turn_expecting(&mut self) -> Result<(), Failure> {
        match self.poll.poll(&mut self.events, Some(WAIT)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result.map_err(|error| Failure::io("the poller failed", &error))?,
        }
        if !self.events.is_empty() {
            self.last_event = Instant::now();
        } else if self.last_event.elapsed() > STALL {
            return Err(Failure::new(format!("the server has answered nothing for {} s", STALL.as_secs())));
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let served = events.iter().try_for_each(|event| self.serve(event));
        self.events = events;
        served
    }

    fn unanswered(&self) -> u64 {
        self.links.iter().map(Link::unanswered).sum()
    }

    fn serve(&mut self, event: &Event) -> Result<(), Failure> {
        let index = event.token().0;
        let link = &mut self.links[index];
        if event.is_writable() || event.is_error() {
            self.connected += usize::from(link.on_writable().map_err(|error| broken(index, &error))?);
        }
        if !event.is_readable() && !event.is_read_closed() {
            return Ok(());
        }
        while let Some((bytes, is_full)) = link.read(&mut self.room).map_err(|error| broken(index, &error))? {
            let now = Instant::now();
            let answered = link
                .digest(bytes, &self.question.expected, |written| {
                    self.latency.record(now.saturating_duration_since(written));
                })
                .map_err(|failure| Failure::new(format!("connection {index}: {failure}")))?;
            self.answers += answered as u64;
            if answered > 0 && !self.is_over {
                link.ask(&self.question, answered, now).map_err(|error| broken(index, &error))?;
            }
            // A short read has emptied the socket (epoll(7)), unless a FIN stands behind it.
            if !is_full && !event.is_read_closed() {
                break;
            }
        }
        Ok(())
    }
}

fn broken(index: usize, error: &io::Error) -> Failure {
    Failure::io(format_args!("connection {index} was broken"), error)
}
