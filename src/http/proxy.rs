//! The head of the PROXY protocol, version 2, by which a proxy tells whom it speaks for.
//!
//! The gate looks for it where a connection begins; most connections have none. What it says is shown to
//! the application beside the peer's own address, not in its place: anybody may send one. Source: the
//! specification of HAProxy, "The PROXY protocol", §2.2.

use super::response::Refusal;
use crate::limits;

/// How a head begins. No HTTP request does: it would have two empty lines before its request line.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes of what comes before the addresses: signature, version and command, family, length.
const FIXED_BYTES: usize = 16;

const FAMILY_TCP4: u8 = 0x11;
const FAMILY_TCP6: u8 = 0x21;

/// What stands at the beginning of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// Something else: a request.
    Request,
    /// Too little to tell.
    Unknown,
    /// A head of so many bytes.
    Proxied {
        /// Bytes of the head.
        bytes: usize,
        /// The client that the proxy speaks for; `None` where it speaks for itself, or for one without an
        /// IP address.
        client: Option<Client>,
    },
}

/// An address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Over IPv4.
    V4([u8; 4], u16),
    /// Over IPv6.
    V6([u8; 16], u16),
}

/// Looks at the bytes that have come first.
///
/// # Errors
///
/// For a head that is begun and does not go on as one; nothing can be answered to it that its sender would
/// understand, so the connection ends.
pub fn look(bytes: &[u8]) -> Result<Beginning, Refusal> {
    let compared = bytes.len().min(SIGNATURE.len());
    if bytes[..compared] != SIGNATURE[..compared] {
        return Ok(Beginning::Request);
    }
    let Some((fixed, rest)) = bytes.split_at_checked(FIXED_BYTES) else { return Ok(Beginning::Unknown) };
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > limits::PROXY_HEAD_BYTES {
        return Err(Refusal::bad_request("the head of the PROXY protocol is too long"));
    }
    let client = match fixed[12] {
        // LOCAL: a health check of the proxy's own.
        0x20 => None,
        0x21 => {
            if rest.len() < length {
                return Ok(Beginning::Unknown);
            }
            client(fixed[13], &rest[..length])?
        }
        _ => return Err(Refusal::bad_request("the version or the command of the PROXY protocol is unknown")),
    };
    if rest.len() < length {
        return Ok(Beginning::Unknown);
    }
    Ok(Beginning::Proxied { bytes: FIXED_BYTES + length, client })
}

/// The source address. What follows the addresses are additions that nobody reads here.
fn client(family: u8, block: &[u8]) -> Result<Option<Client>, Refusal> {
    const TOO_SHORT: Refusal = Refusal::bad_request("the addresses of the PROXY protocol are cut off");
    Ok(match family {
        FAMILY_TCP4 => {
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *block.first_chunk().ok_or(TOO_SHORT)?;
            Some(Client::V4([a, b, c, d], u16::from_be_bytes([high, low])))
        }
        FAMILY_TCP6 => {
            let both: &[u8; 36] = block.first_chunk().ok_or(TOO_SHORT)?;
            let source = *both.first_chunk().ok_or(TOO_SHORT)?;
            Some(Client::V6(source, u16::from_be_bytes([both[32], both[33]])))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(block.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, block].concat()
    }

    #[test]
    fn the_client_is_the_source() {
        let block = [203, 0, 113, 7, 10, 0, 0, 1, 0x12, 0x67, 0, 80, 0x04, 0, 1, 0];
        let bytes = head(0x21, FAMILY_TCP4, &block);
        let client = Some(Client::V4([203, 0, 113, 7], 4711));
        assert_eq!(look(&bytes), Ok(Beginning::Proxied { bytes: bytes.len(), client }));
        let with_request = [&bytes[..], b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(look(&with_request), Ok(Beginning::Proxied { bytes: bytes.len(), client }));
        let mut block = [0; 36];
        block[..16].copy_from_slice(&[7; 16]);
        block[32..34].copy_from_slice(&[1, 0]);
        let bytes = head(0x21, FAMILY_TCP6, &block);
        let client = Some(Client::V6([7; 16], 256));
        assert_eq!(look(&bytes), Ok(Beginning::Proxied { bytes: 52, client }));
    }

    #[test]
    fn a_proxy_may_speak_for_itself_or_for_nobody_with_an_address() {
        for bytes in [head(0x20, 0, b""), head(0x20, FAMILY_TCP4, &[1; 12]), head(0x21, 0x31, &[0; 216])] {
            assert_eq!(look(&bytes), Ok(Beginning::Proxied { bytes: bytes.len(), client: None }));
        }
    }

    #[test]
    fn less_than_a_head_is_unknown_and_anything_else_a_request() {
        let bytes = head(0x21, FAMILY_TCP4, &[1; 12]);
        for end in 0..bytes.len() {
            assert_eq!(look(&bytes[..end]), Ok(Beginning::Unknown), "{end}");
        }
        for request in [&b"GET / HTTP/1.1\r\n"[..], b"\r\nGET", b"\r\n\r\nG", b"\0", b"PROXY TCP4 "] {
            assert_eq!(look(request), Ok(Beginning::Request), "{}", request.escape_ascii());
        }
    }

    #[test]
    fn a_head_that_is_none_is_refused() {
        for bad in [
            head(0x11, FAMILY_TCP4, &[1; 12]),
            head(0x22, FAMILY_TCP4, &[1; 12]),
            head(0x21, FAMILY_TCP4, &[1; 11]),
            head(0x21, FAMILY_TCP6, &[1; 35]),
            head(0x21, FAMILY_TCP4, &vec![1; limits::PROXY_HEAD_BYTES + 1]),
        ] {
            assert!(look(&bad).is_err());
        }
    }
}
