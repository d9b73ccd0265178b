//! Instructions of a declared response: records are taken or refused as a plain reading of them says, and
//! the body for a request is what such a reading finds in it. A parameter is the router's.
//!
//! Input: lines of text (the route's pattern, the request's target, the value of its field `x`, the content), then
//! the instructions.

use http::Request;
use http::request::Parts;
use tidewire::http::fields::{is_token, is_value_byte};
use tidewire::http::{Declared, HeadText, InvalidInstructions, Router};

/// See the module.
///
/// # Panics
///
/// Where a property does not hold.
pub fn check(data: &[u8]) {
    let mut lines = data.splitn(5, |&byte| byte == b'\n');
    let [pattern, target, field, content] = [(); 4].map(|()| lines.next().unwrap_or_default());
    let instructions = lines.next().unwrap_or_default();
    let pattern = String::from_utf8_lossy(pattern);

    let declared = Declared::parse(&pattern, instructions);
    let Some(records) = records(instructions) else {
        assert_eq!(declared, Err(InvalidInstructions));
        return;
    };
    let declared = declared.unwrap_or_else(|_| panic!("refused: {records:?}"));
    check_head(&declared, &records);
    let Ok(request) = Request::get(target).header("x", field).body(()) else { return };
    let (head, ()) = request.into_parts();
    let body = declared.body(&HeadText::of(&head, ""), content);
    assert_eq!(body, expected(&records, &pattern, &head, content), "{records:?}");
}

/// A record: its opcode and its bytes.
type Record<'a> = (u8, &'a [u8]);

/// All records, if each is what it should be.
fn records(mut rest: &[u8]) -> Option<Vec<Record<'_>>> {
    let mut records = Vec::new();
    while !rest.is_empty() {
        let length = usize::from(*rest.get(1)?) + usize::from(*rest.get(2)?) * 256;
        let record = (rest[0], rest.get(3..3 + length)?);
        let is_good = match record {
            (1, bytes) => {
                let (name, value) = field(bytes)?;
                is_token(name) && value.iter().all(|&byte| is_value_byte(byte))
            }
            (2 | 6, _) => true,
            (3 | 5, text) => String::from_utf8(text.to_vec()).is_ok(),
            (4, name) => is_token(name),
            (7, text) => matches!(text, [b'2'..=b'9', b'0'..=b'9', b'0'..=b'9', ..]),
            _ => false,
        };
        if !is_good {
            return None;
        }
        records.push(record);
        rest = &rest[3 + length..];
    }
    Some(records)
}

fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

fn check_head(declared: &Declared, records: &[Record<'_>]) {
    let status = records.iter().rev().find(|record| record.0 == 7).map_or(&b"200"[..], |record| &record.1[..3]);
    assert_eq!(declared.status().as_str().as_bytes(), status);
    assert_eq!(declared.wants_content(), records.iter().any(|record| record.0 == 6));
    let mut fields: Vec<_> = records
        .iter()
        .filter_map(|record| field(record.1).filter(|_| record.0 == 1))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec()))
        .filter(|(name, _)| name != b"content-length" && name != b"transfer-encoding")
        .collect();
    let taken = declared.headers().iter().map(|(name, value)| (name.as_str().into(), value.as_bytes().to_vec()));
    let mut taken: Vec<(Vec<u8>, Vec<u8>)> = taken.collect();
    // A map keeps the order of the values of one name only.
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    taken.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(taken, fields);
}

fn expected(records: &[Record<'_>], pattern: &str, head: &Parts, content: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for &(opcode, bytes) in records {
        let text = String::from_utf8_lossy(bytes);
        match opcode {
            2 => body.extend_from_slice(bytes),
            3 => body.extend(query(head.uri.query().unwrap_or_default(), &text)),
            4 => body.extend_from_slice(head.headers.get(&*text).map_or(b"", |value| value.as_bytes())),
            5 => body.extend(parameter(pattern, head.uri.path(), &text).bytes()),
            6 => body.extend_from_slice(content),
            _ => {}
        }
    }
    body
}

/// The value of a query's first parameter of that name, decoded byte by byte.
fn query(query: &str, key: &str) -> Vec<u8> {
    let mut pairs = query.split('&').filter(|pair| pair.split('=').next() == Some(key) && !key.is_empty());
    let value = pairs.next().and_then(|pair| pair.get(key.len() + 1..)).unwrap_or_default().as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < value.len() {
        let digits = value.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        match (value[at], digits.and_then(|digits| str::from_utf8(digits).ok())) {
            (b'%', Some(digits)) => {
                decoded.extend(u8::from_str_radix(digits, 16));
                at += 2;
            }
            (b'+', _) => decoded.push(b' '),
            (byte, _) => decoded.push(byte),
        }
        at += 1;
    }
    decoded
}

/// What the router has for a parameter; where the pattern does not match, nobody asks.
fn parameter(pattern: &str, path: &str, name: &str) -> String {
    let mut router = Router::new();
    if router.insert(pattern, ()).is_ok()
        && let Some(found) = router.lookup(path).next()
    {
        return found.parameter(name).unwrap_or_default().to_owned();
    }
    let mut segments = pattern.split('/').zip(path.split('/'));
    let value = segments.find_map(|(segment, value)| (segment == format!(":{name}")).then_some(value));
    value.unwrap_or_default().to_owned()
}
