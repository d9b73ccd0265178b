//! The rules for a request's head that hyper leaves to its user (RFC 9112 §3, RFC 9110 §7.2).
//!
//! The gate calls it before anything else looks at a parsed request. What breaks the syntax or the
//! framing of content, and other versions of HTTP, were refused before ([`super::HeadScreen`]).

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, Method, Uri};

use super::response::Refusal;

/// The path that a request asks for, without its query.
///
/// # Errors
///
/// The refusal to answer with; the connection ends behind it.
pub fn path(request: &Parts) -> Result<&str, Refusal> {
    target_path(&request.method, &request.uri)
}

/// One `Host` line, with a host in it or empty (RFC 9112 §3.2). Two of them are how one server is
/// made to see another site than the proxy before it.
///
/// # Errors
///
/// As of [`path`], before which it is asked.
pub fn check_host(headers: &HeaderMap) -> Result<(), Refusal> {
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
pub(super) fn is_host(value: &[u8]) -> bool {
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
    // Not as RFC 9110 §9.3.6 has it: an application may give the method a meaning of its own for a path.
    if method == Method::CONNECT && !uri.path().starts_with('/') {
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

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::http::Then;

    fn judge(request: http::request::Builder) -> Result<String, u16> {
        let (head, ()) = request.body(()).unwrap().into_parts();
        check_host(&head.headers).and_then(|()| path(&head)).map(str::to_owned).map_err(|refusal| {
            assert_eq!(refusal.then, Then::Close);
            refusal.status.as_u16()
        })
    }

    fn get(target: &str) -> http::request::Builder {
        Request::get(target).header("Host", "localhost")
    }

    #[test]
    fn the_path_of_each_form_of_target() {
        for (target, expected) in [
            ("/", Ok("/")),
            ("/chat?room=/a", Ok("/chat")),
            ("//chat", Ok("//chat")),
            ("/%2e%2E/a", Ok("/%2e%2E/a")),
            ("http://example.org/chat?a", Ok("/chat")),
            ("ws://example.org", Ok("/")),
            ("http://user@example.org/chat", Err(400)),
            ("example.org:80", Err(400)),
            ("*", Err(400)),
        ] {
            assert_eq!(judge(get(target)), expected.map(str::to_owned), "{target}");
        }
        assert_eq!(judge(get("*").method("OPTIONS")), Ok("*".into()));
        assert_eq!(judge(get("example.org:80").method("CONNECT")), Err(400));
        assert_eq!(judge(get("/chat").method("CONNECT")), Ok("/chat".into()));
    }

    #[test]
    fn one_host_that_is_a_host() {
        let host = |host: &[u8]| judge(Request::get("/a").header("Host", host));
        for good in [
            "",
            "localhost",
            "example.org:8080",
            "example.org:",
            "127.0.0.1:1",
            "[::1]",
            "[fe80::1%25en0]:443",
            "xn--bcher-kva.example",
            "a_b~c!",
        ] {
            assert_eq!(host(good.as_bytes()), Ok("/a".into()), "{good}");
        }
        for bad in [
            "a b", "a/b", "http://a", "u@a", "a:b", "a:1:2", "::1", "[::1", "::1]", "[]", "[::1]x", "[::1]:x", "a,b:c",
            "a?b", "a#b", "a\\b",
        ] {
            assert_eq!(host(bad.as_bytes()), Err(400), "{bad}");
        }
        assert_eq!(host(b"b\xfccher.example"), Err(400));
        assert_eq!(judge(Request::get("/")), Err(400));
        assert_eq!(judge(get("/").header("Host", "localhost")), Err(400));
        assert_eq!(judge(Request::get("http://example.org/")), Err(400));
    }
}
