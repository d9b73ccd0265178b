//! What a client speaks, by its first bytes: TLS that is served, TLS and SSL of old, plain HTTP, or anything else.

/// What the bytes so far begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// They are too few to tell.
    More,
    /// A record of TLS; what is in it is rustls's to judge.
    Tls,
    /// A ClientHello of TLS 1.1 or 1.0, SSL 3.0 or 2.0.
    Old,
    /// A request of HTTP.
    PlainHttp,
    /// None of these.
    Unknown,
}

/// Content types of a record (RFC 8446 §5.1; 24 is heartbeat's, RFC 6520).
const CONTENT_TYPES: std::ops::RangeInclusive<u8> = 20..=24;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const TLS_1_2: [u8; 2] = [3, 3];

/// Bytes of a record that has a version of a ClientHello in it, and of one that is not too long for rustls.
const HELLO_RECORD_BYTES: std::ops::Range<u16> = 6..18_432;

/// Letters of a method at most: `UPDATEREDIRECTREF` is the longest that is registered.
const METHOD_LETTERS: usize = 20;

impl Opening {
    pub(super) fn of(bytes: &[u8]) -> Self {
        match bytes {
            [] => Self::More,
            [b'A'..=b'Z', ..] => method(bytes),
            [first, ..] if *first >= 0x80 => ssl2(bytes),
            [kind, 3, ..] | [kind] if CONTENT_TYPES.contains(kind) => tls(bytes),
            _ => Self::Unknown,
        }
    }
}

/// A method and a space (RFC 9112 §3).
fn method(bytes: &[u8]) -> Opening {
    let letters = bytes.iter().take_while(|byte| matches!(byte, b'A'..=b'Z' | b'-')).count();
    match bytes.get(letters) {
        _ if letters > METHOD_LETTERS => Opening::Unknown,
        None => Opening::More,
        Some(b' ') => Opening::PlainHttp,
        Some(_) => Opening::Unknown,
    }
}

/// CLIENT-HELLO of SSL 2.0, by which clients of later versions once began, too (RFC 5246 §E.2).
fn ssl2(bytes: &[u8]) -> Opening {
    match bytes {
        [_, _, CLIENT_HELLO, 0, 2, ..] | [_, _, CLIENT_HELLO, 3, 0..=3, ..] => Opening::Old,
        [_] | [_, _] | [_, _, CLIENT_HELLO] | [_, _, CLIENT_HELLO, 0 | 3] => Opening::More,
        _ => Opening::Unknown,
    }
}

/// Each client that has 1.2 or 1.3 says 1.2 in its ClientHello (RFC 8446 §4.1.2). rustls looks at other things
/// first, which old ones do not have. Where the version does not stand in the first record, it judges.
fn tls(bytes: &[u8]) -> Opening {
    match bytes {
        [HANDSHAKE, _, _, long, short, CLIENT_HELLO, _, _, _, version @ ..]
            if HELLO_RECORD_BYTES.contains(&u16::from_be_bytes([*long, *short]))
                && version.len() >= 2
                && version[..2] < TLS_1_2[..] =>
        {
            Opening::Old
        }
        _ => Opening::Tls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opening_is_known_by_its_first_bytes() {
        let cases: &[(&[u8], Opening)] = &[
            (b"", Opening::More),
            (b"G", Opening::More),
            (b"GET", Opening::More),
            (b"GET ", Opening::PlainHttp),
            (b"PRI * HTTP/2.0\r\n", Opening::PlainHttp),
            (b"M-SEARCH * HTTP/1.1\r\n", Opening::PlainHttp),
            (b"GETGETGETGETGETGETGETGET", Opening::Unknown),
            (b"get / HTTP/1.1\r\n", Opening::Unknown),
            (b"SSH-2.0-x", Opening::Unknown),
            (b"\r\n", Opening::Unknown),
            (&[0], Opening::Unknown),
            (&[22], Opening::Tls),
            (&[25], Opening::Unknown),
            (&[22, 2], Opening::Unknown),
            (&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3], Opening::Tls),
            (&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3], Opening::Tls),
            (&[22, 3, 1, 0, 5, 1, 0, 1, 252, 3, 2], Opening::Tls),
            (&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 2], Opening::Old),
            (&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 1], Opening::Old),
            (&[22, 3, 0, 0, 50, 1, 0, 0, 46, 3, 0], Opening::Old),
            (&[22, 3, 0, 72, 1, 1, 0, 0, 46, 3, 0], Opening::Tls),
            (&[21, 3, 1, 0, 2, 2, 40], Opening::Tls),
            (&[0x80], Opening::More),
            (&[0x80, 46, 1, 3], Opening::More),
            (&[0x80, 46, 1, 0, 2], Opening::Old),
            (&[0x80, 46, 1, 3, 1], Opening::Old),
            (&[0x80, 46, 1, 3, 4], Opening::Unknown),
            (&[0x80, 46, 2], Opening::Unknown),
            (&[255, 255, 255, 255, 255], Opening::Unknown),
        ];
        for (bytes, opening) in cases {
            assert_eq!(Opening::of(bytes), *opening, "{bytes:?}");
        }
    }

    #[test]
    fn more_bytes_do_not_change_what_is_known() {
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x80, 46, 1, 3, 1, 0, 0], &[22, 3, 1, 0, 9, 1, 0, 0, 5, 3, 0]] {
            let whole = Opening::of(bytes);
            let found = (0..bytes.len()).map(|length| Opening::of(&bytes[..length]));
            assert!(found.clone().all(|opening| [Opening::More, Opening::Tls, whole].contains(&opening)), "{bytes:?}");
            assert!(found.clone().any(|opening| opening != whole), "{bytes:?}");
        }
    }
}
