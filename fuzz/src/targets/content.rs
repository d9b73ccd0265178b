//! Bytes as the content of a request: cuts do not change what is seen, and it is judged as a plain reading of
//! RFC 9112 §7.1 judges it. hyper, behind it, finds the same data and the same end, so the next request
//! begins where the gate says.
//!
//! Input: two bytes of a length, a byte for the cuts' length, and the stream.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use tidewire::http::fields::{is_token_byte, is_value_byte};
use tidewire::http::{Content, Framing};
use tidewire::limits;

use crate::choices::Choices;
use crate::served::serve;

/// See the module.
///
/// # Panics
///
/// Where a property does not hold.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let length = u64::from(choices.word()).max(1);
    let cut = usize::from(choices.byte()).max(1);
    let bytes = choices.remainder();

    let whole = followed(Framing::Sized(length), bytes, bytes.len());
    let expected = length.min(bytes.len() as u64) as usize;
    assert_eq!(whole, Ok((expected, expected as u64 == length)));
    assert_eq!(followed(Framing::Sized(length), bytes, cut), whole);

    let whole = followed(Framing::Chunked, bytes, bytes.len());
    for cut in [1, cut] {
        assert_eq!(followed(Framing::Chunked, bytes, cut), whole, "cut at {cut}");
    }
    let plain = Plain::read(bytes);
    let expected = match &plain {
        None => Err(()),
        Some(Plain { end: Some(end), .. }) => Ok((*end, true)),
        Some(_) => Ok((bytes.len(), false)),
    };
    assert_eq!(whole.map_err(drop), expected, "{plain:?}");
    if let Some(plain) = plain {
        compare(&plain, bytes, cut);
    }
}

/// How many bytes pass in pieces of `cut` bytes, and whether all has passed then.
fn followed(framing: Framing, bytes: &[u8], cut: usize) -> Result<(usize, bool), &'static str> {
    let mut content = Content::behind(framing).expect("content");
    let mut passed = 0;
    for piece in bytes.chunks(cut.max(1)) {
        let count = content.follow(piece).map_err(|refusal| refusal.says)?;
        passed += count;
        assert!(count == piece.len() || content.is_over(), "{count} of {}", piece.len());
    }
    Ok((passed, content.is_over()))
}

/// Holds hyper's reading against ours.
fn compare(plain: &Plain, bytes: &[u8], cut: usize) {
    let (content, next) = match plain.end {
        Some(end) => (&bytes[..end], &b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"[..]),
        None => (bytes, &b""[..]),
    };
    let head = b"POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let requests = requests(&[head, content, next].concat(), cut);
    let first = Seen { path: "/first".to_owned(), data: plain.data.clone(), is_whole: plain.end.is_some() };
    if plain.end.is_none() {
        assert_eq!(requests, [first]);
    } else {
        let next = Seen { path: "/next".to_owned(), data: Vec::new(), is_whole: true };
        assert_eq!(requests, [first, next]);
    }
}

/// A request as hyper gives it to its user.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    path: String,
    data: Vec<u8>,
    is_whole: bool,
}

fn requests(bytes: &[u8], cut: usize) -> Vec<Seen> {
    let requests = Rc::new(RefCell::new(Vec::new()));
    serve(
        bytes,
        cut,
        service_fn(|request: Request<Incoming>| {
            let requests = requests.clone();
            let answer: Pin<Box<dyn Future<Output = _>>> = Box::pin(async move {
                let (head, mut content) = request.into_parts();
                let (mut data, mut is_whole) = (Vec::new(), true);
                while let Some(frame) = poll_fn(|cx| Pin::new(&mut content).poll_frame(cx)).await {
                    match frame.map(|frame| frame.into_data()) {
                        Ok(Ok(bytes)) => data.extend_from_slice(&bytes),
                        // A trailer section.
                        Ok(Err(_)) => {}
                        Err(_) => is_whole = false,
                    }
                }
                requests.borrow_mut().push(Seen { path: head.uri.path().to_owned(), data, is_whole });
                Ok::<_, Infallible>(Response::new(String::new()))
            });
            answer
        }),
    );
    requests.take()
}

/// Chunked content, read piece by piece of the grammar, as far as there is any.
#[derive(Debug, Default)]
struct Plain {
    data: Vec<u8>,
    /// Where it ends, if that has come.
    end: Option<usize>,
}

impl Plain {
    /// `None` if it breaks the rules.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut plain = Self::default();
        let mut rest = bytes;
        let mut extra = 0;
        loop {
            let (text, is_whole) = line(&mut rest)?;
            let mut parts = text.splitn(2, |&byte| byte == b';');
            let digits = parts.next().unwrap_or_default();
            let extension = parts.next();
            extra += extension.map_or(0, <[u8]>::len);
            let is_good = digits.iter().all(u8::is_ascii_hexdigit) && digits.len() <= 255;
            if !is_good || extra > limits::CHUNK_EXTRA_BYTES || !extension.unwrap_or_default().iter().all(value_byte) {
                return None;
            }
            // Too little to tell is not wrong yet.
            if digits.is_empty() && (extension.is_some() || is_whole.is_some()) {
                return None;
            }
            let significant = digits.iter().skip_while(|&&digit| digit == b'0').count();
            if significant > 16 {
                return None;
            }
            if is_whole != Some(true) {
                return Some(plain);
            }
            let size =
                digits.iter().fold(0, |size, &digit| size * 16 + (digit as char).to_digit(16).map_or(0, u64::from));
            if size == 0 {
                break;
            }
            let present = rest.len().min(usize::try_from(size).unwrap_or(usize::MAX));
            plain.data.extend_from_slice(&rest[..present]);
            rest = &rest[present..];
            match rest {
                [] | [b'\r'] => return Some(plain),
                [b'\r', b'\n', behind @ ..] => rest = behind,
                _ => return None,
            }
        }
        let mut fields = 0;
        loop {
            let (text, is_whole) = line(&mut rest)?;
            let colon = text.iter().position(|&byte| byte == b':');
            let name = &text[..colon.unwrap_or(text.len())];
            let value = &text[colon.map_or(text.len(), |colon| colon + 1)..];
            extra += text.len();
            let is_good = name.iter().all(|&byte| is_token_byte(byte)) && value.iter().all(value_byte);
            if !is_good || extra > limits::CHUNK_EXTRA_BYTES || colon == Some(0) {
                return None;
            }
            fields += usize::from(!text.is_empty());
            if fields > limits::REQUEST_HEADER_LINES {
                return None;
            }
            if is_whole.is_some() && colon.is_none() && !text.is_empty() {
                return None;
            }
            if is_whole != Some(true) {
                return Some(plain);
            }
            if text.is_empty() {
                plain.end = Some(bytes.len() - rest.len());
                return Some(plain);
            }
        }
    }
}

fn value_byte(byte: &u8) -> bool {
    is_value_byte(*byte)
}

/// Takes a line off, and tells whether its end has come: all of it, its CR, or nothing. `None`: it has
/// another end than CRLF.
fn line<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], Option<bool>)> {
    let Some(end) = rest.iter().position(|&byte| byte == b'\r' || byte == b'\n') else {
        return Some((std::mem::take(rest), None));
    };
    let (text, behind) = rest.split_at(end);
    match behind {
        [b'\r'] => {
            *rest = &[];
            Some((text, Some(false)))
        }
        [b'\r', b'\n', behind @ ..] => {
            *rest = behind;
            Some((text, Some(true)))
        }
        _ => None,
    }
}
