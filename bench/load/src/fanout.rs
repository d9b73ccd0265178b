//! Mode `fanout`: many connections that the server has subscribed to one topic, and one more that asks.
//! It sends the text of a number, upon which the server publishes so many messages together to all but
//! the one that asked. When every subscriber has got all of them it asks again. Message `n` is `n` in
//! decimal digits, padded: each subscriber must hear every number, in order. Memory: 16 bytes for each.

use std::time::{Duration, Instant};

use crate::args::Args;
use crate::client::Client;
use crate::failure::Failure;
use crate::frame::{self, Piece};
use crate::measure::Interval;
use crate::payload::MASKING_KEY;
use crate::report::{Outcome, Report, micros};
use crate::swarm::{ClientId, Conversation, Pace, Swarm};
use crate::target::{CONNECTIONS_PER_ADDRESS, Target};

/// The connection that asks.
const ASKING: ClientId = ClientId(0);

/// Before the measured interval, so that code is compiled and pools are there.
const WARMUP: Duration = Duration::from_secs(1);

/// Options, besides the target's: `--subscribers` (10000), `--together` (1 message for each request),
/// `--seconds` (5).
pub fn run(mut args: Args) -> Result<Outcome, Failure> {
    let subscribers = args.count("subscribers", 10_000, 1)?;
    let together = args.count("together", 1, 1)?;
    let span = args.seconds("seconds", 5.0)?;
    let target = Target::from_args(&mut args, (subscribers + 1).div_ceil(CONNECTIONS_PER_ADDRESS))?;
    args.finish()?;

    let process = target.required_process()?;
    let mut swarm = Swarm::new(target)?;
    swarm.open(subscribers + 1, Pace { window: 64, per_second: None })?;
    let mut audience = Audience { heard: vec![Heard::default(); subscribers + 1], deliveries: 0 };
    let ask = |swarm: &mut Swarm, audience: &mut Audience, span: Duration| -> Result<(), Failure> {
        let began = Instant::now();
        while began.elapsed() < span {
            request(swarm, together)?;
            let awaited = audience.deliveries + (subscribers * together) as u64;
            while audience.deliveries < awaited {
                swarm.turn_expecting(audience)?;
            }
        }
        Ok(())
    };
    ask(&mut swarm, &mut audience, WARMUP)?;
    let before = audience.deliveries;
    let interval = Interval::begin(Some(process))?;
    let main = process.main_thread_time()?;
    ask(&mut swarm, &mut audience, span)?;
    let used = interval.end()?;
    let main = process.main_thread_time()?.saturating_sub(main);
    let deliveries = audience.deliveries - before;
    let publishes = deliveries / subscribers as u64;

    let mut report = Report::new();
    report
        .text("mode", "fanout")
        .count("subscribers", subscribers as u64)
        .count("together", together as u64)
        .count("publishes", publishes)
        .number("mainThreadMicrosPerPublish", micros(main) / publishes as f64)
        .number("deliveriesPerSecond", deliveries as f64 / used.elapsed.as_secs_f64());
    used.report(&mut report, deliveries);
    report.count("closedUncleanly", swarm.close()? as u64);
    Ok(Outcome { report, verdict: Ok(()) })
}

/// Asks for so many messages.
fn request(swarm: &mut Swarm, together: usize) -> Result<(), Failure> {
    let client = swarm.client(ASKING).ok_or_else(|| Failure::new("the connection that asks has gone"))?;
    let mut bytes = Vec::new();
    frame::put_masked(&mut bytes, frame::TEXT, together.to_string().as_bytes(), MASKING_KEY);
    client.write(&bytes);
    Ok(())
}

/// What one subscriber has heard.
#[derive(Clone, Copy, Default)]
struct Heard {
    /// The number of the next message.
    expected: u64,
    /// As far as the digits of this one have come.
    number: u64,
}

/// All subscribers.
struct Audience {
    heard: Vec<Heard>,
    deliveries: u64,
}

impl Conversation for Audience {
    fn opened(&mut self, id: ClientId, _: &mut Client, _: Instant) -> Result<(), Failure> {
        Err(Failure::new(format!("connection {} opened in the middle of a fan-out", id.0)))
    }

    fn heard(&mut self, id: ClientId, piece: &Piece<'_>, _: Instant) -> Result<(), Failure> {
        if id == ASKING {
            return Err(Failure::new("the connection that asked got the message itself"));
        }
        let heard = &mut self.heard[id.0];
        for byte in piece.bytes {
            heard.number = heard.number.wrapping_mul(10).wrapping_add(u64::from(byte.wrapping_sub(b'0')));
        }
        if piece.is_last() {
            let Heard { expected, number } = *heard;
            if number != expected || piece.opcode != frame::TEXT {
                return Err(Failure::new(format!("connection {} got message {number} instead of {expected}", id.0)));
            }
            *heard = Heard { expected: expected + 1, number: 0 };
            self.deliveries += 1;
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

    /// Hears texts, each cut in two.
    fn hear(texts: &[&str]) -> Result<u64, Failure> {
        let mut audience = Audience { heard: vec![Heard::default(); 2], deliveries: 0 };
        for text in texts {
            let payload_bytes = text.len() as u64;
            for (at, bytes) in [(0, &text.as_bytes()[..1]), (1, &text.as_bytes()[1..])] {
                let piece = Piece { opcode: frame::TEXT, compressed: false, payload_bytes, at, bytes };
                audience.heard(ClientId(1), &piece, Instant::now())?;
            }
        }
        Ok(audience.deliveries)
    }

    #[test]
    fn every_number_in_order_is_right() {
        let texts: Vec<String> = (0..12).map(|number| format!("{number:05}")).collect();
        assert_eq!(hear(&texts.iter().map(String::as_str).collect::<Vec<_>>()).expect("right"), 12);
    }

    #[test]
    fn loss_and_disorder_are_named() {
        let sentence = hear(&["00", "02"]).expect_err("a message is missing").to_string();
        assert_eq!(sentence, "connection 1 got message 2 instead of 1");
        assert!(hear(&["01"]).is_err() && hear(&["00", "00"]).is_err());
    }
}
