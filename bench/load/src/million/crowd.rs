//! Many connections in little memory: a seat of 24 bytes for each in one array that never moves, one
//! read buffer for all. What a read cut off waits in a side table, which is empty nearly always. One
//! thread, driven by [`crate::million::share`]. A connection that fails is counted, never replaced.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::client::End;
use crate::failure::Failure;
use crate::frame::{self, BadFrame, FrameReader};
use crate::handshake;
use crate::million::tally::{Count, Tally};
use crate::payload::{Answer, Incoming, Kind, MASKING_KEY, Payload};
use crate::swarm::{ClientId, cannot_connect, unexpected};
use crate::target::Target;

/// A turn handles at most as many ready sockets, so that the clock is looked at between.
const EVENTS_PER_TURN: usize = 256;

/// Far more than an answer: a frame that does not fit was never asked for.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// Full reads in a row from one socket: nobody asked for so much.
const READS_PER_EVENT: usize = 16;

/// Ends of connections that are told in words; the others are only counted.
const ENDS_TOLD: usize = 3;

/// Where a connection stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Upgrading,
    Open,
}

/// One connection. 24 bytes: a million of these is what the client costs.
struct Seat {
    /// `None` when the connection is over.
    stream: Option<TcpStream>,
    /// Messages written so far: the number of the next one.
    messages: u32,
    /// When the message under way was written, in microseconds since the crowd's beginning.
    written_micros: u64,
    phase: Phase,
    awaits_answer: bool,
}

/// The connections of one process.
pub struct Crowd {
    target: Target,
    payload: Payload,
    /// The running number of the first connection among those of all processes.
    first: usize,
    began: Instant,
    poll: Poll,
    events: Events,
    seats: Vec<Seat>,
    cut: HashMap<usize, Vec<u8>>,
    buffer: Vec<u8>,
    frame: Vec<u8>,
    ends_told: usize,
    /// What was counted. The latencies are whose that takes them away.
    pub tally: Tally,
}

impl Crowd {
    /// Room for `capacity` connections that send messages of `message_bytes`; none is there yet.
    pub fn new(target: Target, first: usize, capacity: usize, message_bytes: usize) -> Result<Self, Failure> {
        if message_bytes > READ_BUFFER_BYTES / 2 {
            return Err(Failure::new(format!("--size is {message_bytes}, but at most {}", READ_BUFFER_BYTES / 2)));
        }
        Ok(Self {
            target,
            payload: Payload::new(Kind::Binary, message_bytes),
            first,
            began: Instant::now(),
            poll: Poll::new().map_err(|error| Failure::io("no poller", &error))?,
            events: Events::with_capacity(EVENTS_PER_TURN),
            seats: Vec::with_capacity(capacity),
            cut: HashMap::new(),
            buffer: vec![0; READ_BUFFER_BYTES],
            frame: Vec::new(),
            ends_told: 0,
            tally: Tally::default(),
        })
    }

    /// Since the crowd's beginning.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Connections that were begun, whatever became of them.
    pub fn begun(&self) -> usize {
        self.seats.len()
    }

    /// Begins one more connection.
    pub fn connect(&mut self) -> Result<(), Failure> {
        let seat = self.seats.len();
        let connect = || {
            let mut stream = TcpStream::connect(self.target.address(self.first + seat))?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(seat), interest)?;
            Ok(stream)
        };
        let stream = connect().map_err(|error: io::Error| cannot_connect(seat, &error))?;
        self.seats.push(Seat {
            stream: Some(stream),
            messages: 0,
            written_micros: 0,
            phase: Phase::Connecting,
            awaits_answer: false,
        });
        self.tally[Count::Connecting] += 1;
        Ok(())
    }

    /// Writes the next message of a connection, if it is open and has its last answer.
    pub fn speak(&mut self, index: usize, elapsed: Duration) {
        let Some(seat) = self.seats.get_mut(index) else {
            return;
        };
        let (Some(stream), Phase::Open) = (&mut seat.stream, seat.phase) else {
            return;
        };
        if seat.awaits_answer {
            self.tally[Count::Withheld] += 1;
            return;
        }
        self.frame.clear();
        self.payload.put(&mut self.frame, u64::from(seat.messages), (self.first + index) as u32);
        let written = write(stream, &self.frame);
        seat.messages = seat.messages.wrapping_add(1);
        seat.written_micros = micros(elapsed);
        seat.awaits_answer = true;
        self.tally[Count::Sent] += 1;
        self.tally[Count::Unanswered] += 1;
        if let Err(end) = written {
            self.end(index, &end);
        }
    }

    /// Waits at most `wait` for sockets and serves those that are ready.
    pub fn turn(&mut self, wait: Duration) -> Result<(), Failure> {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result.map_err(|error| Failure::io("the poller failed", &error))?,
        }
        let now = self.elapsed();
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let index = event.token().0;
            let served = self.on_connected(index, event.is_writable() || event.is_error()).and_then(|()| {
                if event.is_readable() || event.is_read_closed() {
                    return self.read(index, now, event.is_read_closed());
                }
                Ok(())
            });
            if let Err(end) = served {
                self.end(index, &end);
            }
        }
        self.events = events;
        Ok(())
    }

    /// Gives up all connections that are not open yet.
    pub fn give_up_connecting(&mut self) {
        for index in 0..self.seats.len() {
            if self.seats[index].phase != Phase::Open && self.seats[index].stream.is_some() {
                self.end(index, &End::Io(io::ErrorKind::TimedOut.into()));
            }
        }
    }

    /// The connection is made or has failed: asks for the upgrade.
    fn on_connected(&mut self, index: usize, is_writable: bool) -> Result<(), End> {
        let seat = &mut self.seats[index];
        let Some(stream) = seat.stream.as_mut().filter(|_| is_writable && seat.phase == Phase::Connecting) else {
            return Ok(());
        };
        if let Some(error) = stream.take_error().map_err(End::Io)? {
            return Err(End::Io(error));
        }
        seat.phase = Phase::Upgrading;
        write(stream, &self.target.request)
    }

    fn read(&mut self, index: usize, now: Duration, is_closed: bool) -> Result<(), End> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.read_all(index, now, is_closed, &mut buffer);
        self.buffer = buffer;
        result
    }

    /// Reads until the socket is empty.
    fn read_all(&mut self, index: usize, now: Duration, is_closed: bool, buffer: &mut [u8]) -> Result<(), End> {
        for _ in 0..READS_PER_EVENT {
            let Some(stream) = &mut self.seats[index].stream else {
                return Ok(());
            };
            // What was cut off is shorter than a frame that fits, so there is room behind it.
            let kept = self.cut.remove(&index).unwrap_or_default();
            buffer[..kept.len()].copy_from_slice(&kept);
            let result = stream.read(&mut buffer[kept.len()..]);
            let filled = match result {
                Ok(0) => return Err(End::Fin),
                Ok(read) => kept.len() + read,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                    self.keep(index, &kept);
                    if error.kind() == io::ErrorKind::Interrupted {
                        continue;
                    }
                    return Ok(());
                }
                Err(error) => return Err(End::Io(error)),
            };
            let used = self.digest(index, &buffer[..filled], now)?;
            if filled - used == buffer.len() {
                return Err(End::BadFrame(BadFrame("it is longer than any message that was sent")));
            }
            self.keep(index, &buffer[used..filled]);
            // A short read has emptied the socket (epoll(7)), unless a FIN stands behind it.
            if filled < buffer.len() && !is_closed {
                return Ok(());
            }
        }
        Err(End::BadFrame(BadFrame("there is no end of them")))
    }

    fn keep(&mut self, index: usize, rest: &[u8]) {
        if !rest.is_empty() {
            self.cut.insert(index, rest.to_vec());
        }
    }

    /// Makes sense of what was read, and says how much of it is whole.
    fn digest(&mut self, index: usize, input: &[u8], now: Duration) -> Result<usize, End> {
        let mut used = 0;
        if self.seats[index].phase == Phase::Upgrading {
            let Some(head_bytes) = handshake::head_bytes(input).map_err(End::Refused)? else {
                return Ok(0);
            };
            used = head_bytes;
            self.seats[index].phase = Phase::Open;
            self.tally[Count::Connecting] -= 1;
            self.tally[Count::Open] += 1;
        }
        loop {
            let mut rest = &input[used..];
            let before = rest.len();
            match FrameReader::default().next(&mut rest).map_err(End::BadFrame)? {
                Some(piece) if piece.is_last() => {
                    if frame::is_control(piece.opcode) {
                        self.on_control(index, piece.opcode, piece.bytes)?;
                    } else {
                        self.on_message(index, &piece, now);
                    }
                    used += before - rest.len();
                }
                _ => return Ok(used),
            }
        }
    }

    fn on_message(&mut self, index: usize, piece: &frame::Piece<'_>, now: Duration) {
        let seat = &mut self.seats[index];
        let expected = u64::from(seat.messages.wrapping_sub(1));
        let connection = (self.first + index) as u32;
        let answer = self.payload.check(&mut Incoming::default(), piece, expected, connection);
        if !seat.awaits_answer || answer != Some(Answer::Number(expected)) {
            self.tally[Count::Corrupt] += 1;
        }
        if std::mem::take(&mut seat.awaits_answer) {
            self.tally.answered(Duration::from_micros(micros(now).saturating_sub(seat.written_micros)));
            self.tally[Count::Unanswered] -= 1;
        }
    }

    fn on_control(&mut self, index: usize, opcode: u8, payload: &[u8]) -> Result<(), End> {
        let answer = match opcode {
            frame::PING => frame::PONG,
            frame::CLOSE => frame::CLOSE,
            _ => return Ok(()),
        };
        self.frame.clear();
        frame::put_masked(&mut self.frame, answer, payload, MASKING_KEY);
        let written = match &mut self.seats[index].stream {
            Some(stream) => write(stream, &self.frame),
            None => Ok(()),
        };
        if opcode == frame::CLOSE {
            return Err(End::CloseFrame(payload.first_chunk().map(|code| u16::from_be_bytes(*code))));
        }
        self.tally[Count::Pings] += 1;
        written
    }

    /// Counts the end of a connection, and frees what it held.
    fn end(&mut self, index: usize, end: &End) {
        let seat = &mut self.seats[index];
        if seat.stream.take().is_none() {
            return;
        }
        let count = match (seat.phase, end) {
            (Phase::Connecting | Phase::Upgrading, _) => Count::Refused,
            (_, End::CloseFrame(_)) => Count::Closed,
            (_, End::Fin) => Count::Ended,
            (_, End::BadFrame(_)) => Count::Spoilt,
            _ => Count::Reset,
        };
        let gauge = if seat.phase == Phase::Open { Count::Open } else { Count::Connecting };
        self.tally[gauge] -= 1;
        self.tally[count] += 1;
        if std::mem::take(&mut seat.awaits_answer) {
            self.tally[Count::Unanswered] -= 1;
        }
        self.cut.remove(&index);
        if self.ends_told < ENDS_TOLD {
            self.ends_told += 1;
            let sentence = unexpected(ClientId(self.first + index), end);
            // Nobody is left to tell if standard error is closed.
            let _ = writeln!(io::stderr(), "tidewire-load: {sentence}");
        }
    }
}

/// Writes a whole frame with one system call. An idle connection has an empty send buffer: if a frame
/// does not fit, the server has not read for long, and the connection counts as lost.
fn write(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), End> {
    match stream.write(bytes) {
        Ok(written) if written == bytes.len() => Ok(()),
        Ok(_) => Err(End::Io(io::ErrorKind::WriteZero.into())),
        Err(error) => Err(End::Io(error)),
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::args::Args;

    const MESSAGE_BYTES: usize = 20;

    /// What a scripted server does with the first message of a connection.
    #[derive(Clone, Copy)]
    enum Script {
        /// A ping, then the answer, byte by byte.
        PingAndEcho,
        /// The answer with one bit changed.
        Changed,
        /// A close frame with status 1001.
        CloseFrame,
        /// Nothing but the end.
        Hangup,
        /// A masked frame, which a server may not send.
        Masked,
        /// No upgrade in the first place.
        Refuse,
    }

    /// Serves one connection for each part of the script, one after the other, and holds them open.
    fn serve(listener: &TcpListener, scripts: &[Script]) -> io::Result<Vec<std::net::TcpStream>> {
        scripts
            .iter()
            .map(|script| {
                let (mut stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte)?;
                    request.extend(byte);
                }
                if let Script::Refuse = script {
                    stream.write_all(b"HTTP/1.1 503 Busy\r\n\r\n")?;
                    return Ok(stream);
                }
                let accept = handshake::ACCEPT;
                write!(stream, "HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: {accept}\r\n\r\n")?;
                let mut frame = [0; 6 + MESSAGE_BYTES];
                stream.read_exact(&mut frame)?;
                let mut answer = vec![0x82, MESSAGE_BYTES as u8];
                answer.extend(frame[6..].iter().zip(MASKING_KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
                match script {
                    Script::PingAndEcho => {
                        for byte in [0x89, 1, 7].iter().chain(&answer) {
                            stream.write_all(&[*byte])?;
                        }
                        let mut pong = [0; 7];
                        stream.read_exact(&mut pong)?;
                        assert_eq!((pong[0], pong[6] ^ MASKING_KEY[0]), (0x8a, 7));
                    }
                    Script::Changed => {
                        answer[12] ^= 1;
                        stream.write_all(&answer)?;
                    }
                    Script::CloseFrame => stream.write_all(&[0x88, 2, 3, 0xe9])?,
                    Script::Hangup => stream.shutdown(std::net::Shutdown::Write)?,
                    Script::Masked => stream.write_all(&[0x82, 0x80, 0, 0, 0, 0])?,
                    Script::Refuse => {}
                }
                Ok(stream)
            })
            .collect()
    }

    /// Takes turns until it holds, or ten seconds are over.
    fn turn_until(crowd: &mut Crowd, holds: impl Fn(&Tally) -> bool) {
        let began = Instant::now();
        while !holds(&crowd.tally) && began.elapsed() < Duration::from_secs(10) {
            crowd.turn(Duration::from_millis(10)).expect("a turn");
        }
        assert!(holds(&crowd.tally), "in vain: {}", crowd.tally.to_line());
    }

    #[test]
    fn good_and_bad_servers_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let port = listener.local_addr().expect("its address").port();
        let scripts =
            [Script::PingAndEcho, Script::Changed, Script::CloseFrame, Script::Hangup, Script::Masked, Script::Refuse];
        let server = thread::spawn(move || serve(&listener, &scripts));
        let words = ["million".to_owned(), format!("--port={port}")];
        let (_, mut args) = Args::parse(words).expect("arguments");
        let target = Target::from_args(&mut args, 1).expect("a target");
        let mut crowd = Crowd::new(target, 5, scripts.len(), MESSAGE_BYTES).expect("a crowd");
        for (index, script) in scripts.iter().enumerate() {
            crowd.connect().expect("a connection");
            let settled = |tally: &Tally| tally[Count::Connecting] == 0;
            turn_until(&mut crowd, settled);
            crowd.speak(index, crowd.elapsed());
            if !matches!(script, Script::Refuse) {
                turn_until(&mut crowd, |tally| tally[Count::Unanswered] == 0);
            }
        }
        let streams = server.join().expect("the server's thread").expect("the server's sockets");
        assert_eq!(streams.len(), scripts.len());

        let found = |count| crowd.tally[count];
        assert_eq!((found(Count::Sent), found(Count::Answers), found(Count::Corrupt)), (5, 2, 1));
        assert_eq!((found(Count::Pings), found(Count::Late)), (1, 0));
        assert_eq!((found(Count::Closed), found(Count::Ended), found(Count::Spoilt)), (1, 1, 1));
        assert_eq!((found(Count::Refused), found(Count::Open), found(Count::Reset)), (1, 2, 0));
        assert!(crowd.cut.is_empty());
    }

    #[test]
    fn a_message_waits_for_the_answer_to_the_one_before() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let port = listener.local_addr().expect("its address").port();
        let server = thread::spawn(move || serve(&listener, &[Script::Changed]));
        let (_, mut args) = Args::parse(["million".to_owned(), format!("--port={port}")]).expect("arguments");
        let target = Target::from_args(&mut args, 1).expect("a target");
        let mut crowd = Crowd::new(target, 0, 1, MESSAGE_BYTES).expect("a crowd");
        crowd.speak(0, Duration::ZERO);
        crowd.connect().expect("a connection");
        crowd.speak(0, Duration::ZERO);
        assert_eq!(crowd.tally[Count::Sent], 0, "nobody is there who could speak");
        turn_until(&mut crowd, |tally| tally[Count::Open] == 1);
        crowd.speak(0, Duration::ZERO);
        crowd.speak(0, Duration::ZERO);
        assert_eq!((crowd.tally[Count::Sent], crowd.tally[Count::Withheld]), (1, 1));
        turn_until(&mut crowd, |tally| tally[Count::Answers] == 1);
        server.join().expect("the server's thread").expect("its socket");
    }

    #[test]
    fn a_connection_costs_a_seat_of_24_bytes() {
        // A debug build of mio keeps the poller's number in each stream.
        let most = if cfg!(debug_assertions) { 40 } else { 24 };
        assert!(size_of::<Seat>() <= most, "{} bytes", size_of::<Seat>());
    }
}
