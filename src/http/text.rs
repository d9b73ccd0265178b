//! A request's head as JavaScript reads it (`lib/http_request.js`): method, target and header fields, a
//! line each.
//!
//! Written once for each request that a handler gets, and kept while it has it. No part of a head that keeps
//! the rules has a line feed in it. A line that begins with a colon is no field but a note of the gate's.

use http::request::Parts;

/// See the module. The names of fields are in lower case, and those of one name stand together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadText(Vec<u8>);

impl HeadText {
    /// A head without fields. `notes`: whole lines. There is room for so many bytes more.
    pub(super) fn new(method: &[u8], target: &[u8], notes: &str, more_bytes: usize) -> Self {
        let bytes = method.len() + target.len() + notes.len() + 2 + more_bytes;
        let mut text = Vec::with_capacity(bytes);
        text.extend_from_slice(method);
        text.push(b'\n');
        text.extend_from_slice(target);
        text.push(b'\n');
        text.extend_from_slice(notes.as_bytes());
        Self(text)
    }

    /// The head of a parsed request, and notes about it, as whole lines.
    pub fn of(head: &Parts, notes: &str) -> Self {
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let fields = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 2);
        let mut text = Self::new(head.method.as_str().as_bytes(), target.as_bytes(), notes, fields.sum());
        for (name, value) in &head.headers {
            text.field(name.as_str().as_bytes(), value.as_bytes());
        }
        text
    }

    /// One field more; returns its name, in lower case.
    pub(super) fn field(&mut self, name: &[u8], value: &[u8]) -> &[u8] {
        let start = self.0.len();
        self.0.extend(name.iter().map(u8::to_ascii_lowercase));
        let name = start..self.0.len();
        self.0.push(b':');
        self.0.extend_from_slice(value);
        self.0.push(b'\n');
        &self.0[name]
    }

    /// All of it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The target of the request, its query included.
    pub fn target(&self) -> &str {
        // A parser has judged it: it is ASCII.
        self.lines().nth(1).and_then(|target| str::from_utf8(target).ok()).unwrap_or_default()
    }

    /// The value of the first field of this name, which is in lower case.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.lines().skip(2).find_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b":"))
    }

    /// The values of all fields of this name, which is in lower case and has no colon.
    pub fn values(&self, name: &'static str) -> impl DoubleEndedIterator<Item = &[u8]> {
        // No method and no target looks like a field of a name like this.
        self.lines().filter_map(move |line| line.strip_prefix(name.as_bytes())?.strip_prefix(b":"))
    }

    fn lines(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&byte| byte == b'\n')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_told_line_by_line() {
        let request = http::Request::get("http://host/a/b?c=d&e").header("Host", "x").header("a", "1, 2");
        let request = request.header("b", "").header("A", "3").body(());
        let (head, ()) = request.unwrap().into_parts();
        let text = HeadText::of(&head, "");
        assert_eq!(text.as_bytes(), b"GET\n/a/b?c=d&e\nhost:x\na:1, 2\na:3\nb:\n");
        assert_eq!(text.target(), "/a/b?c=d&e");
        let [a, b, c, host] = ["a", "b", "c", "ost"].map(|name| text.value(name));
        assert_eq!((a, b, c, host), (Some(&b"1, 2"[..]), Some(&b""[..]), None, None));
        assert_eq!(text.values("a").rev().collect::<Vec<_>>(), [&b"3"[..], b"1, 2"]);
        let noted = HeadText::of(&head, ":proxied:2001::1 80\n");
        assert!(noted.as_bytes().starts_with(b"GET\n/a/b?c=d&e\n:proxied:2001::1 80\nhost:x\n"));
        assert_eq!((noted.target(), noted.value("host")), ("/a/b?c=d&e", Some(&b"x"[..])));
    }
}
