//! Connections that flood: each writes messages as fast as the server takes them, never waiting for an answer, and
//! reads the answers. Used by `flood` and `swamp`. Work is done in steps of a bounded length, so that a mode can do
//! something else between two of them. Memory: a lane for each connection, and what the kernel has not taken of one step.

use std::time::{Duration, Instant};

use crate::client::Client;
use crate::failure::Failure;
use crate::frame::Piece;
use crate::payload::{Answer, Incoming, Payload};
use crate::swarm::{Bounds, ClientId, Conversation, Pace, Swarm};
use crate::target::Target;

/// Bytes of messages in one step: some 10 µs of work.
const WRITE_BYTES: usize = 4 * 1024;

/// Bytes of answers that are read in one step: less than 20 µs of work.
const READ_BYTES: usize = 8 * 1024;

/// The same over TLS, whose records must fit in.
const SEALED_READ_BYTES: usize = 32 * 1024;

/// The connections that flood.
pub struct Torrent {
    swarm: Swarm,
    current: Current,
    sent: Vec<u64>,
    /// The connection that is looked at next.
    next: usize,
    frames: Vec<u8>,
}

impl Torrent {
    /// Opens so many connections, which are silent until [`Torrent::pour`].
    pub fn open(target: Target, payload: Payload, connections: usize) -> Result<Self, Failure> {
        let read_bytes = if target.tls.is_some() { SEALED_READ_BYTES } else { READ_BYTES };
        let mut swarm = Swarm::bounded(target, Bounds { events: 1, reads: 1, read_bytes })?;
        swarm.open(connections, Pace { window: 64, per_second: None })?;
        let lanes = std::iter::repeat_with(Lane::default).take(connections).collect();
        Ok(Self {
            swarm,
            current: Current { payload, lanes, answers: 0, wrong: 0 },
            sent: vec![0; connections],
            next: 0,
            frames: Vec::new(),
        })
    }

    /// Writes a step's worth of messages to the next connection of which the kernel has taken all that was written.
    /// Whether there was one.
    pub fn pour(&mut self) -> Result<bool, Failure> {
        let connections = self.sent.len();
        for turn in 0..connections {
            let id = ClientId((self.next + turn) % connections);
            let client = self.swarm.client(id).ok_or_else(|| Failure::new(format!("connection {} has gone", id.0)))?;
            if client.unsent_bytes() > 0 {
                continue;
            }
            self.frames.clear();
            while self.frames.len() < WRITE_BYTES {
                self.current.payload.put(&mut self.frames, self.sent[id.0], id.0 as u32);
                self.sent[id.0] += 1;
            }
            client.write(&self.frames);
            self.next = id.0 + 1;
            return Ok(true);
        }
        Ok(false)
    }

    /// Takes a step's worth of answers from one connection, if there are some within `wait`.
    pub fn hear(&mut self, wait: Duration) -> Result<(), Failure> {
        self.swarm.turn(wait, &mut self.current)
    }

    /// Answers so far, right or wrong.
    pub fn answers(&self) -> u64 {
        self.current.answers
    }

    /// Messages so far.
    pub fn sent(&self) -> u64 {
        self.sent.iter().sum()
    }

    /// An error if an answer was wrong, or came out of order. What has not come counts for nothing.
    pub fn verdict(&self) -> Result<(), Failure> {
        match self.current.wrong {
            0 => Ok(()),
            wrong => Err(Failure::new(format!("the server's answers to the flood were wrong: {wrong}"))),
        }
    }
}

/// What one connection waits for.
#[derive(Default)]
struct Lane {
    incoming: Incoming,
    expected: u64,
}

/// The answers.
struct Current {
    payload: Payload,
    lanes: Vec<Lane>,
    answers: u64,
    wrong: u64,
}

impl Conversation for Current {
    fn opened(&mut self, id: ClientId, _: &mut Client, _: Instant) -> Result<(), Failure> {
        Err(Failure::new(format!("connection {} opened in the middle of the flood", id.0)))
    }

    fn heard(&mut self, id: ClientId, piece: &Piece<'_>, _: Instant) -> Result<(), Failure> {
        let lane = &mut self.lanes[id.0];
        if let Some(answer) = self.payload.check(&mut lane.incoming, piece, lane.expected, id.0 as u32) {
            self.wrong += u64::from(answer != Answer::Number(lane.expected));
            lane.expected += 1;
            self.answers += 1;
        }
        Ok(())
    }

    fn rest(&mut self, _: ClientId, _: &mut Client, _: Instant) -> Result<(), Failure> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::BINARY;
    use crate::payload::{Kind, MASKING_KEY};

    #[test]
    fn an_answer_out_of_order_is_wrong() {
        let payload = Payload::new(Kind::Binary, 20);
        let answer = |number| {
            let mut frame = Vec::new();
            payload.put(&mut frame, number, 0);
            let body = frame.split_off(frame.len() - 20);
            body.iter().zip(MASKING_KEY.iter().cycle()).map(|(byte, key)| byte ^ key).collect::<Vec<u8>>()
        };
        let judged = |numbers: &[u64]| {
            let lanes = vec![Lane::default()];
            let mut current = Current { payload: Payload::new(Kind::Binary, 20), lanes, answers: 0, wrong: 0 };
            for number in numbers {
                let bytes = &answer(*number)[..];
                let piece = Piece { opcode: BINARY, compressed: false, payload_bytes: 20, at: 0, bytes };
                current.heard(ClientId(0), &piece, Instant::now()).expect("an answer");
            }
            (current.answers, current.wrong)
        };
        assert_eq!(judged(&[0, 1, 2]), (3, 0));
        assert_eq!(judged(&[0, 2, 1]), (3, 2));
    }
}
