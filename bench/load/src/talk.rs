//! A few connections that talk at a steady pace beside whatever else a mode does, and the latency of their answers.
//! Used by `storm` and `flood`. Each message is due on a clock, not upon an answer, so that a server that stands
//! still is asked all the while. Memory: 16 bytes for each message without an answer.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::failure::Failure;
use crate::frame::Piece;
use crate::histogram::Histogram;
use crate::payload::{Answer, Incoming, Payload};
use crate::swarm::{ClientId, Conversation, Swarm};

/// An answer that takes as long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What one connection waits for.
#[derive(Default)]
struct Lane {
    incoming: Incoming,
    expected: u64,
    /// When each message without an answer was written.
    written: VecDeque<Instant>,
}

/// Those that talk. It does not sleep: [`Talk::turn`] is to be called as often as can be.
pub struct Talk {
    payload: Payload,
    lanes: Vec<Lane>,
    step: Duration,
    began: Instant,
    sent: u32,
    frame: Vec<u8>,
    wrong: u64,
    /// From the write of a message to the read that brought its answer.
    pub latency: Histogram,
}

impl Talk {
    /// For so many connections, each with a message in every `interval`, evenly spread.
    pub fn new(payload: Payload, connections: usize, interval: Duration) -> Self {
        Self {
            payload,
            lanes: std::iter::repeat_with(Lane::default).take(connections).collect(),
            step: interval / connections as u32,
            began: Instant::now(),
            sent: 0,
            frame: Vec::new(),
            wrong: 0,
            latency: Histogram::new(),
        }
    }

    /// Sends what is due and takes what has come.
    pub fn turn(&mut self, swarm: &mut Swarm) -> Result<(), Failure> {
        while self.began.elapsed() >= self.step * self.sent {
            let id = ClientId(self.sent as usize % self.lanes.len());
            let lane = &mut self.lanes[id.0];
            let number = lane.expected + lane.written.len() as u64;
            self.frame.clear();
            self.payload.put(&mut self.frame, number, id.0 as u32);
            lane.written.push_back(Instant::now());
            self.sent += 1;
            match swarm.client(id) {
                Some(client) => client.write(&self.frame),
                None => return Err(Failure::new(format!("connection {} has gone", id.0))),
            }
        }
        self.hear(swarm)
    }

    /// Takes what has come.
    pub fn hear(&mut self, swarm: &mut Swarm) -> Result<(), Failure> {
        swarm.turn(Duration::ZERO, self)
    }

    /// Talks for so long, and nothing else happens.
    pub fn go_on(&mut self, swarm: &mut Swarm, duration: Duration) -> Result<(), Failure> {
        let began = Instant::now();
        while began.elapsed() < duration {
            self.turn(swarm)?;
        }
        Ok(())
    }

    /// Whether there are answers that have not come.
    pub fn is_waiting(&self) -> bool {
        self.lanes.iter().any(|lane| !lane.written.is_empty())
    }

    /// Sends no more and waits for the answers that have not come; `meanwhile` is done between two looks.
    pub fn finish(
        &mut self,
        swarm: &mut Swarm,
        mut meanwhile: impl FnMut() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        while self.is_waiting() {
            if began.elapsed() > PATIENCE {
                return Err(Failure::new(format!("an answer has not come after {PATIENCE:?}")));
            }
            self.hear(swarm)?;
            meanwhile()?;
        }
        Ok(())
    }

    /// An error if an answer was wrong.
    pub fn verdict(&self) -> Result<(), Failure> {
        match self.wrong {
            0 => Ok(()),
            wrong => Err(Failure::new(format!("the server's answers were wrong: {wrong}"))),
        }
    }
}

impl Conversation for Talk {
    fn opened(&mut self, id: ClientId, _: &mut Client, _: Instant) -> Result<(), Failure> {
        Err(Failure::new(format!("connection {} opened in the middle of the talk", id.0)))
    }

    fn heard(&mut self, id: ClientId, piece: &Piece<'_>, now: Instant) -> Result<(), Failure> {
        let lane = &mut self.lanes[id.0];
        let Some(answer) = self.payload.check(&mut lane.incoming, piece, lane.expected, id.0 as u32) else {
            return Ok(());
        };
        let Some(written) = lane.written.pop_front() else {
            return Err(Failure::new(format!("connection {} got a message that nobody asked for", id.0)));
        };
        self.wrong += u64::from(answer != Answer::Number(lane.expected));
        lane.expected += 1;
        self.latency.record(now.saturating_duration_since(written));
        Ok(())
    }

    fn rest(&mut self, _: ClientId, _: &mut Client, _: Instant) -> Result<(), Failure> {
        Ok(())
    }
}
