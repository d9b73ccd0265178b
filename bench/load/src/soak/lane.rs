//! What one connection has written and what it awaits: each message that comes is held against that. Memory: some 150
//! bytes, and 16 for each message without an echo.

use std::collections::VecDeque;
use std::time::Instant;

use crate::frame::Piece;
use crate::soak::codec::Codec;
use crate::soak::message::{Contents, HEAD_BYTES, Head, Shape, put, word};
use crate::soak::sequence::{Order, Sequence};
use crate::soak::tally::{Fault, Tally};

/// A connection's messages, in both directions.
pub struct Lane {
    /// Its number: no other connection of the run has it.
    pub connection: u32,
    written: u32,
    echoes: Sequence,
    topic: Option<(u32, Sequence)>,
    /// Whether publications may be left out: it reads slowly.
    skips: bool,
    incoming: Vec<u8>,
    under_way: VecDeque<(u32, Instant)>,
    has_receipt: bool,
}

impl Lane {
    /// Of a connection that has said nothing yet.
    pub fn new(connection: u32, skips: bool) -> Self {
        Self {
            connection,
            written: 0,
            echoes: Sequence::default(),
            topic: None,
            skips,
            incoming: Vec::new(),
            under_way: VecDeque::new(),
            has_receipt: false,
        }
    }

    /// Messages that were written.
    pub fn written(&self) -> u32 {
        self.written
    }

    /// Whether the server has heard of it: an echo came.
    pub fn is_known(&self) -> bool {
        self.echoes.next() > 0
    }

    /// Whether the server has said that it got everything.
    pub fn has_receipt(&self) -> bool {
        self.has_receipt
    }

    /// Appends the next message.
    pub fn put(
        &mut self,
        out: &mut Vec<u8>,
        codec: Option<&mut Codec>,
        contents: &Contents,
        tally: &mut Tally,
        now: Instant,
    ) {
        let shape = Shape::of(self.connection, self.written);
        let message = contents.message(self.connection, self.written, &shape);
        let compressed = codec.filter(|_| shape.compressed).map(|codec| codec.deflate(&message));
        put(out, &shape, &message, compressed);
        self.under_way.push_back((self.written, now));
        self.written += 1;
        tally.sent += 1;
        tally.sent_bytes += message.len() as u64;
    }

    /// Takes a piece of a message that comes.
    pub fn hear(
        &mut self,
        piece: &Piece<'_>,
        codec: Option<&mut Codec>,
        contents: &Contents,
        tally: &mut Tally,
        now: Instant,
    ) {
        if piece.is_last() && self.incoming.is_empty() && !piece.compressed {
            return self.message(piece.bytes, piece.opcode, contents, tally, now);
        }
        self.incoming.extend_from_slice(piece.bytes);
        if !piece.is_last() {
            return;
        }
        let mut incoming = std::mem::take(&mut self.incoming);
        if !piece.compressed {
            return self.message(&incoming, piece.opcode, contents, tally, now);
        }
        match codec.and_then(|codec| codec.inflate(&mut incoming)) {
            Some(message) => self.message(message, piece.opcode, contents, tally, now),
            None => {
                tally.fault(Fault::Corrupt, 1, self.connection, || "a compressed message cannot be inflated".to_owned())
            }
        }
    }

    /// Takes a whole message.
    fn message(&mut self, message: &[u8], opcode: u8, contents: &Contents, tally: &mut Tally, now: Instant) {
        tally.heard_bytes += message.len() as u64;
        if message.len() < HEAD_BYTES {
            return self.short(message, opcode, contents, tally, now);
        }
        let head = Head::read(message);
        match head {
            Some(Head { word: word::MESSAGE, of, number }) if of == self.connection && number < self.written => {
                let shape = Shape::of(of, number);
                if (shape.bytes, shape.opcode) == (message.len(), opcode) {
                    return self.echo(number, tally, now);
                }
            }
            Some(Head { word: word::START, of, number }) if self.topic.is_none() => {
                self.topic = Some((of, Sequence::from(number)));
                return;
            }
            Some(Head { word: word::PUBLICATION, of, number }) => {
                if let Some((topic, sequence)) = self.topic.as_mut().filter(|(topic, _)| *topic == of) {
                    tally.publications += 1;
                    let order = sequence.take(number);
                    let gap = if let Order::After(gap) = order { gap } else { 0 };
                    if self.skips && gap > 0 {
                        tally.skipped += u64::from(gap);
                        return;
                    }
                    return judge(order, self.connection, tally, || format!("publication {number} of topic {topic}"));
                }
            }
            Some(Head { word: word::RECEIPT, of, number }) if !self.has_receipt => {
                self.has_receipt = true;
                return self.settle(of, number, tally);
            }
            _ => {}
        }
        tally.fault(Fault::Corrupt, 1, self.connection, || {
            format!("{} bytes came that are none of its messages: {head:?}", message.len())
        });
    }

    /// A message without a head: it is known by its place.
    fn short(&mut self, message: &[u8], opcode: u8, contents: &Contents, tally: &mut Tally, now: Instant) {
        let is = |number: u32| {
            let shape = Shape::of(self.connection, number);
            (shape.bytes, shape.opcode) == (message.len(), opcode)
                && contents.message(self.connection, number, &shape) == message
        };
        let next = self.echoes.next();
        let awaited = (next..self.written).find(|number| is(*number));
        let in_turn = awaited.filter(|number| *number == next);
        let late = self.echoes.missing().iter().copied().find(|number| is(*number));
        let before = next.checked_sub(1).filter(|number| is(*number));
        match in_turn.or(late).or(before).or(awaited) {
            Some(number) => self.echo(number, tally, now),
            None => tally.fault(Fault::Corrupt, 1, self.connection, || {
                format!("{} bytes came that are none of its messages", message.len())
            }),
        }
    }

    fn echo(&mut self, number: u32, tally: &mut Tally, now: Instant) {
        tally.echoes += 1;
        let order = self.echoes.take(number);
        while let Some((written, at)) = self.under_way.front().copied().filter(|(written, _)| *written <= number) {
            self.under_way.pop_front();
            if written == number {
                tally.latency.record(now.saturating_duration_since(at));
            }
        }
        judge(order, self.connection, tally, || format!("the echo of message {number}"));
    }

    /// The server's receipt: all that is owed has come before it.
    fn settle(&mut self, next_publication: u32, received: u32, tally: &mut Tally) {
        let connection = self.connection;
        let written = self.written;
        tally.fault(Fault::Unconfirmed, u64::from(received.abs_diff(written)), connection, || {
            format!("{written} messages were written, and the server has got {received}")
        });
        self.owe_nothing(tally);
        if let Some((topic, sequence)) = &mut self.topic {
            let rest = u64::from(next_publication.saturating_sub(sequence.next()));
            if self.skips {
                tally.skipped += rest;
            } else {
                tally.fault(Fault::Lost, rest, connection, || {
                    format!("the last {rest} publications of topic {topic} have not come")
                });
            }
            // Until the server hears the close frame, others may come.
            *sequence = Sequence::from(next_publication.max(sequence.next()));
        }
    }

    /// No echo is to come any more: what has not come is lost.
    pub fn owe_nothing(&mut self, tally: &mut Tally) {
        let rest = self.written - self.echoes.next();
        tally.fault(Fault::Lost, u64::from(rest), self.connection, || {
            format!("the echoes of its last {rest} messages have not come")
        });
        self.echoes = Sequence::from(self.written);
        self.under_way.clear();
    }
}

fn judge(order: Order, connection: u32, tally: &mut Tally, what: impl Fn() -> String) {
    match order {
        Order::After(gap) => {
            tally.fault(Fault::Lost, u64::from(gap), connection, || format!("{gap} missing before {}", what()));
        }
        Order::Late => {
            tally.found();
            tally.fault(Fault::Reordered, 1, connection, || format!("{} came late", what()));
        }
        Order::Again => tally.fault(Fault::Doubled, 1, connection, || format!("{} came twice", what())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::BINARY;

    const CONNECTION: u32 = 77;

    /// A lane with 40 messages written, and what happens when this comes.
    fn heard(come: impl Fn(&mut Vec<(u8, Vec<u8>)>)) -> (Lane, Tally) {
        let (contents, mut tally, now) = (Contents::new(), Tally::default(), Instant::now());
        let mut lane = Lane::new(CONNECTION, false);
        let mut messages = Vec::new();
        for number in 0..40 {
            lane.put(&mut Vec::new(), None, &contents, &mut tally, now);
            let shape = Shape::of(CONNECTION, number);
            messages.push((shape.opcode, contents.message(CONNECTION, number, &shape)));
        }
        come(&mut messages);
        for (opcode, bytes) in &messages {
            let pieces = bytes.chunks(1_000).enumerate().map(|(part, bytes)| (part * 1_000, bytes));
            for (at, part) in pieces.chain(bytes.is_empty().then_some((0, &bytes[..]))) {
                let (payload_bytes, at) = (bytes.len() as u64, at as u64);
                let piece = Piece { opcode: *opcode, compressed: false, payload_bytes, at, bytes: part };
                lane.hear(&piece, None, &contents, &mut tally, now);
            }
        }
        (lane, tally)
    }

    fn receipt(next_publication: u32, received: u32) -> (u8, Vec<u8>) {
        (BINARY, Head { word: word::RECEIPT, of: next_publication, number: received }.message(b""))
    }

    fn publication(word: u8, number: u32) -> (u8, Vec<u8>) {
        (BINARY, Head { word, of: 3, number }.message(b"news"))
    }

    fn faults(tally: &Tally) -> [u64; 4] {
        [Fault::Lost, Fault::Doubled, Fault::Reordered, Fault::Corrupt].map(|fault| tally.count(fault))
    }

    #[test]
    fn what_comes_back_in_order_is_right() {
        assert!((0..40).any(|number| Shape::of(CONNECTION, number).is_short()));
        let (lane, tally) = heard(|messages| messages.push(receipt(0, 40)));
        assert_eq!((tally.echoes, tally.all_faults(), lane.has_receipt()), (40, 0, true), "{}", tally.told());
    }

    #[test]
    fn each_message_that_is_lost_doubled_swapped_or_changed_is_one_fault() {
        for at in 0..39 {
            let (_, tally) = heard(|messages| {
                messages.remove(at);
                messages.push(receipt(0, 40));
            });
            assert_eq!(faults(&tally), [1, 0, 0, 0], "lost {at}: {}", tally.told());
            let (_, tally) = heard(|messages| messages.insert(at, messages[at].clone()));
            assert_eq!(faults(&tally), [0, 1, 0, 0], "doubled {at}: {}", tally.told());
            let (_, tally) = heard(|messages| messages.swap(at, at + 1));
            assert_eq!(faults(&tally), [0, 0, 1, 0], "swapped {at}: {}", tally.told());
            let (_, tally) = heard(|messages| match messages[at].1.last_mut() {
                Some(byte) => *byte ^= 1,
                None => messages[at].1.push(0),
            });
            assert!(tally.count(Fault::Corrupt) >= 1, "changed {at}");
        }
    }

    #[test]
    fn a_receipt_says_what_has_not_come() {
        let (_, tally) = heard(|messages| {
            messages.truncate(37);
            messages.push(receipt(0, 39));
        });
        assert_eq!(faults(&tally), [3, 0, 0, 0]);
        assert_eq!(tally.count(Fault::Unconfirmed), 1);
    }

    #[test]
    fn publications_have_an_order_of_their_own() {
        let (_, tally) = heard(|messages| {
            messages.clear();
            messages.extend([publication(word::START, 10), publication(word::PUBLICATION, 10)]);
            messages.extend([12, 11, 13, 13].map(|number| publication(word::PUBLICATION, number)));
            messages.push((BINARY, Head { word: word::PUBLICATION, of: 4, number: 1 }.message(b"")));
        });
        assert_eq!((faults(&tally), tally.publications), ([0, 1, 1, 1], 5), "{}", tally.told());
        let (_, tally) = heard(|messages| {
            messages.push(publication(word::START, 10));
            messages.push(publication(word::PUBLICATION, 10));
            messages.push(receipt(13, 40));
        });
        assert_eq!(faults(&tally), [2, 0, 0, 0]);
    }

    #[test]
    fn what_a_slow_reader_was_spared_is_counted_once() {
        let (contents, mut tally, now) = (Contents::new(), Tally::default(), Instant::now());
        let mut lane = Lane::new(CONNECTION, true);
        let numbers = [10, 11, 14];
        let come = [publication(word::START, 10)]
            .into_iter()
            .chain(numbers.map(|number| publication(word::PUBLICATION, number)))
            .chain([receipt(20, 0), publication(word::PUBLICATION, 20)]);
        for (opcode, bytes) in come {
            lane.message(&bytes, opcode, &contents, &mut tally, now);
        }
        assert_eq!((tally.skipped, tally.all_faults()), (2 + 5, 0), "{}", tally.told());
    }
}
