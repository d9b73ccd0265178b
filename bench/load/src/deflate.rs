//! Messages for `echo --deflate`: JSON-like text, compressed before the run (RFC 7692), so that the
//! client's part costs little beside the server's. What comes back compressed is inflated and verified whole.
//!
//! A message differs from others by the numbers at its front: these go in a stored block, and behind
//! it comes the compressed pattern, of which there is one for each phase.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::frame;
use crate::payload::MASKING_KEY;

/// What a compressed message lacks at its end.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// Both sides compress each message by itself, whatever the server's default is.
pub const OFFER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// Compressed patterns, masked for their place behind the numbers, and a decompressor.
pub struct Deflated {
    head_bytes: usize,
    bodies: Vec<Vec<u8>>,
    inflater: RefCell<Decompress>,
}

impl Deflated {
    /// For messages of `head_bytes` bytes and one of these bodies.
    pub fn new<'b>(head_bytes: usize, bodies: impl Iterator<Item = &'b [u8]>) -> Self {
        let bodies = bodies
            .map(|body| {
                let mut deflated = Vec::with_capacity(body.len() + 1024);
                let mut compressor = Compress::new(Compression::default(), false);
                // Into a buffer with room for more than the input, it cannot fail.
                let _ = compressor.compress_vec(body, &mut deflated, FlushCompress::Sync);
                deflated.truncate(deflated.len().saturating_sub(TAIL.len()));
                mask(&mut deflated, 5 + head_bytes);
                deflated
            })
            .collect();
        Self { head_bytes, bodies, inflater: RefCell::new(Decompress::new(false)) }
    }

    /// Appends the masked frame of a message.
    pub fn put(&self, out: &mut Vec<u8>, opcode: u8, head: &[u8], phase: usize) {
        let body = &self.bodies[phase];
        frame::put_masked_header(out, 0x40 | opcode, 5 + self.head_bytes + body.len(), MASKING_KEY);
        let length = (head.len() as u16).to_le_bytes();
        let start = out.len();
        // A stored block (RFC 1951 §3.2.4).
        out.extend([0, length[0], length[1], !length[0], !length[1]]);
        out.extend_from_slice(head);
        mask(&mut out[start..], 0);
        out.extend_from_slice(body);
    }

    /// A compressed answer's plain bytes, if they are `bytes` many.
    pub fn inflate(&self, answer: &mut Vec<u8>, bytes: usize) -> Option<Vec<u8>> {
        answer.extend(TAIL);
        let mut plain = Vec::with_capacity(bytes + 1);
        let mut inflater = self.inflater.borrow_mut();
        inflater.reset(false);
        let status = inflater.decompress_vec(answer, &mut plain, FlushDecompress::Sync);
        (matches!(status, Ok(Status::Ok)) && plain.len() == bytes).then_some(plain)
    }
}

/// Masks bytes that stand `at` bytes behind the front of a payload.
fn mask(bytes: &mut [u8], at: usize) {
    for (byte, key) in bytes.iter_mut().zip(MASKING_KEY.iter().cycle().skip(at % 4)) {
        *byte ^= key;
    }
}

/// Text of the kind that servers send: records of names and numbers.
pub fn json(bytes: usize) -> Vec<u8> {
    const NAMES: [&str; 8] = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"];
    const SYMBOLS: [&str; 3] = ["BTC-USD", "ETH-USD", "EUR-USD"];
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut below = |limit: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) % limit
    };
    let mut text = String::new();
    while text.len() < bytes {
        text.push_str(&format!(
            "{{\"id\":{},\"user\":\"{}\",\"price\":{}.{:02},\"symbol\":\"{}\",\"time\":{},\"text\":\"order {} was filled\"}},",
            below(1_000_000),
            NAMES[below(8) as usize],
            below(1_000),
            below(100),
            SYMBOLS[below(3) as usize],
            1_700_000_000_000 + below(100_000_000),
            below(10_000)
        ));
    }
    text.truncate(bytes);
    text.into_bytes()
}
