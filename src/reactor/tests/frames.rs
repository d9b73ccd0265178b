//! Frames as a client writes and reads them, independent of the code under test.

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// A frame of the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub opcode: u8,
    pub fin: bool,
    pub payload: Vec<u8>,
}

/// A whole frame of the server's, to compare with.
pub fn said(opcode: u8, payload: &[u8]) -> Frame {
    Frame { opcode, fin: true, payload: payload.to_vec() }
}

/// A close frame of the server's.
pub fn closed(code: u16, reason: &str) -> Frame {
    said(CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// A whole frame of a client's, masked.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    fragment(opcode, true, payload)
}

/// A close frame of a client's.
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    frame(CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// A frame of a client's, masked.
pub fn fragment(opcode: u8, fin: bool, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x5a, 0x17, 0xc3, 0x88];
    let mut out = vec![opcode | if fin { 0x80 } else { 0 }];
    match payload.len() {
        length @ ..=125 => out.push(0x80 | length as u8),
        length @ ..=65_535 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&KEY);
    out.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

/// A whole frame of a client's with a masking key of zeros, which is quickly made.
pub fn plain(opcode: u8, payload: &[u8]) -> Vec<u8> {
    assert!((126..65_536).contains(&payload.len()));
    let head = [0x80 | opcode, 0x80 | 126, (payload.len() >> 8) as u8, payload.len() as u8, 0, 0, 0, 0];
    [&head, payload].concat()
}

/// Decodes what a server wrote; the last frame must be whole.
pub fn decode(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        assert_eq!(bytes[1] & 0x80, 0, "a server does not mask");
        let (length, head) = match bytes[1] {
            126 => (u16::from_be_bytes([bytes[2], bytes[3]]) as usize, 4),
            127 => (u64::from_be_bytes(bytes[2..10].try_into().unwrap()) as usize, 10),
            length => (length as usize, 2),
        };
        let payload = bytes[head..head + length].to_vec();
        frames.push(Frame { opcode: bytes[0] & 0x0f, fin: bytes[0] & 0x80 != 0, payload });
        bytes = &bytes[head + length..];
    }
    frames
}
