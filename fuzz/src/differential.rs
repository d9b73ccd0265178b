//! Random streams of client frames, read by the engine and by tungstenite's server.
//!
//! [`run`] makes streams of valid frames and, in some, one frame that breaks a rule or a few bytes
//! flipped; feeds them in random pieces; and holds events and endings against each other. Where the
//! two may differ is a [`Difference`], with its reason; anything else panics with the seed of the
//! stream. Memory: one stream at a time.

use tidewire::error::Violation;
use tidewire::protocol::{Progress, Rules};

use crate::wire::{Agreed, Connection, Ending, Event, frame, oracle, pieces};

/// Where the engine differs from tungstenite 0.30 on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Difference {
    /// RFC 6455 §5.2: a length takes the fewest bytes. tungstenite takes any.
    NonMinimalLength,
    /// RFC 6455 §5.2: a 64-bit length has no top bit. tungstenite takes it for a large one.
    LengthTopBit,
    /// RFC 6455 §7.4 lets IANA register 1014. tungstenite answers it with 1002.
    BadGateway,
    /// RFC 6455 §7.4.1: a code that must not be sent fails the connection. tungstenite treats the
    /// frame as a close and answers it; or fails with 1007 if the reason is bad as well.
    CloseCode,
    /// RFC 6455 §5.2 and §8.1 let a server fail as soon as it can tell: we judge a head, and text
    /// byte by byte. tungstenite waits for the frame's end, which this stream never reaches.
    Sooner,
    /// Several rules are broken at once, and the RFC does not order them: both fail, in the same
    /// place or tungstenite behind it, with different codes.
    OtherRule,
    /// RFC 6455 §5.5 bounds a control frame whatever a route's limit is. tungstenite holds its
    /// limit against control frames, too.
    ControlLimit,
}

/// What a run saw.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Frames that were made.
    pub frames: u64,
    /// Streams of them.
    pub streams: u64,
    /// Bytes of the streams.
    pub bytes: u64,
    /// Events on which both agree.
    pub events: u64,
    /// Streams that were taken to their last byte, closed, and failed, by the engine's judgement.
    pub endings: [u64; 3],
    /// Streams with each difference.
    pub differences: std::collections::BTreeMap<Difference, u64>,
}

/// Reads at least so many frames. The same seed gives the same streams.
///
/// # Panics
///
/// On a difference that is not a [`Difference`]; it says the stream.
pub fn run(frames: u64, seed: u64) -> Counts {
    let mut counts = Counts::default();
    while counts.frames < frames {
        let stream_seed = seed.wrapping_add(counts.streams);
        let mut random = Random::new(stream_seed);
        let (bytes, made) = stream(&mut random);
        let max_payload_bytes = if random.below(8) == 0 { 300 } else { 1 << 20 };
        let lengths: Vec<usize> = (0..1 + random.below(6)).map(|_| 1 + random.below(3000)).collect();
        counts.frames += made;
        counts.streams += 1;
        counts.bytes += bytes.len() as u64;
        compare(&bytes, &lengths, max_payload_bytes, stream_seed, &mut counts);
    }
    counts
}

fn compare(bytes: &[u8], lengths: &[usize], max_payload_bytes: usize, seed: u64, counts: &mut Counts) {
    let rules = Rules { max_payload_bytes, max_fragments: u32::MAX };
    let mut connection = Connection::new(rules, Agreed::Nothing);
    let progress = connection.reads(pieces(bytes, lengths));
    let ours = &connection.recorder.events;
    let (theirs, their_ending) = oracle(bytes, max_payload_bytes);
    counts.events += ours.iter().zip(&theirs).filter(|(ours, theirs)| ours == theirs).count() as u64;
    counts.endings[match progress {
        Progress::Drained | Progress::Paused { .. } => 0,
        Progress::Close { .. } => 1,
        Progress::Violation(_) => 2,
    }] += 1;
    let ending = Ending::from(progress.clone());
    if *ours == theirs && ending == their_ending {
        return;
    }
    let difference = difference(&progress, ours, &theirs, &their_ending);
    let Some(difference) = difference else {
        panic!(
            "stream {seed} with a limit of {max_payload_bytes}: we have {} events and {ending:?}, tungstenite {} and {their_ending:?}",
            ours.len(),
            theirs.len(),
        );
    };
    *counts.differences.entry(difference).or_default() += 1;
}

/// The known difference that explains what was seen.
fn difference(progress: &Progress, ours: &[Event], theirs: &[Event], their_ending: &Ending) -> Option<Difference> {
    // What we delivered it delivered, too: before a failure nothing differs.
    let same_beginning = theirs.starts_with(ours);
    match progress {
        Progress::Close { code: Some(1014), .. } if ours == theirs => Some(Difference::BadGateway),
        Progress::Violation(Violation::InvalidCloseCode) if ours == theirs => match their_ending {
            Ending::Closed(Some((1002, _))) | Ending::Failed(1007) => Some(Difference::CloseCode),
            _ => None,
        },
        Progress::Violation(Violation::NonMinimalLength) if same_beginning => Some(Difference::NonMinimalLength),
        Progress::Violation(Violation::LengthTopBit) if same_beginning => Some(Difference::LengthTopBit),
        Progress::Violation(_) if ours == theirs => match their_ending {
            Ending::Open => Some(Difference::Sooner),
            Ending::Failed(_) => Some(Difference::OtherRule),
            Ending::Closed(_) => None,
        },
        // Text inside of a message fails at its first bad byte; tungstenite goes on to the frame's
        // or message's end, past control frames that stand between the fragments.
        Progress::Violation(Violation::InvalidUtf8) if same_beginning => Some(Difference::Sooner),
        _ if ours.starts_with(theirs) && *their_ending == Ending::Failed(1009) => match ours.get(theirs.len()) {
            Some(Event::Ping(_) | Event::Pong(_)) => Some(Difference::ControlLimit),
            _ => None,
        },
        _ => None,
    }
}

/// A stream of a client's frames, and how many there are.
fn stream(random: &mut Random) -> (Vec<u8>, u64) {
    let mut bytes = Vec::new();
    let mut frames = 0;
    let hostile_at = if random.below(3) == 0 { random.below(24) } else { usize::MAX };
    for at in 0..1 + random.below(24) {
        if at == hostile_at {
            bytes.extend(hostile(random));
            frames += 1;
            continue;
        }
        frames += match random.below(40) {
            0 => {
                bytes.extend(close(random));
                1
            }
            1..=8 => {
                bytes.extend(control(random));
                1
            }
            _ => message(random, &mut bytes),
        };
    }
    if random.below(8) == 0 {
        for _ in 0..1 + random.below(3) {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        }
    }
    if random.below(8) == 0 {
        bytes.truncate(random.below(bytes.len()));
    }
    (bytes, frames)
}

/// A message in one frame or in several, with control frames between them.
fn message(random: &mut Random, out: &mut Vec<u8>) -> u64 {
    let is_text = random.below(2) == 0;
    let size = size(random);
    let payload = if is_text { text(random, size) } else { random.bytes(size) };
    let mut opcode = if is_text { 0x1 } else { 0x2 };
    let mut rest = payload.as_slice();
    let mut frames = 1;
    if random.below(3) == 0 {
        for _ in 0..1 + random.below(5) {
            let (fragment, behind) = rest.split_at(random.below(rest.len() + 1));
            out.extend(frame(opcode, Some(random.key()), fragment));
            (opcode, rest, frames) = (0x0, behind, frames + 1);
            if random.below(4) == 0 {
                out.extend(control(random));
                frames += 1;
            }
        }
    }
    out.extend(frame(0x80 | opcode, Some(random.key()), rest));
    frames
}

/// A length of a message, over all three encodings and around their borders.
fn size(random: &mut Random) -> usize {
    match random.below(200) {
        0 => 65_530 + random.below(12),
        1 => 65_536 + random.below(4000),
        2..=11 => random.below(5000),
        12..=31 => 120 + random.below(12),
        _ => random.below(60),
    }
}

/// Characters of one to four bytes; a twentieth of the texts have a byte that is none.
fn text(random: &mut Random, size: usize) -> Vec<u8> {
    let mut text = String::with_capacity(size + 4);
    while text.len() < size {
        text.push(['a', 'z', ' ', 'ß', '€', '\u{ffff}', '😀', '\u{10ffff}'][random.below(8)]);
    }
    let mut bytes = text.into_bytes();
    if random.below(20) == 0 && !bytes.is_empty() {
        let at = random.below(bytes.len());
        bytes[at] = random.next() as u8;
    }
    bytes
}

fn control(random: &mut Random) -> Vec<u8> {
    let first = if random.below(2) == 0 { 0x89 } else { 0x8A };
    let size = random.below(126);
    let payload = random.bytes(size);
    frame(first, Some(random.key()), &payload)
}

fn close(random: &mut Random) -> Vec<u8> {
    let code = match random.below(4) {
        0 => random.next() as u16,
        1 => 3000 + random.below(2000) as u16,
        _ => 1000 + random.below(16) as u16,
    };
    let size = random.below(100);
    let payload = match random.below(6) {
        0 => Vec::new(),
        1 => vec![0x03],
        _ => [&code.to_be_bytes()[..], &text(random, size)].concat(),
    };
    frame(0x88, Some(random.key()), &payload)
}

/// One frame, or two, that break a rule.
fn hostile(random: &mut Random) -> Vec<u8> {
    let key = Some(random.key());
    let reserved = [0x40, 0x20, 0x10][random.below(3)];
    match random.below(8) {
        0 => frame(0x80 | reserved | random.below(11) as u8, key, b"x"),
        1 => frame(0x80 | [3, 4, 5, 6, 7, 11, 12, 13, 14, 15][random.below(10)], key, b"x"),
        2 => frame(8 + random.below(3) as u8, key, b"x"),
        3 => frame(0x88 + random.below(3) as u8, key, &random.bytes(126)),
        4 => frame(0x80, key, b"continues nothing"),
        5 => [frame(0x01, key, b"begins"), frame(0x81, key, b"begins again")].concat(),
        6 => frame(0x81, None, b"bare"),
        _ => {
            // A short payload with a length of 16 or 64 bits, the latter with or without its top bit.
            let mut bytes = vec![0x82];
            match random.below(3) {
                0 => bytes.extend([0xfe, 0, 5]),
                1 => bytes.extend([0xff, 0, 0, 0, 0, 0, 0, 0, 5]),
                _ => bytes.extend([0xff, 0x80, 0, 0, 0, 0, 0, 0, 5]),
            }
            bytes.extend([0; 4]);
            bytes.extend(b"12345");
            bytes
        }
    }
}

/// Steele's SplitMix64: enough to choose by, and the same everywhere.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xd134_2543_de82_ef95))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, or 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    fn key(&mut self) -> [u8; 4] {
        (self.next() as u32).to_le_bytes()
    }
}
