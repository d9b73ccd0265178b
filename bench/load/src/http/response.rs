//! Reads responses of HTTP/1.1 that have a `Content-Length` (RFC 9112 §4, §6.3), and holds them against
//! what they must be.

use crate::failure::Failure;

/// Most bytes of a response's head.
const HEAD_BYTES: usize = 16 * 1024;

/// What every response must be: status 200 with this content, on a connection that is kept alive.
pub(super) struct Expected {
    /// All of the content.
    pub(super) content: Vec<u8>,
}

impl Expected {
    /// How many bytes the response at the beginning of `bytes` has, once it is whole and right. `None`: more has
    /// to come.
    pub(super) fn response_bytes(&self, bytes: &[u8]) -> Result<Option<usize>, Failure> {
        let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return match bytes.len() > HEAD_BYTES {
                true => Err(Failure::new(format!("a response's head has no end after {HEAD_BYTES} bytes"))),
                false => Ok(None),
            };
        };
        let length = content_length(&bytes[..head])?;
        if length != self.content.len() {
            return Err(Failure::new(format!(
                "a response has {length} bytes of content instead of {}",
                self.content.len()
            )));
        }
        let end = head + 4 + length;
        match bytes.get(head + 4..end) {
            None => Ok(None),
            Some(content) if content == self.content => Ok(Some(end)),
            Some(content) => Err(Failure::new(format!(
                "a response's content is `{}` instead of `{}`",
                content.escape_ascii(),
                self.content.escape_ascii()
            ))),
        }
    }
}

/// The length that the head of a response says, if that is one with status 200 and a length, behind which
/// another may follow.
fn content_length(head: &[u8]) -> Result<usize, Failure> {
    let mut lines = head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let status = lines.next().unwrap_or_default();
    if !status.starts_with(b"HTTP/1.1 200 ") {
        return Err(Failure::new(format!("the server answered with `{}`", status.escape_ascii())));
    }
    let mut length = None;
    for line in lines {
        let bad = || Failure::new(format!("a response has the field `{}`", line.escape_ascii()));
        let colon = line.iter().position(|&byte| byte == b':').ok_or_else(bad)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let number = value.iter().all(u8::is_ascii_digit).then(|| str::from_utf8(value).ok()).flatten();
            let number = number.and_then(|number| number.parse().ok()).ok_or_else(bad)?;
            if length.replace(number).is_some() {
                return Err(Failure::new("a response has two fields Content-Length"));
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding")
            || name.eq_ignore_ascii_case(b"connection") && !value.eq_ignore_ascii_case(b"keep-alive")
        {
            return Err(bad());
        }
    }
    length.ok_or_else(|| Failure::new("a response has no Content-Length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "HTTP/1.1 200 OK\r\nDate: now\r\ncontent-LENGTH:  5 \r\nConnection: keep-alive\r\n\r\nhello";

    fn read(bytes: &str) -> Result<Option<usize>, Failure> {
        Expected { content: b"hello".to_vec() }.response_bytes(bytes.as_bytes())
    }

    #[test]
    fn a_response_is_taken_when_it_is_whole() {
        for cut in 0..GOOD.len() {
            assert_eq!(read(&GOOD[..cut]).expect("no mistake yet"), None, "{cut}");
        }
        assert_eq!(read(GOOD).expect("a response"), Some(GOOD.len()));
        assert_eq!(read(&format!("{GOOD}{GOOD}")).expect("a response"), Some(GOOD.len()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let sentence = |from: &str, to: &str| read(&GOOD.replace(from, to)).expect_err("a mistake").to_string();
        assert!(sentence("200 OK", "404 Not Found").contains("`HTTP/1.1 404 Not Found`"));
        assert!(sentence("HTTP/1.1", "HTTP/1.0").contains("HTTP/1.0 200"));
        assert!(sentence("hello", "hallo").contains("`hallo` instead of `hello`"));
        assert!(sentence("  5 ", "6").contains("6 bytes of content instead of 5"));
        assert!(sentence("  5 ", "+5").contains("`content-LENGTH:+5`"));
        assert!(sentence("  5 ", "").contains("`content-LENGTH:`"));
        assert!(sentence("Date: now", "Content-Length: 5").contains("two fields"));
        assert!(sentence("Date: now", "Transfer-Encoding: chunked").contains("chunked"));
        assert!(sentence("Date: now", "no colon").contains("`no colon`"));
        assert!(sentence("keep-alive", "close").contains("`Connection: close`"));
        assert!(sentence("content-LENGTH", "x-length").contains("no Content-Length"));
        assert!(read(&"x".repeat(HEAD_BYTES + 1)).is_err());
    }
}
