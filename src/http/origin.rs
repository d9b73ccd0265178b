//! From which sites a browser may open a WebSocket (RFC 6455 §10.2): a route's `origins`.
//!
//! The gate asks for each opening handshake whose route has such a rule. A page of any site may open a
//! WebSocket to any server, with the user's cookies, and the browser says in `Origin` whose page it is.
//! A client that is no browser says what it likes, or nothing: this keeps no such client out.

use http::header::{HOST, ORIGIN};
use http::request::Parts;

/// The rule of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// No rule.
    #[default]
    Any,
    /// The site of the server itself: `Origin` has the host and port that the request was sent to.
    Same,
    /// Those in the list.
    Listed(Vec<Origin>),
}

/// A serialised origin (RFC 6454 §6.2) in lower case, without its scheme's default port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origins {
    /// Whether a request may open a WebSocket. One without `Origin` does not come from a browser, and
    /// may; one with two may not, nor one whose `Origin` is `null`: that is a page that hides its own.
    pub fn admit(&self, request: &Parts) -> bool {
        let mut lines = request.headers.get_all(ORIGIN).iter();
        let origin = match (self, lines.next(), lines.next()) {
            (Self::Any, ..) | (_, None, _) => return true,
            (_, Some(line), None) => line.to_str().ok().and_then(Origin::parse),
            (_, Some(_), Some(_)) => None,
        };
        let Some(origin) = origin else { return false };
        match self {
            Self::Any => true,
            Self::Same => origin.has_authority(authority(request)),
            Self::Listed(listed) => listed.contains(&origin),
        }
    }
}

/// The host that the request was sent to: that of its target, if it has one (RFC 9112 §3.2.2).
fn authority(request: &Parts) -> &str {
    let host = || request.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    request.uri.authority().map_or_else(host, |authority| authority.as_str())
}

impl Origin {
    /// Reads `scheme "://" host [ ":" port ]`: no path, not even `/`, no user information, no pattern,
    /// and a host as browsers write it, in ASCII.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        let scheme = Some(scheme).filter(|_| is_scheme)?.to_ascii_lowercase();
        let (host, port) = split(authority, &scheme)?;
        Some(Self { host: host.to_ascii_lowercase(), port, scheme })
    }

    /// Whether this is an origin at `authority`, a host with a port or without; a port that is left out
    /// is the default of this origin's scheme, since the server may stand behind one that speaks TLS.
    fn has_authority(&self, authority: &str) -> bool {
        split(authority, &self.scheme)
            .is_some_and(|(host, port)| port == self.port && host.eq_ignore_ascii_case(&self.host))
    }
}

/// The host and the port, which is `None` if it is the scheme's default.
fn split<'a>(authority: &'a str, scheme: &str) -> Option<(&'a str, Option<u16>)> {
    let (host, port) = match authority.rfind(':').filter(|at| !authority[*at..].contains(']')) {
        Some(at) => (&authority[..at], &authority[at + 1..]),
        None => (authority, ""),
    };
    let is_host = match host.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
        Some(Some(address)) => {
            address.contains(':') && address.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte))
        }
        Some(None) => false,
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)),
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    let port: Option<u16> = match port {
        _ if !is_host || !is_port => return None,
        "" => None,
        digits => Some(digits.parse().ok()?),
    };
    let default = match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    };
    Some((host, port.filter(|_| port != default)))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn admits(rule: &Origins, host: &str, origins: &[&str]) -> bool {
        let request = origins
            .iter()
            .fold(Request::get("/").header("Host", host), |request, origin| request.header("Origin", *origin));
        rule.admit(&request.body(()).unwrap().into_parts().0)
    }

    fn listed(origins: &[&str]) -> Origins {
        Origins::Listed(origins.iter().map(|origin| Origin::parse(origin).unwrap()).collect())
    }

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        for good in [
            "http://a",
            "https://example.org:8443",
            "HTTPS://Example.ORG",
            "http://[::1]:80",
            "http://127.0.0.1",
            "chrome-extension://abcdef",
            "capacitor://localhost",
            "http://xn--bcher-kva.example",
        ] {
            assert!(Origin::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "*",
            "null",
            "example.org",
            "//a",
            "://a",
            "http:/a",
            "http://",
            "http://a/",
            "http://a/b",
            "http://a?",
            "http://u@a",
            "http://a:x",
            "http://a:65536",
            "http://a:+1",
            "http://:80",
            "http://a b",
            "http://*.a",
            "1a://b",
            "http://[::1",
            "http://::1",
            "http://[a]",
            "http://bücher.example",
            "http://a, http://b",
            " http://a",
        ] {
            assert!(Origin::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_list_is_compared_without_case_and_with_default_ports() {
        let rule = listed(&["https://Example.org:443", "http://localhost:3000", "http://[::1]"]);
        for good in ["https://example.org", "HTTPS://EXAMPLE.ORG:443", "http://localhost:3000", "http://[::1]:80"] {
            assert!(admits(&rule, "a", &[good]), "{good}");
        }
        for bad in [
            "http://example.org",
            "https://example.org:80",
            "https://www.example.org",
            "https://example.org.evil",
            "http://localhost",
            "null",
            "",
            "https://example.org/",
            "example.org",
        ] {
            assert!(!admits(&rule, "a", &[bad]), "{bad}");
        }
        assert!(!admits(&listed(&[]), "a", &["http://a"]));
    }

    #[test]
    fn the_same_site_is_the_same_host_and_port() {
        for (host, origin, expected) in [
            ("example.org", "http://example.org", true),
            ("example.org", "https://example.org", true),
            ("Example.org:80", "http://example.org", true),
            ("example.org:443", "https://example.org", true),
            ("localhost:9001", "http://LOCALHOST:9001", true),
            ("[::1]:9001", "http://[::1]:9001", true),
            ("example.org:", "https://example.org", true),
            ("example.org:443", "http://example.org", false),
            ("example.org", "http://example.org:81", false),
            ("localhost:9001", "http://localhost:3000", false),
            ("example.org", "http://www.example.org", false),
            ("www.example.org", "http://example.org", false),
            ("", "http://example.org", false),
            ("example.org", "null", false),
        ] {
            assert_eq!(admits(&Origins::Same, host, &[origin]), expected, "{host} {origin}");
        }
    }

    #[test]
    fn the_authority_of_the_target_goes_before_host() {
        let request = Request::get("http://a.example/x").header("Host", "b.example");
        let (request, ()) = request.header("Origin", "http://a.example").body(()).unwrap().into_parts();
        assert!(Origins::Same.admit(&request));
    }

    #[test]
    fn who_has_no_origin_is_no_browser_and_who_has_two_is_none_either() {
        for rule in [Origins::Any, Origins::Same, listed(&["http://a"])] {
            assert!(admits(&rule, "a", &[]));
            assert_eq!(admits(&rule, "a", &["http://a", "http://a"]), rule == Origins::Any);
        }
        assert!(admits(&Origins::Any, "a", &["null"]));
    }
}
