//! RFC 6455 §5 frames as a client needs them: masked headers to send, unmasked frames to read
//! from any split of the stream. Written apart from the engine's own framing, so that the bench
//! does not inherit its mistakes. Allocates nothing.

/// Opcode of a text message (RFC 6455 §5.2).
pub const TEXT: u8 = 1;
/// Opcode of a binary message.
pub const BINARY: u8 = 2;
/// Opcode of a close frame.
pub const CLOSE: u8 = 8;
/// Opcode of a ping.
pub const PING: u8 = 9;
/// Opcode of a pong.
pub const PONG: u8 = 10;

/// Whether the opcode is a control frame's (RFC 6455 §5.5).
pub fn is_control(opcode: u8) -> bool {
    opcode >= CLOSE
}

/// Set in the first byte of a message's last frame.
const FIN: u8 = 0x80;

/// Appends the header of a masked, unfragmented frame.
pub fn put_masked_header(out: &mut Vec<u8>, opcode: u8, payload_bytes: usize, key: [u8; 4]) {
    put_header(out, FIN | opcode, payload_bytes, key);
}

/// Appends a message in so many frames as there are `parts` (RFC 6455 §5.4). `opcode` may have RSV1 set.
pub fn put_fragments<'p>(out: &mut Vec<u8>, opcode: u8, parts: impl Iterator<Item = &'p [u8]>, key: [u8; 4]) {
    let mut parts = parts.peekable();
    let mut first = opcode;
    while let Some(part) = parts.next() {
        let fin = if parts.peek().is_none() { FIN } else { 0 };
        put_header(out, fin | first, part.len(), key);
        put_payload(out, part, key);
        first = 0;
    }
}

fn put_header(out: &mut Vec<u8>, first_byte: u8, payload_bytes: usize, key: [u8; 4]) {
    out.push(first_byte);
    if payload_bytes < 126 {
        out.push(0x80 | payload_bytes as u8);
    } else if let Ok(short) = u16::try_from(payload_bytes) {
        out.push(0x80 | 126);
        out.extend(short.to_be_bytes());
    } else {
        out.push(0x80 | 127);
        out.extend((payload_bytes as u64).to_be_bytes());
    }
    out.extend(key);
}

/// Appends a whole masked frame: control frames and other rare ones.
pub fn put_masked(out: &mut Vec<u8>, opcode: u8, payload: &[u8], key: [u8; 4]) {
    put_masked_header(out, opcode, payload.len(), key);
    put_payload(out, payload, key);
}

fn put_payload(out: &mut Vec<u8>, payload: &[u8], key: [u8; 4]) {
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// What one read holds of one frame's payload: all of it, or a part.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The frame's opcode.
    pub opcode: u8,
    /// Whether the message is compressed: RSV1 (RFC 7692 §6).
    pub compressed: bool,
    /// Length of the whole payload.
    pub payload_bytes: u64,
    /// Where in the payload `bytes` begins.
    pub at: u64,
    /// The part, empty only for an empty payload.
    pub bytes: &'a [u8],
}

impl Piece<'_> {
    /// Whether the frame ends with this piece.
    pub fn is_last(&self) -> bool {
        self.at + self.bytes.len() as u64 == self.payload_bytes
    }
}

/// What a server may not send to the bench: the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFrame(pub &'static str);

/// Reads frames from a stream that arrives in pieces. Keeps a cut header, never a payload.
#[derive(Default)]
pub struct FrameReader {
    head: [u8; 10],
    head_len: u8,
    /// Whether messages may be compressed.
    deflate: bool,
    compressed: bool,
    opcode: u8,
    in_payload: bool,
    payload_bytes: u64,
    at: u64,
}

impl FrameReader {
    /// For a server that may compress its messages.
    pub fn deflating() -> Self {
        Self { deflate: true, ..Self::default() }
    }

    /// The next piece, taken off the front of `input`; `None` when `input` is used up.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Piece<'a>>, BadFrame> {
        if !self.in_payload && !self.read_head(input)? {
            return Ok(None);
        }
        if input.is_empty() && self.payload_bytes > 0 {
            return Ok(None);
        }
        let left = usize::try_from(self.payload_bytes - self.at).unwrap_or(usize::MAX);
        let (bytes, rest) = input.split_at(left.min(input.len()));
        *input = rest;
        let piece = Piece {
            opcode: self.opcode,
            compressed: self.compressed,
            payload_bytes: self.payload_bytes,
            at: self.at,
            bytes,
        };
        self.at += bytes.len() as u64;
        self.in_payload = !piece.is_last();
        Ok(Some(piece))
    }

    /// Whether the header is whole now; then the payload follows.
    fn read_head(&mut self, input: &mut &[u8]) -> Result<bool, BadFrame> {
        loop {
            let need = match self.head_len {
                0 | 1 => 2,
                _ => 2 + extended_length_bytes(self.head[1]),
            };
            let have = usize::from(self.head_len);
            if have >= 2 && have == need {
                break;
            }
            let take = (need - have).min(input.len());
            if take == 0 {
                return Ok(false);
            }
            let (bytes, rest) = input.split_at(take);
            self.head[have..have + take].copy_from_slice(bytes);
            self.head_len += take as u8;
            *input = rest;
        }
        self.head_len = 0;
        self.compressed = self.deflate && self.head[0] & 0x40 != 0;
        if self.compressed {
            self.head[0] &= !0x40;
        }
        self.payload_bytes = payload_bytes(&self.head)?;
        self.opcode = self.head[0] & 0x0f;
        self.at = 0;
        self.in_payload = true;
        Ok(true)
    }
}

fn extended_length_bytes(second: u8) -> usize {
    match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    }
}

/// Checks a whole header and gives the length it declares (RFC 6455 §5.2, §5.5).
fn payload_bytes(head: &[u8; 10]) -> Result<u64, BadFrame> {
    let [first, second, ..] = *head;
    if first & 0x70 != 0 {
        return Err(BadFrame("a reserved bit is set, but no extension was negotiated"));
    }
    if second & 0x80 != 0 {
        return Err(BadFrame("a server's frame is masked"));
    }
    if first & 0x80 == 0 || first & 0x0f == 0 {
        return Err(BadFrame("the message is fragmented, which no echo needs"));
    }
    if !matches!(first & 0x0f, TEXT | BINARY | CLOSE | PING | PONG) {
        return Err(BadFrame("the opcode is reserved"));
    }
    let (length, least) = match second {
        126 => (u64::from(u16::from_be_bytes([head[2], head[3]])), 126),
        127 => (u64::from_be_bytes([2, 3, 4, 5, 6, 7, 8, 9].map(|at| head[at])), 1 << 16),
        short => (u64::from(short), 0),
    };
    if length < least || length >> 63 != 0 {
        return Err(BadFrame("the length is not in its shortest form, or has its top bit set"));
    }
    if is_control(first & 0x0f) && length > 125 {
        return Err(BadFrame("a control frame is longer than 125 bytes"));
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames as a server sends them, and what a reader must find in them.
    fn stream() -> (Vec<u8>, Vec<(u8, Vec<u8>)>) {
        let frames: Vec<(u8, Vec<u8>)> = [(TEXT, 5), (BINARY, 0), (PING, 125), (BINARY, 126), (BINARY, 70_000)]
            .map(|(opcode, length)| (opcode, (0..length).map(|at| (at % 251) as u8).collect()))
            .into();
        let mut bytes = Vec::new();
        for (opcode, payload) in &frames {
            let mut masked = Vec::new();
            put_masked_header(&mut masked, *opcode, payload.len(), [0; 4]);
            masked.truncate(masked.len() - 4);
            masked[1] &= 0x7f;
            bytes.extend(masked);
            bytes.extend(payload);
        }
        (bytes, frames)
    }

    #[test]
    fn any_split_gives_the_same_frames() {
        let (bytes, frames) = stream();
        for step in [1, 2, 3, 7, 130, 4096, bytes.len()] {
            let mut reader = FrameReader::default();
            let mut found = Vec::new();
            let mut payload = Vec::new();
            for mut part in bytes.chunks(step) {
                while let Some(piece) = reader.next(&mut part).expect("a good frame") {
                    assert_eq!(piece.at, payload.len() as u64);
                    payload.extend(piece.bytes);
                    if piece.is_last() {
                        found.push((piece.opcode, std::mem::take(&mut payload)));
                    }
                }
            }
            assert!(found == frames, "split into {step}");
        }
    }

    #[test]
    fn what_a_server_may_not_send() {
        for (bytes, word) in [
            (&[0x82, 0x80][..], "masked"),
            (&[0xc2, 0x00], "reserved bit"),
            (&[0x02, 0x00], "fragmented"),
            (&[0x80, 0x00], "fragmented"),
            (&[0x83, 0x00], "opcode"),
            (&[0x82, 126, 0, 125], "shortest"),
            (&[0x82, 127, 0, 0, 0, 0, 0, 0, 255, 255], "shortest"),
            (&[0x82, 127, 128, 0, 0, 0, 0, 0, 0, 0], "top bit"),
            (&[0x89, 126, 0, 126], "125"),
        ] {
            let found = FrameReader::default().next(&mut &bytes[..]).expect_err(word);
            assert!(found.0.contains(word), "{bytes:02x?} gave {found:?}");
        }
    }

    #[test]
    fn fragments_are_those_of_rfc_6455_section_5_7() {
        let mut out = Vec::new();
        put_fragments(&mut out, TEXT, [&b"Hel"[..], b"lo"].into_iter(), [0; 4]);
        let hex = [0x01, 0x83, 0, 0, 0, 0, 0x48, 0x65, 0x6c, 0x80, 0x82, 0, 0, 0, 0, 0x6c, 0x6f];
        assert_eq!(out, hex);
        out.clear();
        put_fragments(&mut out, BINARY, [&[7u8][..]].into_iter(), [0; 4]);
        assert_eq!(out, [0x82, 0x81, 0, 0, 0, 0, 7]);
    }

    #[test]
    fn a_masked_frame_is_the_one_of_rfc_6455_section_5_7() {
        let mut out = Vec::new();
        put_masked(&mut out, TEXT, b"Hello", [0x37, 0xfa, 0x21, 0x3d]);
        let hex = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(out, hex);
    }
}
