//! Messages that go to the server and come back: on each connection a given number in flight, every
//! answer verified for order and content. Used by `echo`, `rtt` and `idle`. Memory: a lane for each
//! connection, and 16 bytes for each message in flight.

use std::time::{Duration, Instant};

use crate::client::Client;
use crate::failure::Failure;
use crate::frame::Piece;
use crate::histogram::Histogram;
use crate::payload::{Answer, Incoming, Payload};
use crate::report::Report;
use crate::swarm::{ClientId, Conversation, Swarm};

/// A write holds at most as many bytes of new messages, unless one alone is longer.
const WRITE_BYTES: usize = 256 * 1024;

/// What has not come when nothing came for this long is lost.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Answers that were not the right ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Never answered.
    pub lost: u64,
    /// Answered twice.
    pub duplicated: u64,
    /// Answered after a later one.
    pub disordered: u64,
    /// Answered with other content, length or opcode.
    pub corrupt: u64,
}

impl Faults {
    /// Adds the group `faults`.
    pub fn report(&self, report: &mut Report) {
        let mut group = Report::new();
        group
            .count("lost", self.lost)
            .count("duplicated", self.duplicated)
            .count("disordered", self.disordered)
            .count("corrupt", self.corrupt);
        report.group("faults", group);
    }

    /// An error if there was any.
    pub fn verdict(&self) -> Result<(), Failure> {
        if *self == Self::default() {
            return Ok(());
        }
        Err(Failure::new(format!(
            "the server's answers were wrong: {} lost, {} duplicated, {} out of order, {} corrupt",
            self.lost, self.duplicated, self.disordered, self.corrupt
        )))
    }
}

/// The order of one connection's answers.
#[derive(Default)]
struct Order {
    sent: u64,
    expected: u64,
    missing: Vec<u64>,
}

impl Order {
    /// Counts an answer's fault, if it has one.
    fn judge(&mut self, answer: Answer, faults: &mut Faults) {
        match answer {
            Answer::Number(number) if number == self.expected && number < self.sent => {
                self.expected += 1;
            }
            Answer::Number(number) if number >= self.sent => faults.corrupt += 1,
            Answer::Number(number) if number > self.expected => {
                self.missing.extend(self.expected..number);
                self.expected = number + 1;
            }
            Answer::Number(number) => match self.missing.iter().position(|missing| *missing == number) {
                Some(index) => {
                    self.missing.swap_remove(index);
                    faults.disordered += 1;
                }
                None => faults.duplicated += 1,
            },
            Answer::Corrupt => {
                faults.corrupt += 1;
                self.expected = self.sent.min(self.expected + 1);
            }
        }
    }

    fn unanswered(&self) -> u64 {
        self.sent - self.expected + self.missing.len() as u64
    }
}

/// One connection's part of the exchange.
struct Lane {
    order: Order,
    incoming: Incoming,
    /// Messages that are due: an answer came, or they are the first.
    due: usize,
    /// When each message in flight was written, by its number modulo their count.
    written: Box<[Instant]>,
}

/// Echoed messages on many connections.
pub struct Exchange {
    payload: Payload,
    in_flight: usize,
    lanes: Vec<Lane>,
    frames: Vec<u8>,
    is_over: bool,
    answers: u64,
    compressed: u64,
    faults: Faults,
    /// From the write of a message to the read that brought its answer.
    pub latency: Histogram,
}

impl Exchange {
    /// For `connections` connections with `in_flight` messages on each.
    pub fn new(payload: Payload, connections: usize, in_flight: usize) -> Self {
        let now = Instant::now();
        let lane = || Lane {
            order: Order::default(),
            incoming: Incoming::default(),
            due: 0,
            written: vec![now; in_flight].into_boxed_slice(),
        };
        Self {
            payload,
            in_flight,
            lanes: std::iter::repeat_with(lane).take(connections).collect(),
            frames: Vec::new(),
            is_over: false,
            answers: 0,
            compressed: 0,
            faults: Faults::default(),
            latency: Histogram::new(),
        }
    }

    /// Length of a payload.
    pub fn payload_bytes(&self) -> usize {
        self.payload.bytes()
    }

    /// Answers so far, right or wrong.
    pub fn answers(&self) -> u64 {
        self.answers
    }

    /// Those of them that came compressed.
    pub fn compressed(&self) -> u64 {
        self.compressed
    }

    /// How many connections talk: the first ones.
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// Answers of one connection, while none is out of order.
    pub fn answered(&self, id: ClientId) -> u64 {
        self.lanes[id.0].order.expected
    }

    /// What was wrong with them. Lost ones are known after [`Exchange::finish`].
    pub fn faults(&self) -> Faults {
        self.faults
    }

    /// Writes the first messages of a connection.
    pub fn begin(&mut self, id: ClientId, client: &mut Client) {
        self.lanes[id.0].due = self.in_flight;
        self.write_due(id, client, Instant::now());
    }

    /// From now on an answer is not followed by another message.
    pub fn stop(&mut self) {
        self.is_over = true;
    }

    /// Messages written and not answered.
    pub fn unanswered(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.order.unanswered()).sum()
    }

    /// Stops, and waits for what is still under way. What does not come is lost.
    pub fn finish(&mut self, swarm: &mut Swarm) -> Result<(), Failure> {
        self.stop();
        let mut answers = self.answers;
        let mut last = Instant::now();
        while self.unanswered() > 0 && last.elapsed() < LAST_ANSWERS {
            swarm.turn_expecting(self)?;
            if self.answers > answers {
                answers = self.answers;
                last = Instant::now();
            }
        }
        self.faults.lost = self.unanswered();
        Ok(())
    }

    fn write_due(&mut self, id: ClientId, client: &mut Client, now: Instant) {
        let lane = &mut self.lanes[id.0];
        // While the kernel takes no more, what is due waits: `rest` comes again with each answer.
        while lane.due > 0 && client.unsent_bytes() == 0 {
            self.frames.clear();
            while lane.due > 0 && self.frames.len() < WRITE_BYTES {
                let number = lane.order.sent;
                self.payload.put(&mut self.frames, number, id.0 as u32);
                lane.written[(number % self.in_flight as u64) as usize] = now;
                lane.order.sent += 1;
                lane.due -= 1;
            }
            client.write(&self.frames);
        }
    }
}

impl Conversation for Exchange {
    fn opened(&mut self, id: ClientId, _: &mut Client, _: Instant) -> Result<(), Failure> {
        Err(Failure::new(format!("connection {} opened in the middle of an exchange", id.0)))
    }

    fn heard(&mut self, id: ClientId, piece: &Piece<'_>, now: Instant) -> Result<(), Failure> {
        let lane = &mut self.lanes[id.0];
        let expected = lane.order.expected;
        let incoming = &mut lane.incoming;
        let Some(answer) = self.payload.check(incoming, piece, expected, id.0 as u32) else {
            return Ok(());
        };
        lane.order.judge(answer, &mut self.faults);
        self.answers += 1;
        self.compressed += u64::from(piece.compressed);
        let written = lane.written[(expected % self.in_flight as u64) as usize];
        self.latency.record(now.saturating_duration_since(written));
        if !self.is_over && lane.order.unanswered() + (lane.due as u64) < self.in_flight as u64 {
            lane.due += 1;
        }
        Ok(())
    }

    fn rest(&mut self, id: ClientId, client: &mut Client, now: Instant) -> Result<(), Failure> {
        if self.is_over {
            self.lanes[id.0].due = 0;
            return Ok(());
        }
        self.write_due(id, client, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Faults and unanswered messages of ten messages answered with these numbers.
    fn judged(numbers: impl IntoIterator<Item = u64>) -> (Faults, u64) {
        let mut order = Order { sent: 10, ..Order::default() };
        let mut faults = Faults::default();
        for number in numbers {
            order.judge(Answer::Number(number), &mut faults);
        }
        (faults, order.unanswered())
    }

    #[test]
    fn answers_in_order_have_no_fault() {
        assert_eq!(judged(0..10), (Faults::default(), 0));
        assert_eq!(judged(0..7), (Faults::default(), 3));
    }

    #[test]
    fn loss_disorder_and_duplicates_are_told_apart() {
        assert_eq!(judged([0, 1, 3, 4, 5, 6, 7, 8, 9]), (Faults::default(), 1));
        let disordered = Faults { disordered: 1, ..Faults::default() };
        assert_eq!(judged([0, 1, 3, 2, 4, 5, 6, 7, 8, 9]), (disordered, 0));
        let duplicated = Faults { duplicated: 1, ..Faults::default() };
        assert_eq!(judged([0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9]), (duplicated, 0));
    }

    #[test]
    fn an_answer_to_a_message_not_sent_is_corrupt() {
        let corrupt = Faults { corrupt: 1, ..Faults::default() };
        assert_eq!(judged((0..10).chain([10])), (corrupt, 0));
        let mut order = Order { sent: 10, ..Order::default() };
        let mut faults = Faults::default();
        order.judge(Answer::Corrupt, &mut faults);
        assert_eq!((faults, order.expected), (corrupt, 1));
        assert!(faults.verdict().is_err());
    }
}
