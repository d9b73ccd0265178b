//! The opening handshake from the client's side (RFC 6455 §4.1). Every connection offers the key
//! of the RFC's own example, so that the right answer is a constant and costs no hashing.

use crate::failure::Failure;

/// The key of RFC 6455 §1.3.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The `Sec-WebSocket-Accept` that answers [`KEY`].
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Most bytes of an answer's head.
const HEAD_BYTES: usize = 16 * 1024;

/// The request, ready to be written, with an offer of extensions if there is one.
pub fn request(host: &str, path: &str, extensions: Option<&str>) -> Vec<u8> {
    let offer = extensions.map_or(String::new(), |offer| format!("Sec-WebSocket-Extensions: {offer}\r\n"));
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n"
    )
    .into_bytes()
}

/// Where the head of the answer ends in `bytes`, once it is whole and says yes.
pub fn head_bytes(bytes: &[u8]) -> Result<Option<usize>, Failure> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        if bytes.len() > HEAD_BYTES {
            return Err(Failure::new(format!(
                "the server's answer to the upgrade has no end after {HEAD_BYTES} bytes"
            )));
        }
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 101") {
        return Err(Failure::new(format!("the server answered the upgrade with `{status}`")));
    }
    let accept = lines
        .filter_map(|line| line.split_once(':'))
        .find_map(|(name, value)| name.eq_ignore_ascii_case("sec-websocket-accept").then_some(value.trim()));
    if accept != Some(ACCEPT) {
        return Err(Failure::new(format!(
            "the server's Sec-WebSocket-Accept is `{}` instead of `{ACCEPT}`",
            accept.unwrap_or_default()
        )));
    }
    Ok(Some(end + 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_is_a_yes_when_it_is_whole() {
        let head = format!("HTTP/1.1 101 Switching\r\nsec-websocket-ACCEPT:  {ACCEPT} \r\n\r\n");
        let mut bytes = head.clone().into_bytes();
        for cut in 0..bytes.len() {
            assert_eq!(head_bytes(&bytes[..cut]).expect("no mistake yet"), None);
        }
        bytes.extend([0x82, 0x00]);
        assert_eq!(head_bytes(&bytes).expect("a yes"), Some(head.len()));
    }

    #[test]
    fn a_no_names_what_came() {
        let sentence = |head: &str| head_bytes(head.as_bytes()).expect_err("a no").to_string();
        assert!(sentence("HTTP/1.1 404 Not Found\r\n\r\n").contains("404 Not Found"));
        assert!(sentence("HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: x\r\n\r\n").contains("`x`"));
        assert!(sentence(&"x".repeat(HEAD_BYTES + 1)).contains("no end"));
    }
}
