//! The rules for a request's head that hyper leaves to its user (RFC 9112 §3, RFC 9110 §7.2).
//!
//! The gate calls it before anything else looks at a request. hyper has already refused what breaks
//! the syntax: bare CR, NUL, folded lines, white space before a colon, a bad `Content-Length`.

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Uri, Version};

use super::response::{Refusal, Then};

/// The path that a request asks for, without its query, if its head keeps the rules.
///
/// # Errors
///
/// The refusal to answer with; the connection ends behind it.
pub fn path(request: &Parts) -> Result<&str, Refusal> {
    check_version(request.version)?;
    check_host(&request.headers)?;
    target_path(&request.method, &request.uri)
}

/// Only HTTP/1.1. hyper parses 1.0, too, and answers other versions with 400 itself.
fn check_version(version: Version) -> Result<(), Refusal> {
    if version == Version::HTTP_11 {
        return Ok(());
    }
    Err(Refusal {
        status: StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        says: "this server speaks HTTP/1.1",
        then: Then::Close,
    })
}

/// One `Host` line, with a host in it or empty (RFC 9112 §3.2). Two of them are how one server is
/// made to see another site than the proxy before it.
fn check_host(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut lines = headers.get_all(HOST).iter();
    let Some(host) = lines.next() else {
        return Err(Refusal::bad_request("Host is missing"));
    };
    if lines.next().is_some() {
        return Err(Refusal::bad_request("Host stands more than once"));
    }
    if !is_host(host.as_bytes()) {
        return Err(Refusal::bad_request("Host is not a host"));
    }
    Ok(())
}

/// `uri-host [ ":" port ]` (RFC 9110 §7.2), by the bytes that it may have (RFC 3986 §3.2.2): no user
/// information, no path, no list.
fn is_host(value: &[u8]) -> bool {
    let (host, port) = match value.iter().rposition(|&byte| byte == b':' || byte == b']') {
        Some(at) if value[at] == b':' => (&value[..at], &value[at + 1..]),
        _ => (value, &[][..]),
    };
    let host = match host {
        [b'[', address @ .., b']'] => {
            return port.iter().all(u8::is_ascii_digit)
                && !address.is_empty()
                && address.iter().all(|&byte| byte == b':' || is_name_byte(byte));
        }
        name => name,
    };
    port.iter().all(u8::is_ascii_digit) && host.iter().all(|&byte| is_name_byte(byte))
}

/// A byte of a registered name: unreserved, sub-delims, or of a percent-encoding.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte)
}

/// The path of the four forms of a target (RFC 9112 §3.2).
fn target_path<'u>(method: &Method, uri: &'u Uri) -> Result<&'u str, Refusal> {
    if method == Method::CONNECT {
        return Err(Refusal::bad_request("this server is not a proxy"));
    }
    match (uri.scheme(), uri.authority(), uri.path()) {
        (None, None, path) if path.starts_with('/') => Ok(path),
        // The absolute form must be accepted (RFC 9112 §3.2.2); its authority takes the place of
        // `Host`, and this server has one site. User information in it is an error (RFC 9110 §4.2.4).
        (Some(_), Some(authority), path) if path.starts_with('/') && !authority.as_str().contains('@') => Ok(path),
        (None, None, "*") if method == Method::OPTIONS => Ok("*"),
        _ => Err(Refusal::bad_request("the request target is not a path")),
    }
}
